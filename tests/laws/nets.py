"""A net of every kind, of any size: what the laws are tried on."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from streamrnn import Model, Node, Spec
from streamrnn.model import program
from streamrnn.model.checks import NORMS
from streamrnn.model.kinds import Kind
from streamrnn.model.precision import PrecisionName, to_bfloat16, to_int8
from streamrnn.model.spec import Shape
from streamrnn.model.tensors import tensor_shapes
from tests.laws.layers import LAYER_SPECS

N_TOKENS = 11


def _chain(*nodes: Node) -> Spec:
    return Spec(nodes, nodes[-1].name)


def _one(kind: Kind, i: int, h: int, **options) -> Spec:
    return _chain(Node("input", "input", i), Node("cell", kind, h, ("input",), **options))


def _classic(i: int, h: int, reads: str = "previous") -> Spec:
    """The tutorial's net: i2h and i2o over concat(input, hidden), log-softmax."""
    source = "hidden" if reads == "previous" else "new"
    nodes = [
        Node("input", "input", i),
        Node("hidden", "previous", h, ("new",)),
        Node("combined", "concat", i + h, ("input", "hidden")),
        Node("i2h", "linear", h, ("combined",)),
        Node("new", "tanh", h, ("i2h",)),
        Node("seen", "concat", i + h, ("input", source)),
        Node("i2o", "linear", 3, ("seen",)),
        Node("output", "log_softmax", 3, ("i2o",)),
    ]
    return _chain(*nodes)


def _stacked(i: int, h: int) -> Spec:
    return _chain(
        Node("input", "input", i),
        Node("a", "lstm", h, ("input",)),
        Node("b", "gru", i + 1, ("a",), bias=False),
        Node("c", "rnn", h, ("b",), nonlinearity="relu"),
        Node("d", "gru", h, ("c",), reset="before"),
    )


def _residual(i: int, h: int) -> Spec:
    """Two cells with a skip connection, a concat of offsets that are no multiples of a vector, and a delayed value."""
    nodes = [
        Node("input", "input", i),
        Node("late", "previous", i, ("input",)),
        Node("up", "linear", h, ("input",), bias=False),
        Node("a", "gru", h, ("up",)),
        Node("sum", "add", h, ("up", "a")),
        Node("all", "concat", 2 * i + h + h, ("input", "sum", "late", "a")),
        Node("b", "lstm", h, ("all",)),
        Node("last", "add", h, ("b", "sum")),
    ]
    return _chain(*nodes)


def _embedding(i: int, h: int) -> Spec:
    return _chain(
        Node("input", "input", 1, n_tokens=N_TOKENS),
        Node("table", "embedding", i, ("input",), n_tokens=N_TOKENS),
        Node("lstm", "lstm", h, ("table",)),
        Node("fc", "linear", N_TOKENS, ("lstm",)),
        Node("output", "log_softmax", N_TOKENS, ("fc",)),
    )


def _heads(i: int, h: int) -> Spec:
    """A normaliser, a cell, and every activation."""
    nodes = [
        Node("input", "input", i),
        Node("scaled", "affine", i, ("input",)),
        Node("cell", "rnn", h, ("scaled",)),
        Node("fc", "linear", h, ("cell",)),
        Node("soft", "softmax", h, ("fc",)),
        Node("sigmoid", "sigmoid", h, ("fc",)),
        Node("relu", "relu", h, ("fc",)),
        Node("tanh", "tanh", h, ("fc",)),
        Node("log", "log_softmax", h, ("fc",)),
        Node("all", "concat", 5 * h, ("soft", "sigmoid", "relu", "tanh", "log")),
    ]
    return _chain(*nodes)


