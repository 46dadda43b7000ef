"""The side of a session: what belongs to its state and does not stand in its row."""

from __future__ import annotations

import operator
from collections import deque
from typing import TYPE_CHECKING

from streamrnn.engine.gaps import MAX_TIME_US, Gaps
from streamrnn.errors import FrameError
from streamrnn.kernels.packing import FloatArray

if TYPE_CHECKING:
    from streamrnn.decode.event import Event
    from streamrnn.engine.decoding import Decoding
    from streamrnn.engine.session import Session


class Side:
    """Of a session that has a gap policy or a decoder, or that a warm reset is under way in; others have none.

    Around each run of frames that is stepped stand `before` and `after`; a run is at most `n_warm` long where that is
    not 0, and only its first frame may have a gap before it.

    Args:
        gaps: the policy.
        decoding: the decoder.

    Attributes:
        time_us: of the last frame stepped or dropped since the state was new; None: there is none.
        frame: (input_size,) float32, that frame, where the policy needs it.
        pushed_us: of the last frame pushed; only of use while frames wait.
        n_warm: frames until the state that warms up takes over; 0: none does.
        shadow: (state_size,) float32, its row; None: the initial one, for it has seen no frame.
        is_new: the state was reset and no output has told it yet.
        filled, was_reset: what was told with the last output.
    """

    __slots__ = (
        *("_marks", "decoding", "filled", "frame", "gaps", "is_new", "n_warm", "pushed_us"),
        *("shadow", "time_us", "was_reset"),
    )

    def __init__(self, gaps: Gaps | None = None, decoding: Decoding | None = None) -> None:
        self.gaps = gaps
        self.decoding = decoding
        self._marks: deque[tuple[int, int]] = deque()
        self.time_us: int | None = None
        self.frame: FloatArray | None = None
        self.pushed_us = 0
        self.n_warm = 0
        self.shadow: FloatArray | None = None
        self.is_new = False
        self.filled = 0
        self.was_reset = False

    @property
    def is_spent(self) -> bool:
        """Whether the session steps the same without it."""
        return self.gaps is None and self.decoding is None and not self.n_warm and not self.is_new

    def copy(self) -> Side:
        """One like it, for a second session; no frame may wait."""
        twin = Side(self.gaps, None if self.decoding is None else self.decoding.copy())
        twin.time_us, twin.n_warm, twin.is_new = self.time_us, self.n_warm, self.is_new
        twin.frame, twin.shadow = self.frame, self.shadow  # replaced by each step, never written
        return twin

    # ---- times

    def expect(self, seq: int, time_us: int | None, n_frames: int) -> None:
        """Frames `seq ..` wait from now on; the first was sampled at a time that was checked."""
        if self.gaps is not None and time_us is not None:
            self._marks.append((seq, time_us))
            self.pushed_us = time_us + (n_frames - 1) * self.gaps.period_us

    def time_of(self, seq: int) -> int | None:
        """The time of a frame that waits, which no frame before does; None where frames have none."""
        if self.gaps is None:
            return None
        marks = self._marks
        while len(marks) > 1 and marks[1][0] <= seq:
            marks.popleft()
        first, time_us = marks[0]
        return time_us + (seq - first) * self.gaps.period_us

    def n_ahead(self, session: Session) -> int:
        """What the next frame costs beside its step, in frames: those to be made up before it, and decoding."""
        effort = 0 if self.decoding is None else self.decoding.decoder.effort
        return effort + self._judge(session, self.time_of(session.n_applied))[0]

    def most(self, max_frames: int) -> int:
        """How many frames one run may take: fewer where a reset warms up, or where each is much to decode."""
        effort = 0 if self.decoding is None else self.decoding.decoder.effort
        return min(max_frames, self.n_warm or max_frames, max(1, max_frames // (effort or 1)))

    # ---- around a run of frames

    def before(self, session: Session, x: FloatArray, time_us: int | None) -> tuple[int, bool]:
        """Step the made-up frames of the gap before frame x (input_size,), or reset the state for it.

        Returns:
            How many were made up, and whether the state was reset since the last output.
        """
        self.filled = 0
        if self.gaps is not None and time_us is not None:
            n, is_reset = self._judge(session, time_us)
            if is_reset:
                self._reset(session)
            elif n:
                self._fill(session, self.gaps.fill(self.frame, x, n))
            self.time_us = time_us - self.gaps.period_us  # `after` adds as many as there are frames
        self.was_reset = self.tell()
        return self.filled, self.was_reset

    def tell(self) -> bool:
        """Whether the state was reset and that is not told yet; it is now."""
        is_new, self.is_new = self.is_new, False
        return is_new

    def after(self, session: Session, frames: FloatArray) -> None:
        """Take note of frames (n, input_size) that were just stepped; a state that has warmed up takes over."""
        self._pass(frames)
        if self.n_warm:
            self.shadow = session.lane.advance_row(self.shadow, frames)
            self.n_warm -= len(frames)
            if not self.n_warm:
                session.lane.arena.rows[session.slot] = self.shadow
                self.shadow, self.is_new = None, True

    def decode(self, seq: int, xs: FloatArray, ys: FloatArray) -> tuple[Event, ...]:
        """What the decoder, if there is one, finds in frames `seq ..`, xs (n, input_size), and their outputs ys."""
        return () if self.decoding is None else self.decoding.feed(seq, xs, ys)

    def drop(self, session: Session, frames: FloatArray) -> None:
        """Pass over frames (n, input_size) that come next and are not stepped; a gap before them may be too long."""
        time_us = self.time_of(session.n_applied)
        if self.gaps is not None and time_us is not None:
            if self._judge(session, time_us)[1]:
                self._reset(session)
            self.time_us = time_us - self.gaps.period_us
            self._pass(frames)

    def warm_up(self, n_frames: int) -> None:
        """Let a state from the start see the next `n_frames` frames and then take over; 0: let none do."""
        self.n_warm, self.shadow = n_frames, None

    def start(self) -> None:
        """Be as in a session that has seen no frame; those that wait still do, and what is drawn goes on from there."""
        self.warm_up(0)
        self.time_us, self.frame, self.is_new = None, None, False
        if self.decoding is not None and not self.decoding.is_generating:
            self.decoding.reset()

    def _judge(self, session: Session, time_us: int | None) -> tuple[int, bool]:
        if self.gaps is None or self.time_us is None or time_us is None:
            return 0, False
        return self.gaps.judge(time_us - self.time_us, session.lane.max_fill_frames)

    def _pass(self, frames: FloatArray) -> None:
        if self.gaps is not None and self.time_us is not None:
            self.time_us += len(frames) * self.gaps.period_us
            if self.gaps.needs_frame:
                self.frame = frames[-1].copy()

    def _fill(self, session: Session, made_up: FloatArray) -> None:
        session.lane.advance(session.slots, made_up)
        self.filled = len(made_up)
        if self.shadow is not None:
            self.shadow = session.lane.advance_row(self.shadow, made_up)

    def _reset(self, session: Session) -> None:
        session.lane.arena.reset(session.slot)
        self.warm_up(0)
        self.is_new = True
        if self.decoding is not None:
            self.decoding.reset()


def check_time(session: Session, time_us: int | None, n_frames: int) -> int | None:
    """Check the time of the first of frames that a session is to take next.

    Returns:
        It, as an int.

    Raises:
        FrameError: it is missing, not wanted, out of range, or not above the last one.
    """
    gaps = session.gaps
    if gaps is None:
        if time_us is not None:
            raise FrameError(f"expected no time_us: session {session.id!r} has no gap policy")
        return None
    if time_us is None:
        raise FrameError(f"expected time_us: session {session.id!r} has a gap policy")
    try:
        time_us = operator.index(time_us)
    except TypeError:
        raise FrameError(f"time_us: expected an integer, got {time_us!r}") from None
    most = MAX_TIME_US - (n_frames - 1) * gaps.period_us
    if not 0 <= time_us <= most:
        raise FrameError(f"time_us: expected 0 to {most}, got {time_us}")
    last_us = session.last_time_us
    if last_us is not None and time_us <= last_us:
        raise FrameError(f"time_us {time_us} is not above {last_us}, that of the frame before", last_us=last_us)
    return time_us
