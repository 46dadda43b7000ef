"""What every decoder can do, and what it may know of its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamrnn.decode.event import Event
from streamrnn.errors import OptionError

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Facts:
    """What a decoder may know of the model whose outputs it sees.

    Attributes:
        input_size, output_size: values of a frame and of an output.
        labels: of the outputs, or none.
        heads: first and end of each named part of an output.
        rate_hz: frames a second, None: not known.
        delay: frames by which an output comes behind the frame that it belongs to.
    """

    input_size: int
    output_size: int
    labels: tuple[str, ...] = ()
    heads: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    rate_hz: float | None = None
    delay: int = 0

    def part(self, head: str) -> tuple[int, int]:
        """First and end of a head's values in an output; of the whole output for an empty name.

        Raises:
            OptionError: there is no such head.
        """
        if not head:
            return 0, self.output_size
        if head not in self.heads:
            raise OptionError(f"decoder: expected a head of {', '.join(self.heads) or 'none'}, got {head!r}")
        return self.heads[head]

    def frames(self, seconds: float) -> int:
        """So many seconds as frames, at least 1.

        Raises:
            OptionError: the model's card has no rate.
        """
        if not self.rate_hz:
            raise OptionError("decoder: expected a model whose card tells rate_hz, since its settings are in seconds")
        return max(1, round(seconds * self.rate_hz))


class Decoder(Protocol):
    """One session's post-processing; everything that an output changes is in its state.

    Deterministic: the same outputs give the same events, whatever chunks they come in, and a decoder that goes on from
    another's state gives the same events from there on. It never raises for what a model may put out, NaN included.
    """

    def feed(self, seq: int, xs: Floats, ys: Floats) -> list[Event]:
        """Take frames `seq ..` and their outputs.

        Args:
            seq: of the first; above all before, but frames may be missing in between.
            xs: (n, input_size) float32, n at least 1.
            ys: (n, output_size) float32.

        Returns:
            What was found, in the order of the frames.
        """
        ...

    def finish(self, seq: int) -> list[Event]:
        """The recording ends before frame `seq`: what is still open is told now, and what comes is heard anew."""
        ...

    def reset(self) -> None:
        """Be as one that has seen nothing: the model's state was reset."""
        ...

    def state(self) -> bytes:
        """Everything that `feed` changes, little-endian, a few KiB at most; one state has one form."""
        ...

    def restore(self, state: bytes) -> None:
        """Go on from a state of a decoder of the same settings; on an error nothing has changed.

        Raises:
            SnapshotError: it is none.
        """
        ...