SPECS: dict[str, Callable[[int, int], Spec]] = {
    "rnn tanh": lambda i, h: _one("rnn", i, h),
    "rnn relu": lambda i, h: _one("rnn", i, h, nonlinearity="relu"),
    "lstm": lambda i, h: _one("lstm", i, h),
    "lstm without bias": lambda i, h: _one("lstm", i, h, bias=False),
    "gru": lambda i, h: _one("gru", i, h),
    "gru, reset before": lambda i, h: _one("gru", i, h, reset="before"),
    "classic": _classic,
    "classic, new hidden": lambda i, h: _classic(i, h, "new"),
    "stacked": _stacked,
    "residual": _residual,
    "embedding": _embedding,
    "all heads": _heads,
    "linear": lambda i, h: _one("linear", i, h),
    **LAYER_SPECS,
}
CELLS = tuple(SPECS)
PRECISIONS: tuple[PrecisionName, ...] = get_args(PrecisionName)


def random_tensors(spec: Spec, seed: int) -> dict[str, NDArray[np.float32]]:
    """Tensors that keep the state alive but bounded, as PyTorch's own initial values do."""
    rng = np.random.default_rng(seed)
    return {
        f"{node.name}.{short}": _random_tensor(rng, node, short, shape).astype(np.float32)
        for node in spec.nodes
        for short, shape in tensor_shapes(spec, node).items()
    }


def _random_tensor(rng: np.random.Generator, node: Node, short: str, shape: Shape) -> NDArray[np.float64]:
    """Decays below 1, scales of norms about 1, and the rest as small as there are summands."""
    match short:
        case "decay":
            return rng.uniform(0.5, 0.99, shape)
        case "decay_re" | "decay_im":
            return rng.uniform(-0.68, 0.68, shape)
        case "a":
            return -rng.uniform(0.2, 2.0, shape)
        case "weight" if node.kind in NORMS:
            return rng.uniform(0.7, 1.3, shape)
    bound = 0.9 / np.sqrt(np.prod(shape[1:]) if len(shape) > 1 else node.size)
    return rng.uniform(-bound, bound, shape)


def random_model(
    cell: str,
    input_size: int,
    hidden_size: int,
    seed: int = 0,
    precision: PrecisionName = "float32",
    paired: bool = False,
) -> Model:
    """A model of the kind `cell`; some kinds have inputs of a size of their own. `paired`: as only large ones are."""
    spec = SPECS[cell](input_size, hidden_size)
    with patch.object(program, "MIN_PAIRED_WEIGHTS", 0 if paired else program.MIN_PAIRED_WEIGHTS):
        return Model(spec, random_tensors(spec, seed), precision=precision)


def tensors_as_stepped(model: Model) -> dict[str, NDArray[np.float32]]:
    """The model's tensors, those of matrix products rounded as its precision rounds them."""
    tensors = dict(model.tensors)
    for node in model.spec.nodes:
        is_depthwise = node.kind == "conv" and 1 < node.groups == node.size
        if node.exact or is_depthwise or node.kind in NORMS | {"embedding"}:
            continue
        for short in ("weight", "weight_ih", "weight_hh", "weight_hr"):
            name = f"{node.name}.{short}"
            if name in tensors:
                tensors[name] = _rounded(tensors[name], model.precision)
    return tensors


def _rounded(weight: NDArray[np.float32], precision: str) -> NDArray[np.float32]:
    if precision == "bfloat16":
        return (to_bfloat16(weight).astype(np.uint32) << 16).view(np.float32)
    if precision == "int8":
        integers, scales = to_int8(weight.reshape(len(weight), -1))
        return (integers * scales[:, None].astype(np.float64)).astype(np.float32).reshape(weight.shape)
    return weight


def random_frames(model: Model, *shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Frames (*shape, input_size) that `model` takes."""
    rng = np.random.default_rng(seed)
    if model.n_tokens:
        return rng.integers(0, model.n_tokens, (*shape, 1)).astype(np.float32)
    return (rng.standard_normal((*shape, model.input_size)) * 2).astype(np.float32)


def same_bits(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    """Whether two float32 arrays have one shape and the same bits (NaN and the sign of zero included)."""
    assert a.dtype == b.dtype == np.float32
    return a.shape == b.shape and np.array_equal(
        np.ascontiguousarray(a).view(np.uint32), np.ascontiguousarray(b).view(np.uint32)
    )
