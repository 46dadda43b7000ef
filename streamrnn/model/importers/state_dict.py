"""Models from a state dict and a spec, in full or in a short form; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec
import numpy as np

from streamrnn.errors import SpecError, UnsupportedError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.card import Card
from streamrnn.model.importers.classic import classic_draft
from streamrnn.model.importers.layers import RECURRENT, Draft, Layer, chain_draft
from streamrnn.model.kinds import Kind
from streamrnn.model.model import Model
from streamrnn.model.narrowing import with_narrowing
from streamrnn.model.spec import Node, Spec
from streamrnn.model.tensors import N_GATES, tensor_shapes

LayerKind = Literal[
    "embedding", "affine", "rnn", "lstm", "gru", "linear", "classic_rnn",
    "tanh", "sigmoid", "relu", "softmax", "log_softmax",
]  # fmt: skip


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
    """

    kind: LayerKind
    name: str = ""
    num_layers: int | None = None
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    reset: Literal["after", "before"] = "after"
    hidden: Literal["tanh", "relu", "sigmoid", "linear"] = "tanh"
    reads: Literal["previous", "new"] = "previous"
    input_first: bool = True


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


class Tensors:
    """The tensors of a state dict, taken one by one so that none is forgotten."""

    def __init__(self, state_dict: Mapping[str, Any], prefix: str = "") -> None:
        self._all = {name.removeprefix(prefix): value for name, value in state_dict.items()}
        self._used: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._all

    def take(self, name: str) -> FloatArray:
        """The tensor of that name as float32.

        Raises:
            SpecError: there is none; names what there is.
        """
        if name not in self._all:
            raise SpecError(f"tensor {name!r} is missing; the state dict holds {', '.join(self._all) or 'nothing'}")
        self._used.add(name)
        return as_float32(self._all[name], name)

    def matrix(self, name: str) -> FloatArray:
        """The tensor of that name, of two dimensions.

        Raises:
            SpecError: it is missing or has another shape.
        """
        tensor = self.take(name)
        if tensor.ndim != 2 or 0 in tensor.shape:
            raise SpecError(f"tensor {name!r} must have two dimensions, got shape {tensor.shape}")
        return tensor

    def check_all_used(self) -> None:
        """Check that nothing is left over.

        Raises:
            SpecError: names the tensors.
        """
        if unused := [name for name in self._all if name not in self._used]:
            raise SpecError(f"no layer of the spec uses tensor {', '.join(map(repr, unused))}")


def as_float32(value: Any, name: str) -> FloatArray:
    """A tensor of any framework as float32.

    Raises:
        SpecError: it is not an array of floating-point numbers; names it.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float().numpy() if value.is_floating_point() else value.numpy()
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise SpecError(f"tensor {name!r} must hold floating-point numbers, got {array.dtype}")
    return np.array(array, np.float32, order="C")


def from_state_dict(
    state_dict: Mapping[str, Any], spec: Spec | Mapping[str, Any], *, card: Card | None = None
) -> Model:
    """The model of `spec` with the tensors of `state_dict`.

    Args:
        state_dict: tensors (torch or NumPy) by PyTorch's names.
        spec: a `Spec`, its plain form (`{"nodes": [...], "output": ...}`), or the short form
            (`{"layers": [{"kind": "lstm", "name": "lstm"}, ...]}`), see `docs/reference/importing.md`.
        card: description; what narrow weights would cost is added to its certificate.

    Raises:
        SpecError: names what is missing, unused or of another shape.
    """
    draft = _full(state_dict, spec) if isinstance(spec, Spec) else _from_plain(state_dict, spec)
    return with_narrowing(Model(draft.spec, draft.tensors, card))


def _from_plain(state_dict: Mapping[str, Any], spec: Mapping[str, Any]) -> Draft:
    try:
        if "nodes" in spec:
            return _full(state_dict, msgspec.convert(spec, Spec))
        form = msgspec.convert(spec, ShortForm)
    except msgspec.ValidationError as error:
        raise SpecError(f"the spec cannot be read: {error}") from error
    tensors = Tensors(state_dict, form.prefix)
    try:
        draft = _short(form, tensors)
    except UnsupportedError as error:
        raise SpecError(error.message) from error
    tensors.check_all_used()
    _check_input(form, draft.spec.nodes[0])
    return draft


def _check_input(form: ShortForm, node: Node) -> None:
    actual = f"{node.n_tokens} tokens" if node.n_tokens else f"frames of {node.size} values"
    if form.input is not None and (node.n_tokens or form.input != node.size):
        raise SpecError(f"the spec says input {form.input}, but the tensors are for {actual}")
    if form.input_tokens not in {None, node.n_tokens}:
        raise SpecError(f"the spec says input_tokens {form.input_tokens}, but the tensors are for {actual}")


def _full(state_dict: Mapping[str, Any], spec: Spec) -> Draft:
    """A spec's tensors under its own names or PyTorch's (`lstm.weight_ih_l0`)."""
    tensors, found = Tensors(state_dict), {}
    for node in spec.nodes:
        for short in tensor_shapes(spec, node):
            name = f"{node.name}.{short}"
            torch_name = f"{name}_l0"
            is_torch = name not in tensors and torch_name in tensors and node.kind in N_GATES
            found[name] = tensors.take(torch_name if is_torch else name)
    tensors.check_all_used()
    return Draft("", spec, found)


def _short(form: ShortForm, tensors: Tensors) -> Draft:
    layers: list[Layer] = []
    for i, layer in enumerate(form.layers):
        if layer.kind == "classic_rnn":
            if i:
                raise SpecError("classic_rnn must be the first layer")
            continue
        layers += _layers(layer, tensors)
    if form.layers and form.layers[0].kind == "classic_rnn":
        first = form.layers[0]
        hidden: Kind | None = None if first.hidden == "linear" else first.hidden
        return classic_draft(
            _classic_parts(first, tensors), layers, hidden=hidden, reads=first.reads, input_first=first.input_first
        )
    return chain_draft(layers)


def _classic_parts(form: LayerForm, tensors: Tensors) -> dict[str, Layer]:
    prefix = f"{form.name}." if form.name else ""
    names = [name for name in ("i2h", "h2h", "i2o", "h2o") if f"{prefix}{name}.weight" in tensors]
    if "i2h" not in names or len({"i2o", "h2o"} & set(names)) != 1:
        raise SpecError(f"classic_rnn needs the layers {prefix}i2h and {prefix}i2o (or {prefix}h2o), found {names}")
    return {name: _linear(prefix + name, tensors) for name in names}


def _layers(form: LayerForm, tensors: Tensors) -> list[Layer]:
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
    assert form.kind != "classic_rnn"
    return [Layer(form.kind, form.name or form.kind)]


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
            )
        )
    return layers
