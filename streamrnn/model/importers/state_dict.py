"""Models from a state dict and a spec, in full or in a short form; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from streamrnn.errors import SpecError, UnsupportedError
from streamrnn.model.card import Card
from streamrnn.model.importers.classic import classic_draft
from streamrnn.model.importers.layers import Draft, Layer, chain_draft
from streamrnn.model.importers.short_form import ShortForm, classic_parts, layers_of
from streamrnn.model.importers.state_tensors import Tensors
from streamrnn.model.kinds import Kind
from streamrnn.model.model import Model
from streamrnn.model.narrowing import with_narrowing
from streamrnn.model.spec import Node, Spec
from streamrnn.model.tensors import N_GATES, tensor_shapes


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
        layers += layers_of(layer, tensors)
    if form.layers and form.layers[0].kind == "classic_rnn":
        first = form.layers[0]
        hidden: Kind | None = None if first.hidden == "linear" else first.hidden
        return classic_draft(
            classic_parts(first, tensors), layers, hidden=hidden, reads=first.reads, input_first=first.input_first
        )
    return chain_draft(layers)
