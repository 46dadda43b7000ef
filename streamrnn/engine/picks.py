"""What is picked from sessions' own queues for one kernel call: a run of frames of one, or as many of each of some."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamrnn.engine.lane import Lane
from streamrnn.engine.output import Output
from streamrnn.engine.session import Session
from streamrnn.engine.side import Side
from streamrnn.errors import InternalError
from streamrnn.kernels.packing import FloatArray


class Run:
    """The next frames of one session.

    Args:
        session: some wait in its queue, from which they are taken.
        max_frames: most of them.
    """

    __slots__ = ("_frames", "_session", "_side", "_told", "_ys")

    def __init__(self, session: Session, max_frames: int) -> None:
        self._session = session
        self._side = session.live_side() if session.side is not None else None
        side = self._side
        self._frames = session.queue.take(max_frames if side is None else side.most(max_frames))
        self._told = (0, False)
        if side is not None:
            self._told = side.before(session, self._frames[0], side.time_of(session.n_applied))

    n_sessions = 1

    @property
    def lane(self) -> Lane:
        """Of the session."""
        return self._session.lane

    @property
    def n_frames(self) -> int:
        """How many there are."""
        return len(self._frames)

    def run(self) -> None:
        """Step them, in any thread."""
        session, lane, frames = self._session, self._session.lane, self._frames
        n = len(frames)
        if n == 1:
            lane.x[0] = frames
            refused, self._ys = lane.invoke(lane.kernel, session.call.address), lane.y[0].copy()
        else:
            y = np.empty((n, 1, lane.output_size), np.float32)
            refused, self._ys = lane.run(session.slots, frames.reshape(n, 1, lane.input_size), y), y[:, 0]
        if refused >= 0:
            raise InternalError("a checked frame was refused by the kernel")

    def answers(self) -> list[Output]:
        """What was stepped; the frames wait no longer."""
        session, side = self._session, self._side
        seq = session.answer(len(self._frames))
        if side is None:
            return [Output(session, seq, self._ys)]
        side.after(session, self._frames)
        return [Output(session, seq, self._ys, *self._told, side.decode(seq, self._frames, self._ys))]


class Round:
    """As many frames of each of several sessions.

    Args:
        sessions: of one lane, at least one, with frames in their queues; at most `Lane.max_batch`. Where many frames
            must be made up before theirs, some of the last ones are left out.
        max_run_frames: most frames made up, of the first session however many; and most frames of all together, but
            for one of each.
    """

    __slots__ = ("_flags", "_slots", "_x", "_y", "lane", "sessions")

    def __init__(self, sessions: list[Session], max_run_frames: int) -> None:
        self.lane = sessions[0].lane
        self.sessions = sessions
        self._flags: dict[int, tuple[Side, int, bool]] = {}
        n = max_run_frames // len(sessions)
        if n > 1 and self.lane.steps_at_once(len(sessions)):
            n = 1 if any(s.side is not None for s in sessions) else min(n, *(s.queue.n_whole for s in sessions))
        else:
            n = 1
        if n > 1:
            self._take_runs(n)
        else:
            self._take_one_each(max_run_frames)

    def _take_runs(self, n: int) -> None:
        lane, sessions = self.lane, self.sessions
        self._slots: NDArray[np.int64] = np.array([session.slot for session in sessions], np.int64)
        self._x: FloatArray = np.empty((n, len(sessions), lane.input_size), np.float32)
        self._y: FloatArray = np.empty((n, len(sessions), lane.output_size), np.float32)
        for i, session in enumerate(sessions):
            self._x[:, i] = session.queue.take(n)

    def _take_one_each(self, max_run_frames: int) -> None:
        sessions = self.sessions
        staging = self.lane.staging(len(sessions))
        x, n_made_up = staging.x[0], 0
        for i, session in enumerate(sessions):
            side = session.live_side() if session.side is not None else None
            if side is not None:
                n_ahead = side.n_ahead(session)
                n_made_up += n_ahead
                if i and n_ahead and n_made_up > max_run_frames:
                    self.sessions = sessions[:i]
                    break
            staging.slots[i] = session.slot
            x[i] = session.queue.take(1)[0]
            if side is not None:
                self._flags[i] = (side, *side.before(session, x[i], side.time_of(session.n_applied)))
        self._slots, self._x, self._y = self.lane.staging(len(self.sessions))  # the first part of the same memory

    @property
    def n_sessions(self) -> int:
        """How many are stepped."""
        return len(self.sessions)

    @property
    def n_frames(self) -> int:
        """Frames of all sessions together."""
        return len(self._x) * len(self.sessions)

    def run(self) -> None:
        """Step them, in any thread."""
        if self.lane.run(self._slots, self._x, self._y) >= 0:
            raise InternalError("a checked frame was refused by the kernel")

    def answers(self) -> list[Output]:
        """What was stepped, in order; the frames wait no longer."""
        n, ys = len(self._x), np.ascontiguousarray(self._y.swapaxes(0, 1))
        if n == 1:
            ys = self._y[0].copy()[:, None]
        outputs = [Output(session, session.answer(n), ys[i]) for i, session in enumerate(self.sessions)]
        for i, (side, filled, was_reset) in self._flags.items():
            session, output, frame = self.sessions[i], outputs[i], self._x[0, i : i + 1]
            side.after(session, frame)
            events = side.decode(output.seq, frame, output.ys)
            outputs[i] = output._replace(filled=filled, was_reset=was_reset, events=events)
        return outputs
