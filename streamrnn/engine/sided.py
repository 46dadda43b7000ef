"""Direct stepping of a session that has a side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamrnn.engine.side import check_time
from streamrnn.kernels.packing import FloatArray

if TYPE_CHECKING:
    from streamrnn.decode.event import Event
    from streamrnn.engine.session import Session


def run_sided(session: Session, frames: FloatArray, ys: FloatArray, time_us: int | None) -> None:
    """Step an idle session by some frames (n, 1, input_size), at least one; ys (n, 1, output_size) is written.

    Raises:
        FrameError: the values of a frame or the time of the first are refused; nothing was stepped.
    """
    lane, n, flat = session.lane, len(frames), frames[:, 0]
    lane.check(flat)
    time_us = check_time(session, time_us, n)
    side = session.live_side()
    if side is None:
        lane.run(session.slots, frames, ys)
        return
    _, was_reset = side.before(session, flat[0], time_us)
    start = 0
    events: tuple[Event, ...] = ()
    while start < n:
        end = min(n, start + (side.n_warm or n))
        seq = session.n_applied
        lane.run(session.slots, frames[start:end], ys[start:end])
        side.after(session, flat[start:end])
        events += side.decode(seq, flat[start:end], ys[start:end, 0])
        if end < n:
            was_reset |= side.tell()
        start = end
    side.was_reset = was_reset
    if side.decoding is not None:
        side.decoding.events = events
