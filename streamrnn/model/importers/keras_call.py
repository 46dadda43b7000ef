"""One call of a Keras layer or operation while a model is replayed on symbols."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from streamrnn.errors import UnsupportedError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.importers.keras_archive import NOTHING, Config, Weights
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.importers.tracing.symbol import Symbol


@dataclass(frozen=True)
class Call:
    """A layer, what it is called with, and where its operations are written down.

    Attributes:
        kind: its class.
        config: as the archive has it.
        weights: its variables and its parts'.
        name: its path in the model.
        args, kwargs: symbols, constants and lists of them.
    """

    trace: Trace
    kind: str
    config: Config
    weights: Weights = NOTHING
    name: str = ""
    args: list[Any] = field(default_factory=list)
    kwargs: Config = field(default_factory=dict)

    @property
    def x(self) -> Symbol:
        """The only tensor that it reads."""
        if not self.args or not isinstance(self.args[0], Symbol):
            raise self.refuse("it reads no tensor of the model")
        return self.args[0]

    @property
    def xs(self) -> list[Symbol]:
        """The tensors that it reads, handed as one list."""
        return list(self.args[0]) if isinstance(self.args[0], list | tuple) else [self.x]

    def variables(self, *has: bool) -> list[FloatArray | None]:
        """Its variables in the order in which it makes them, None for those that it does not have.

        Raises:
            UnsupportedError: the archive holds another number of them.
        """
        found = iter(self.weights.variables)
        if sum(has) > len(self.weights.variables):
            raise self.refuse(f"the archive holds {len(self.weights.variables)} variables for it, expected {sum(has)}")
        return [next(found) if there else None for there in has]

    def refuse(self, reason: str) -> UnsupportedError:
        """The error that says why it cannot be imported."""
        return refuse(self.kind, self.name, reason)


def refuse(kind: str, name: str, reason: str) -> UnsupportedError:
    """The error for a layer that cannot be imported."""
    named = f"{kind} {name!r}" if name else f"the {kind} itself"
    return UnsupportedError(f"{named} cannot be streamed: {reason}", layer=name)
