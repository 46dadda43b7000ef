"""What a tick answers to one session."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streamrnn.kernels.packing import FloatArray

if TYPE_CHECKING:
    from streamrnn.decode.event import Event
    from streamrnn.engine.session import Session


class Output(NamedTuple):
    """The answers to frames `seq .. seq + n - 1` of one session."""

    session: Session
    seq: int
    ys: FloatArray
    """(n, output_size) float32, C-contiguous, owned by the receiver."""
    filled: int = 0
    """Missing samples that were made up before the first of these frames."""
    was_reset: bool = False
    """The state was reset before the first of these frames: for a gap too long, or by the end of a warm reset."""
    events: tuple[Event, ...] = ()
    """What the session's decoder found in these outputs, in order."""
