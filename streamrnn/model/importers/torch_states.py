"""Which outputs of a module are the new values of the states that it was handed."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamrnn.errors import OptionError
from streamrnn.model.importers.torch_contract import Contract, States
from streamrnn.model.importers.tracing.symbol import MisreadError

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class Leaf:
    """One value in the arguments or the answer of a module.

    Attributes:
        path: keys and places that lead to it.
        value: a tensor, or anything else.
    """

    path: tuple[int | str, ...]
    value: Any

    @property
    def name(self) -> str:
        """Its keys, for the name of a head."""
        return ".".join(map(str, self.path))

    def is_real(self) -> bool:
        """Whether it is a tensor of floating-point numbers."""
        import torch

        return isinstance(self.value, torch.Tensor) and self.value.is_floating_point()


def leaves_of(value: Any) -> list[Leaf]:
    """The values in tuples, lists, dicts and what else PyTorch takes apart, in its order."""
    from torch.utils import _pytree

    found, _ = _pytree.tree_flatten_with_path(value)
    return [Leaf(tuple(_key(part) for part in path), leaf) for path, leaf in found]


def _key(part: Any) -> int | str:
    for name in ("key", "name", "idx"):
        if hasattr(part, name):
            found = getattr(part, name)
            return found if isinstance(found, int) else str(found)
    return str(part)


def argument_names(module: nn.Module, n: int) -> list[str]:
    """Names of the arguments behind the first, as the forward has them."""
    try:
        names = list(inspect.signature(module.forward).parameters)[1:]
    except (TypeError, ValueError):
        names = []
    return [names[i] if i < len(names) else f"argument {i + 1}" for i in range(n)]


def states_of(module: nn.Module, contract: Contract, given: Sequence[Leaf], answered: Sequence[Leaf]) -> dict[int, int]:
    """Places of the outputs that are the new states, by the places of the states among the other arguments.

    Args:
        module: whose forward names its arguments.
        contract: how it is called. All outputs may be states only where there are recurrent layers.
        given: leaves of the other arguments.
        answered: leaves of its answer.

    Raises:
        OptionError: the option `states` names what is not there.
        MisreadError: it cannot be inferred.
    """
    from torch import nn

    names = argument_names(module, len(contract.rest))
    if contract.options.states is not None:
        return _said(contract.options.states, names, given, answered)
    states = [i for i, leaf in enumerate(given) if leaf.is_real()]
    if not states:
        return {}
    wanted = [_shape(given[i]) for i in states]
    outputs = [i for i, leaf in enumerate(answered) if leaf.is_real()]
    has_cells = any(isinstance(child, nn.RNNBase | nn.RNNCellBase) for child in module.modules())
    for places in _candidates(names, states, given, outputs, answered):
        if len(places) == len(states) < len(outputs) + has_cells and [_shape(answered[i]) for i in places] == wanted:
            return dict(zip(states, places, strict=True))
    shapes = ", ".join(f"{names[int(given[i].path[0])]!r} {_shape(given[i])}" for i in states)
    raise MisreadError(
        f"{type(module).__name__} is handed {shapes}, but hands back no tensors of these shapes beside its output, so "
        "they are no states; say which output is the new value of which argument (states={'h': 1}), or that they stay "
        "as they are (states={})"
    )


def _candidates(
    names: Sequence[str], states: list[int], given: Sequence[Leaf], outputs: list[int], answered: Sequence[Leaf]
) -> list[list[int]]:
    """Places of outputs: those of the same names, the last ones, the first ones, the first of each shape."""
    by_name = {answered[i].name: i for i in outputs}
    called = [by_name.get(_name(names, given[i]), -1) for i in states]
    free, each = list(outputs), []
    for i in states:
        same = next((o for o in free if _shape(answered[o]) == _shape(given[i])), None)
        if same is not None:
            free.remove(same)
            each.append(same)
    n = len(states)
    return [[o for o in called if o >= 0], outputs[-n:], outputs[:n], each]


def _name(names: Sequence[str], leaf: Leaf) -> str:
    return ".".join([names[int(leaf.path[0])], *map(str, leaf.path[1:])])


def _said(said: States, names: Sequence[str], given: Sequence[Leaf], answered: Sequence[Leaf]) -> dict[int, int]:
    found: dict[int, int] = {}
    for argument, output in said.items():
        if argument not in names:
            raise OptionError(f"states: expected one of the arguments {', '.join(names) or '(none)'}, got {argument!r}")
        sources = [i for i, leaf in enumerate(given) if names[int(leaf.path[0])] == argument]
        places = [i for i, leaf in enumerate(answered) if leaf.path[:1] == (output,)]
        if [_shape(given[i]) for i in sources] != [_shape(answered[i]) for i in places]:
            raise OptionError(f"states: output {output!r} has not the shape of argument {argument!r}")
        found |= dict(zip(sources, places, strict=True))
    return found


def _shape(leaf: Leaf) -> tuple[int, ...]:
    value: torch.Tensor = leaf.value
    return tuple(getattr(value, "shape", ()))
