"""The short form of a spec: a chain of layers whose sizes are read off the tensors of a state dict."""

from __future__ import annotations

from typing import Any, Literal, cast

import msgspec
import numpy as np

from streamrnn.errors import SpecError
from streamrnn.model.importers.layers import RECURRENT, Layer
from streamrnn.model.importers.state_tensors import Tensors
from streamrnn.model.kinds import Kind, MapKind, SoftKind

LayerKind = Literal[
    "embedding", "affine", "batch_norm", "rnn", "lstm", "gru", "linear", "conv", "layer_norm", "rms_norm", "prelu",
    "classic_rnn",
]  # fmt: skip
"""Layers with tensors."""

DEFAULTS: dict[str, tuple[float, float]] = {
    "leaky_relu": (0.01, 0), "elu": (1, 0), "hard_sigmoid": (1 / 6, 0.5), "clamp": (-1, 1), "softplus": (1, 0),
    "linear_map": (1, 0),
}  # fmt: skip
"""What PyTorch takes for alpha and beta of a map where nothing is said."""
NORMS: dict[str, float] = {"layer_norm": 1e-5, "rms_norm": float(np.finfo(np.float32).eps), "batch_norm": 1e-5}
"""Norms, with PyTorch's eps."""


class LayerForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One layer of the short form; its sizes and biases are read off the tensors.

    Attributes:
        name: of the layer in the state dict, as `lstm` for `lstm.weight_ih_l0`; for `classic_rnn` the prefix, or none.
        num_layers: of a stacked cell; where it is None, as many as the state dict holds.
        nonlinearity: of `rnn`.
        reset: of `gru`.
        hidden: of `classic_rnn`, the activation of the hidden state.
        reads: of `classic_rnn`, whether the output reads the hidden state before or after the step.
        input_first: of `classic_rnn`, the order in concat(input, hidden).
        stride, dilation, groups: of `conv`, which is causal: its windows end with the newest step.
        alpha, beta: of a map, as in `kinds.MapKind`; by default PyTorch's.
        eps: of a norm; by default PyTorch's.
    """

    kind: LayerKind | MapKind | SoftKind
    name: str = ""
    num_layers: int | None = None
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    reset: Literal["after", "before"] = "after"
    hidden: Literal["tanh", "relu", "sigmoid", "linear"] = "tanh"
    reads: Literal["previous", "new"] = "previous"
    input_first: bool = True
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    alpha: float | None = None
    beta: float | None = None
    eps: float | None = None


class ShortForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A chain of layers.

    Attributes:
        input: size of a frame, checked against the first layer's tensors.
        input_tokens: number of token ids, checked against the embedding.
        prefix: what all names in the state dict start with, as `model.`.
    """

    layers: tuple[LayerForm, ...]
    input: int | None = None
    input_tokens: int | None = None
    prefix: str = ""


def classic_parts(form: LayerForm, tensors: Tensors) -> dict[str, Layer]:
    """The linear layers of a `classic_rnn`, by name.

    Raises:
        SpecError: the state dict does not hold them.
    """
    prefix = f"{form.name}." if form.name else ""
    names = [name for name in ("i2h", "h2h", "i2o", "h2o") if f"{prefix}{name}.weight" in tensors]
    if "i2h" not in names or len({"i2o", "h2o"} & set(names)) != 1:
        raise SpecError(f"classic_rnn needs the layers {prefix}i2h and {prefix}i2o (or {prefix}h2o), found {names}")
    return {name: _linear(prefix + name, tensors) for name in names}


def layers_of(form: LayerForm, tensors: Tensors) -> list[Layer]:
    """The layers, one for each node, that a layer of the short form stands for.

    Raises:
        SpecError: a tensor is missing or has another shape.
    """
    if form.kind in RECURRENT:
        return _recurrent(form, tensors)
    if form.kind == "linear":
        return [_linear(form.name, tensors)]
    if form.kind == "embedding":
        weight = tensors.matrix(_name(form.name, "weight"))
        return [Layer("embedding", form.name, 1, weight.shape[1], {"weight": weight}, n_tokens=weight.shape[0])]
    if form.kind == "affine":
        parts = {short: tensors.take(_name(form.name, short)) for short in ("scale", "shift")}
        return [Layer("affine", form.name, parts["scale"].size, parts["scale"].size, parts)]
    if form.kind == "conv":
        return [_conv(form, tensors)]
    if form.kind in NORMS or form.kind == "prelu":
        return [_norm(form, tensors)]
    assert form.kind not in {"classic_rnn", "batch_norm"}
    alpha, beta = DEFAULTS.get(form.kind, (0.0, 0.0))
    values = {"alpha": alpha if form.alpha is None else form.alpha, "beta": beta if form.beta is None else form.beta}
    options = {field: float(value) for field, value in values.items() if value}
    return [Layer(cast("Kind", form.kind), form.name or form.kind, options=options)]


