"""Nets that together hold every kind of node and every field, beyond the cells of `nets`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamrnn import Node, Spec
from streamrnn.model.kinds import Kind
from streamrnn.model.spec import Activation

EPS = 0.01
"""Of norms: large enough that two roundings of nearly equal values stay near each other."""


class _Net:
    """Grows a spec node by node; each reads the node before it unless it says otherwise."""

    def __init__(self, size: int, steps: int = 1) -> None:
        self.nodes = [Node("input", "input", size, steps=steps)]

    def add(self, name: str, kind: Kind, size: int, *reads: str, **fields: Any) -> None:
        """One more node."""
        fields.setdefault("steps", self.nodes[-1].steps)
        self.nodes.append(Node(name, kind, size, reads or (self.nodes[-1].name,), **fields))

    def build(self) -> Spec:
        """Its output is the last node."""
        return Spec(tuple(self.nodes), self.nodes[-1].name)


def _causal_conv(i: int, h: int) -> Spec:
    net, n = _Net(i), 2 * h
    net.add("conv", "conv", n, kernel=3, dilation=2)
    net.add("prelu", "prelu", n)
    net.add("norm", "layer_norm", n, eps=EPS)
    net.add("depthwise", "conv", n, kernel=4, groups=n, bias=False, hold=2)
    net.add("groups", "conv", n, kernel=2, groups=2, lag=1)
    net.add("pointwise", "conv", n, "norm")
    net.add("late", "delay", n, lag=2)
    net.add("sum", "add", n, "late", "groups")
    net.add("largest", "max_pool", n, kernel=3, hold=1)
    net.add("mean", "mean_pool", n, "sum", kernel=2, lag=1)
    net.add("rms", "rms_norm", n, "mean", eps=EPS, bias=False)
    net.add("all", "concat", 3 * n, "largest", "mean", "rms")
    return net.build()


def _strided_conv(i: int, h: int) -> Spec:
    net = _Net(i, steps=6)
    net.add("conv", "conv", h, kernel=4, stride=3, lag=1, hold=2, steps=2)
    net.add("relu", "leaky_relu", h, alpha=0.1)
    net.add("lstm", "lstm", h // 2 + 1, cell_size=h, initial=True, hold=3)
    net.add("pool", "max_pool", i, "input", kernel=3, stride=2, steps=3)
    net.add("mean", "mean_pool", i, "input", kernel=2, dilation=2, stride=3, steps=2)
    net.add("picked", "slice_steps", i, "pool", start=0, stride=2, steps=2)
    net.add("late", "delay", i, lag=3)
    net.add("all", "concat", h // 2 + 1 + 2 * i, "lstm", "mean", "late")
    net.add("gru", "gru", h)
    return net.build()


def _frame_windows(i: int, h: int) -> Spec:
    net = _Net(i, steps=7)
    net.add("zeros", "conv", h, "input", kernel=3, pads=(2, 1), steps=8)
    net.add("mirrored", "conv", h, "input", kernel=3, pads=(3, 2), pad_mode="reflect", stride=2, steps=5)
    net.add("edge", "conv", h, "input", kernel=2, dilation=2, pads=(1, 4), pad_mode="edge", steps=10, exact=True)
    net.add("inside", "conv", h, "input", kernel=3, stride=2, pads=(0, 0), steps=3)
    net.add("depthwise", "conv", i, "input", kernel=5, groups=i, pads=(2, 2), steps=7)
    net.add("largest", "max_pool", i, "input", kernel=3, stride=2, pads=(1, 0), steps=3)
    net.add("mean", "mean_pool", i, "input", kernel=4, stride=3, pads=(1, 1), pad_mode="edge", steps=2)
    net.add("folded", "fold", 5 * i, "together", steps=1)
    net.nodes.insert(-1, Node("together", "concat_steps", i, ("largest", "mean"), steps=5))
    net.add("convs", "concat_steps", h, "zeros", "mirrored", "edge", "inside", steps=26)
    net.add("few", "slice_steps", h, "convs", start=1, stride=5, steps=5)
    net.add("fc", "linear", h, steps=5)
    net.add("soft", "softmax", h)
    net.add("flat", "fold", 5 * h, steps=1)
    net.add("mixed", "linear", 4 * h, "folded")
    net.add("unfolded", "unfold", h, steps=4)
    net.add("rnn", "rnn", h, nonlinearity="relu")
    net.add("ends", "fold", 4 * h, steps=1)
    net.add("channels", "fold", 7 * i, "depthwise")
    net.add("all", "concat", 9 * h + 7 * i, "flat", "ends", "channels")
    return net.build()


def _written_cells(i: int, h: int) -> Spec:
    """Cells with all that ONNX gives them."""
    net = _Net(i)
    sigmoid, hard = Activation("sigmoid"), Activation("hard_sigmoid", 0.2, 0.5)
    softsign, elu = Activation("softsign"), Activation("elu", 0.7)
    net.add("a", "lstm", h, peepholes=True, clip=0.8, activations=(hard, softsign, elu), initial=True)
    net.add("b", "lstm", h, coupled=True, peepholes=True, hold=2, bias=False)
    net.add("c", "lstm", h + 1, coupled=True, cell_size=h, clip=1.5)
    net.add("d", "gru", h, activations=(hard, softsign), clip=0.9)
    net.add("e", "gru", h, activations=(sigmoid, elu), reset="before", initial=True)
    net.add("f", "gru", h, reset="before", clip=0.5, hold=3)
    net.add("g", "rnn", h, activations=(Activation("clamp", -0.6, 0.7),), clip=2.0, initial=True, hold=1)
    net.add("h", "rnn", h, clip=0.4)
    net.add("all", "concat", 7 * h + 1, "b", "c", "d", "e", "f", "g", "h")
    return net.build()


def _selective_scan(i: int, h: int) -> Spec:
    """A block of Mamba, of two steps a frame."""
    net, n_states = _Net(i, steps=2), i % 5 + 1
    net.add("norm", "rms_norm", i, eps=EPS)
    net.add("both", "linear", 2 * h)
    net.add("x", "slice", h, "both", start=0)
    net.add("gate", "slice", h, "both", start=h)
    net.add("conv", "conv", h, "x", kernel=4, groups=h)
    net.add("silu", "silu", h)
    net.add("fc", "linear", h)
    net.add("delta", "softplus", h, alpha=1.0)
    net.add("bc", "linear", 2 * n_states, "silu", bias=False)
    net.add("b", "slice", n_states, "bc", start=0)
    net.add("c", "slice", n_states, "bc", start=n_states)
    net.add("scan", "ssm", h, "silu", "delta", "b", "c", hold=1)
    net.add("open", "silu", h, "gate")
    net.add("gated", "mul", h, "scan", "open")
    net.add("out", "linear", i)
    net.add("sum", "add", i, "out", "input")
    return net.build()


def _linear_recurrences(i: int, h: int) -> Spec:
    net = _Net(i, steps=2)
    net.add("up", "linear", 2 * h)
    net.add("complex", "diagonal", 2 * h, "up", is_complex=True, hold=1)
    net.add("real", "diagonal", 2 * h, "up")
    net.add("sum", "sub", 2 * h, "complex", "real")
    net.add("small", "tanh", 2 * h)
    net.add("min", "min_gru", h, hold=2)
    net.add("unbiased", "min_gru", h + 1, bias=False)
    return net.build()


def _running(i: int, h: int) -> Spec:
    net = _Net(i, steps=2)
    net.add("mean", "running_mean", i, "input", hold=3)
    net.add("largest", "running_max", i, "input", hold=2)
    net.add("stats", "running_stats", 2 * i, "input", hold=1)
    net.add("normed", "running_norm", i, "input", eps=EPS)
    net.add("part", "slice", 1, "input", start=i - 1)
    net.add("one", "running_norm", 1, "part", eps=EPS)
    net.add("all", "concat", 5 * i + 1, "mean", "largest", "stats", "normed", "one")
    net.add("fc", "linear", h)
    net.add("soft", "log_softmax", h)
    net.add("last", "concat", 5 * i + 1 + h, "all", "soft")
    return net.build()


MAPS: tuple[tuple[Kind, float, float], ...] = (
    ("tanh", 0, 0), ("sigmoid", 0, 0), ("relu", 0, 0), ("leaky_relu", 0.01, 0), ("thresholded_relu", 0.5, 0),
    ("elu", 0.9, 0), ("gelu", 0, 0), ("gelu_tanh", 0, 0), ("silu", 0, 0), ("mish", 0, 0),
    ("hard_sigmoid", 0.2, 0.5), ("hard_swish", 0, 0), ("clamp", -1, 0.5), ("softplus", 2, 0), ("softsign", 0, 0),
    ("square", 0, 0), ("abs", 0, 0), ("erf", 0, 0), ("scaled_tanh", 1.5, 0.5), ("linear_map", -0.5, 0.25),
)  # fmt: skip


def _maps(i: int, h: int) -> Spec:
    """Every map, and binary nodes of what they answer; `h` steps of some."""
    steps = h % 3 + 1
    net = _Net(i, steps=steps)
    for kind, alpha, beta in MAPS:
        net.add(kind, kind, i, "input", alpha=float(alpha), beta=float(beta))
    net.add("exp", "exp", i, "clamp")
    net.add("log", "log", i, "square", alpha=0.1)
    net.add("sqrt", "sqrt", i, "abs")
    net.add("above", "linear_map", i, "square", alpha=1.0, beta=0.5)
    net.add("reciprocal", "reciprocal", i)
    names = [kind for kind, _, _ in MAPS] + ["exp", "log", "sqrt", "reciprocal"]
    net.add("all", "concat", len(names) * i, *names)
    net.add("div", "div", i, "tanh", "above")
    net.add("max", "maximum", i, "div", "gelu")
    net.add("min", "minimum", i, "max", "exp")
    net.add("mul", "mul", i, "min", "mish")
    net.add("scaled", "affine", i)
    net.add("last", "concat", (len(names) + 1) * i, "all", "scaled")
    return net.build()


def _pieces(i: int, h: int) -> Spec:
    """Channels taken apart and put together, a constant, norms of groups and of several steps."""
    net, n = _Net(i + 2, steps=3), 3 * h
    net.add("late", "previous", i + 2, "input", hold=3)
    net.add("sum", "add", i + 2, "late", "input")
    net.add("gathered", "gather", 4, "sum", index=(1, i + 1, 0, 1))
    net.add("part", "slice", i, "sum", start=1)
    net.add("both", "concat", i + 4, "gathered", "part")
    net.add("up", "linear", n, bias=False)
    net.add("groups", "group_norm", n, groups=3, eps=EPS)
    net.add("scaled", "affine", n)
    net.add("prelu", "prelu", n)
    net.add("middle", "slice_steps", n, start=1, steps=1)
    net.add("constant", "constant", n, steps=1)
    net.nodes[-1] = Node("constant", "constant", n)
    net.add("shifted", "sub", n, "middle", "constant")
    net.add("norm", "layer_norm", n, eps=EPS, bias=False)
    net.add("flat", "fold", 3 * n, "prelu", steps=1)
    net.add("wide", "concat", 4 * n, "flat", "norm")
    return net.build()


def _audio(i: int, h: int) -> Spec:
    """Framing, filters, powers, logarithms and their running norm before a cell."""
    net, stride, n = _Net(1, steps=4 * i), 2 * i, 8
    net.add("filters", "conv", 2 * n, kernel=5 * i, stride=stride, steps=2, bias=False, exact=True)
    net.add("square", "square", 2 * n)
    net.add("mel", "linear", n, bias=False, exact=True)
    net.add("positive", "abs", n)
    net.add("log", "log", n, alpha=0.01)
    net.add("normed", "running_norm", n, eps=EPS, hold=1)
    net.add("flat", "fold", 2 * n, steps=1)
    net.add("gru", "gru", h)
    return net.build()


LAYER_SPECS: dict[str, Callable[[int, int], Spec]] = {
    "causal convolution": _causal_conv,
    "strided convolution": _strided_conv,
    "windows in a frame": _frame_windows,
    "written cells": _written_cells,
    "selective scan": _selective_scan,
    "linear recurrences": _linear_recurrences,
    "running figures": _running,
    "maps": _maps,
    "pieces": _pieces,
    "audio": _audio,
}
