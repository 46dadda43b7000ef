"""What every decoder can do, and what it may know of its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamrnn.decode.event import Event
from streamrnn.decode.ranges import check_range
from streamrnn.errors import OptionError

Floats = NDArray[np.float32]

MAX_SECONDS = 86_400.0
"""Longest time that a setting may ask for."""


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

    def names(self, head: str) -> tuple[str, ...]:
        """One name for each value of a head: its label, or its place in the head where the model has no labels.

        Labels are of the whole output or, as many as the head has values, of the head.

        Raises:
            OptionError: there is no such head, or the number of labels is neither.
        """
        first, end = self.part(head)
        if not self.labels:
            return tuple(str(place) for place in range(end - first))
        if len(self.labels) == end - first:
            return self.labels
        if len(self.labels) == self.output_size:
            return self.labels[first:end]
        raise OptionError(f"decoder: expected {end - first} labels, one for each output, got {len(self.labels)}")

    def frames(self, name: str, seconds: float) -> int:
        """The setting `name` of so many seconds as frames: 0 for 0, else at least 1.

        Raises:
            OptionError: it is negative or not finite, or the model's card has no rate.
        """
        check_range(name, seconds, 0.0, MAX_SECONDS)
        if not seconds:
            return 0
        if not self.rate_hz:
            raise OptionError(f"decoder: expected a model whose card tells rate_hz, since {name} is in seconds")
        return max(1, round(seconds * self.rate_hz))


class Decoder(Protocol):
    """One session's post-processing; everything that an output changes is in its state.

    Deterministic: the same outputs give the same events, whatever chunks they come in, and a decoder that goes on from
    another's state gives the same events from there on. It never raises for what a model may put out, NaN included.
    """

    @property
    def effort(self) -> int:
        """What the next frame costs, roughly, in frames of 150 us; 0 for next to nothing."""
        ...

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
        """Everything that `feed` changes, a few KiB as a rule; one state has one form, see `Record`."""
        ...

    def restore(self, state: bytes) -> None:
        """Go on from a state of a decoder of the same settings; on an error nothing has changed.

        Raises:
            SnapshotError: it is none.
        """
        ...