def _conv(form: LayerForm, tensors: Tensors) -> Layer:
    name = _name(form.name, "weight")
    weight = tensors.take(name)
    if weight.ndim != 3 or 0 in weight.shape:
        raise SpecError(f"tensor {name!r} must have three dimensions, got shape {weight.shape}")
    parts = {"weight": weight}
    if has_bias := _name(form.name, "bias") in tensors:
        parts["bias"] = tensors.take(_name(form.name, "bias"))
    options = {"kernel": weight.shape[2], "stride": form.stride, "dilation": form.dilation, "groups": form.groups}
    n_out, part = weight.shape[:2]
    return Layer("conv", form.name or "conv", part * form.groups, n_out, parts, bias=has_bias, options=options)


def _norm(form: LayerForm, tensors: Tensors) -> Layer:
    """A norm, or a `prelu`; a `batch_norm` as the scale and the shift that it is in inference."""
    parts = {
        short: tensors.take(_name(form.name, short)) for short in ("weight", "bias", "running_mean", "running_var")
        if short == "weight" or _name(form.name, short) in tensors
    }  # fmt: skip
    weight, name = parts["weight"], form.name or form.kind
    eps = NORMS.get(form.kind, 0.0) if form.eps is None else form.eps
    if form.kind == "prelu" and weight.size == 1:
        return Layer("leaky_relu", name, options={"alpha": float(weight.ravel()[0])})
    if form.kind == "prelu":
        return Layer("prelu", name, weight.size, weight.size, {"slope": weight})
    if form.kind == "batch_norm":
        tensors.leave(_name(form.name, "num_batches_tracked"))
        mean, variance = (np.asarray(parts[f"running_{short}"], np.float64) for short in ("mean", "var"))
        scale = weight / np.sqrt(variance + eps)
        affine = {"scale": scale.astype(np.float32), "shift": (parts["bias"] - mean * scale).astype(np.float32)}
        return Layer("affine", name, weight.size, weight.size, affine)
    has_bias = form.kind == "layer_norm" and "bias" in parts
    return Layer(
        cast("Kind", form.kind), name, weight.size, weight.size, parts, bias=has_bias, options={"eps": float(eps)}
    )


def _name(layer: str, short: str) -> str:
    return f"{layer}.{short}" if layer else short


def _linear(name: str, tensors: Tensors) -> Layer:
    weight = tensors.matrix(_name(name, "weight"))
    parts = {"weight": weight}
    if has_bias := _name(name, "bias") in tensors:
        parts["bias"] = tensors.take(_name(name, "bias"))
    return Layer("linear", name, weight.shape[1], weight.shape[0], parts, bias=has_bias)


def _recurrent(form: LayerForm, tensors: Tensors) -> list[Layer]:
    kind, layers, n = cast("Kind", form.kind), [], form.num_layers
    if n is None:
        n = 1
        while _name(form.name, f"weight_ih_l{n}") in tensors:
            n += 1
    if _name(form.name, "weight_ih_l0_reverse") in tensors:
        raise SpecError(f"layer {form.name!r} is bidirectional, so each output needs the frames that come after it")
    for i in range(n):
        parts = {short: tensors.matrix(_name(form.name, f"{short}_l{i}")) for short in ("weight_ih", "weight_hh")}
        if has_bias := _name(form.name, f"bias_ih_l{i}") in tensors:
            parts |= {short: tensors.take(_name(form.name, f"{short}_l{i}")) for short in ("bias_ih", "bias_hh")}
        options: dict[str, Any] = {}
        if _name(form.name, f"weight_hr_l{i}") in tensors:
            parts["weight_hr"] = tensors.matrix(_name(form.name, f"weight_hr_l{i}"))
            options["cell_size"] = parts["weight_hr"].shape[1]
        name = (form.name or kind) + (f".l{i}" if n > 1 else "")
        layers.append(
            Layer(
                kind,
                name,
                parts["weight_ih"].shape[1],
                parts["weight_hh"].shape[1],
                parts,
                bias=has_bias,
                nonlinearity=form.nonlinearity,
                reset=form.reset,
                options=options,
            )
        )
    return layers
