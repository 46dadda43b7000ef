"""The ways in which a module's forward may use its layers, most likely first; `parity` finds the one that it does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.classic import classic_draft
from streamrnn.model.importers.layers import MAPS, RECURRENT, Draft, Layer, activation, chain_draft, describe
from streamrnn.model.importers.torch_calls import arity
from streamrnn.model.importers.torch_modules import layers_of, refuse
from streamrnn.model.kinds import Kind

if TYPE_CHECKING:
    from torch import nn

INNER: tuple[Kind | None, ...] = (None, "relu", "tanh", "sigmoid")
LAST: tuple[Kind | None, ...] = (None, "log_softmax", "softmax", "sigmoid", "tanh", "relu")
MAX_READINGS = 256


def readings_of(module: nn.Module) -> Iterator[Draft]:
    """Drafts to try, most likely first.

    Raises:
        UnsupportedError: a layer cannot be imported, or the layers fit in no order.
    """
    layers = layers_of(module)
    by_name = {layer.name: layer for layer in layers}
    if {"i2h", "i2o"} <= by_name.keys() or {"i2h", "h2o"} <= by_name.keys():
        return itertools.islice(_classic_readings(by_name), MAX_READINGS)
    if not layers:
        raise refuse("", module, "it has no layers")
    return itertools.islice(_chain_readings(layers, is_free=_has_own_forward(module)), MAX_READINGS)


def _has_own_forward(module: nn.Module) -> bool:
    """Whether some class outside PyTorch decides how the layers are joined."""
    return any(
        not type(child).__module__.startswith("torch.nn") and type(child).__name__ != "Affine"
        for child in module.modules()
    )


def takes_more(module: nn.Module) -> bool:
    """Whether a forward of its own asks for more than the frames, and no known recurrence says what the rest is.

    A guess that hands zeros in would agree with a net that adds, say, its second argument to the outputs.
    """
    names = {name.rpartition(".")[2] for name, _ in module.named_modules()}
    return _has_own_forward(module) and arity(module)[0] > 1 and "i2h" not in names


def _chain_readings(layers: Sequence[Layer], is_free: bool) -> Iterator[Draft]:
    """The chain as registered; for a free forward also with the heads last, and with activations in between."""
    if not is_free:
        yield chain_draft(layers)
        return
    faults: list[UnsupportedError] = []
    orders = []
    for order in (list(layers), _usual_order(layers)):
        if order in orders:
            continue
        try:
            yield chain_draft(order)
            orders.append(order)
        except UnsupportedError as fault:
            faults.append(fault)
    if not orders:
        raise faults[0]
    for order in orders:
        for inserted in _insertions(order):
            yield chain_draft(inserted)


def _usual_order(layers: Sequence[Layer]) -> list[Layer]:
    """Embedding and normaliser, then recurrent layers, then the rest, whatever the order of registration."""

    def place(layer: Layer) -> int:
        return 0 if layer.kind in {"embedding", "affine"} else 1 if layer.kind in RECURRENT else 2

    return sorted(layers, key=place)


def _insertions(layers: Sequence[Layer]) -> Iterator[list[Layer]]:
    """The chain with functional activations after its layers, fewest first."""
    places = [
        i
        for i, layer in enumerate(layers)
        if layer.kind not in MAPS and (i + 1 == len(layers) or layers[i + 1].kind not in MAPS)
    ]
    options = [LAST if i + 1 == len(layers) else INNER for i in places]
    choices = sorted(itertools.product(*options), key=lambda choice: sum(kind is not None for kind in choice))
    for choice in choices:
        after = {place: kind for place, kind in zip(places, choice, strict=True) if kind}
        if after:
            yield [
                part
                for i, layer in enumerate(layers)
                for part in ([layer, activation(after[i])] if i in after else [layer])
            ]


def _classic_readings(by_name: dict[str, Layer]) -> Iterator[Draft]:
    known = {"i2h", "h2h", "i2o", "h2o"}
    heads = [layer for name, layer in by_name.items() if name not in known]
    if any(layer.kind not in MAPS for layer in heads) or len(heads) > 2 or {"i2o", "h2o"} <= by_name.keys():
        raise UnsupportedError(
            f"a net of i2h and i2o (or h2o) with further layers ({describe(by_name.values())}) needs a spec: "
            "see streamrnn.from_state_dict"
        )
    parts = {name: layer for name, layer in by_name.items() if name in known}
    hiddens: list[Kind | None] = ["tanh", None, "relu", "sigmoid"]
    kinds = [layer.kind for layer in heads]
    lasts = [heads, [], *([activation(kind)] for kind in LAST if kind and [kind] != kinds)]
    reads: tuple[Literal["previous", "new"], ...] = ("previous", "new") if "i2o" in parts else ("new", "previous")
    for last, hidden, source, input_first in itertools.product(lasts, hiddens, reads, (True, False)):
        yield classic_draft(parts, last, hidden=hidden, reads=source, input_first=input_first)
