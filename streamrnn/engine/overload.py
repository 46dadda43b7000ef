"""Overload: what becomes of frames beyond a session's queue."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from streamrnn.engine.session import Session
from streamrnn.errors import OptionError, QueueFullError
from streamrnn.limits import Limits

Overload = Literal["reject", "drop_oldest", "skip_output"]
"""`reject`: the new frames are refused. `drop_oldest`: the frames that waited longest are dropped, without a step.
`skip_output`: they are stepped at once, and have no output."""


class Skipped(NamedTuple):
    """Frames `seq .. seq + n - 1` of a session get no output; they are older than all that still wait."""

    seq: int
    n: int
    is_stepped: bool
    """Whether the state has seen them."""


def check_queue(max_queue_frames: int | None, overload: Overload, limits: Limits) -> int:
    """The queue bound in effect: what was asked for, but at most that of the limits.

    Raises:
        OptionError: a bound below 1, or no such policy.
    """
    if overload not in get_args(Overload):
        raise OptionError(f"overload: expected {', '.join(get_args(Overload))}, got {overload!r}")
    if max_queue_frames is None:
        return limits.max_queue_frames
    if not isinstance(max_queue_frames, int) or isinstance(max_queue_frames, bool) or max_queue_frames < 1:
        raise OptionError(f"max_queue_frames: expected an integer of at least 1, got {max_queue_frames!r}")
    return min(max_queue_frames, limits.max_queue_frames)


def make_room(session: Session, n_new: int) -> Skipped:
    """Let so many of the frames that wait go that `n_new` more fit.

    Raises:
        QueueFullError: the session's policy is `reject`, or so many never fit; nothing has changed.
    """
    waiting, most = session.n_pending, session.max_queue_frames
    if session.overload == "reject" or n_new > most:
        raise QueueFullError(
            f"{waiting} frames wait, {n_new} more exceed the limit of {most}", max_queue_frames=most, waiting=waiting
        )
    n, seq = min(waiting + n_new - most, session.queue.n_frames), session.n_applied
    is_stepped = session.overload == "skip_output"
    while (n_left := seq + n - session.n_applied) > 0:
        if is_stepped:
            _step_run(session, n_left)
        else:
            _drop_run(session, n_left)
    return Skipped(seq, n, is_stepped)


def _step_run(session: Session, max_frames: int) -> None:
    side = session.side
    if side is None:
        frames = session.queue.take(max_frames)
        session.lane.advance(session.slots, frames)
    else:
        frames = session.queue.take(min(max_frames, side.n_warm or max_frames))
        _, was_reset = side.before(session, frames[0], side.time_of(session.n_applied))
        session.lane.advance(session.slots, frames)
        side.after(session, frames)
        side.is_new |= was_reset  # for the next output to tell
    session.pass_over(len(frames))


def _drop_run(session: Session, max_frames: int) -> None:
    frames = session.queue.take(max_frames)
    if session.side is not None:
        session.side.drop(session, frames)
    session.pass_over(len(frames))
