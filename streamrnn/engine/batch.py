"""A batch of sessions, checked once and stepped as often as its caller likes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamrnn.engine.lane import Lane
from streamrnn.engine.session import Session
from streamrnn.engine.side import check_time
from streamrnn.errors import FrameError, UsageError
from streamrnn.kernels.packing import FloatArray


class Batch:
    """Distinct idle sessions of one lane, in order. Valid until one of them is closed or has frames waiting.

    Args:
        sessions: at least one.

    Raises:
        UsageError: there are none, they are of several models, one stands twice, or one has frames waiting.
        SessionClosedError: one was closed.

    Attributes:
        lane: of all sessions.
        n: how many there are.
        n_sided: how many had a side at the last step.
    """

    __slots__ = ("_call", "_frames", "_invoke", "_outputs", "_sessions", "_slots", "lane", "n", "n_sided")

    def __init__(self, sessions: Sequence[Session]) -> None:
        if not len(sessions):
            raise UsageError("step_many: expected at least one session")
        lane = sessions[0].lane
        for session in sessions:
            session.settle()
        slots = [session.slot for session in sessions if session.lane is lane and not session.queue.n_frames]
        if len(slots) != len(sessions) or min(slots) < 0 or len(set(slots)) != len(slots):
            _explain(sessions, lane)
        self._sessions = list(sessions)
        self.lane = lane
        self.n = len(slots)
        self.n_sided = sum(session.side is not None for session in sessions)
        self._slots = np.array(slots, np.int64)
        self._invoke = lane.invoker(self.n)
        self._call = lane.call_of(self._slots) if lane.steps_at_once(self.n) else None
        _, x, y = lane.staging(min(self.n, lane.max_batch))
        self._frames: FloatArray = x[0]
        self._outputs: FloatArray = y[0]

    def is_of(self, sessions: Sequence[Session]) -> bool:
        """Whether it holds these sessions, in this order."""
        return sessions == self._sessions or list(sessions) == self._sessions

    def step(self, x: FloatArray, y: FloatArray | None) -> FloatArray:
        """Step all by x (n, input_size) float32; y (n, output_size) is written, or made where None, and returned.

        Raises:
            FrameError: a value is refused; no session was stepped.
        """
        lane = self.lane
        if self._call is None:
            return self._step_in_parts(x, np.empty((self.n, lane.output_size), np.float32) if y is None else y)
        self._frames[...] = x
        refused = self._invoke(lane.kernel, self._call.address)
        if refused >= 0:
            raise lane.refusal(x[refused], refused)
        if y is None:
            return self._outputs.copy()
        y[...] = self._outputs
        return y

    def step_sided(self, x: FloatArray, y: FloatArray | None, times_us: Sequence[int | None] | None) -> FloatArray:
        """As `step`, where some sessions have a side; `times_us` as in `Engine.step_many`."""
        if times_us is not None and len(times_us) != self.n:
            raise FrameError(f"times_us: expected {self.n} times, got {len(times_us)}")
        frames = np.require(x, requirements=("C", "W"))
        self.lane.check(frames)
        sided = []
        for i, session in enumerate(self._sessions):
            if session.side is not None and (side := session.live_side()) is not None:
                time_us = times_us[i] if times_us is not None and side.gaps is not None else None
                sided.append((i, session, side, check_time(session, time_us, 1)))
        for i, session, side, time_us in sided:
            side.before(session, frames[i], time_us)
        outputs = self.step(frames, y)
        for i, session, side, _ in sided:
            side.after(session, frames[i : i + 1])
            side.decode(session.applied_seq, frames[i : i + 1], outputs[i : i + 1])
        self.n_sided = len(sided)
        return outputs

    def _step_in_parts(self, x: FloatArray, y: FloatArray) -> FloatArray:
        lane = self.lane
        lane.check(np.require(x, requirements=("C", "W")))  # before any part is stepped
        for start in range(0, self.n, lane.max_batch):
            slots = self._slots[start : start + lane.max_batch]
            end = start + len(slots)
            _, part_x, part_y = lane.staging(len(slots))
            part_x[0] = x[start:end]
            lane.run(slots, part_x, part_y)
            y[start:end] = part_y[0]
        return y


def _explain(sessions: Sequence[Session], lane: Lane) -> None:
    """Raise the error that says what is wrong with a batch."""
    if len(set(sessions)) != len(sessions):
        raise UsageError("step_many: every session may stand in the batch once")
    for session in sessions:
        if session.lane is not lane:
            other = session.model_name
            raise UsageError(f"step_many: expected sessions of model {lane.name!r}, got one of {other!r}")
        session.require_idle("step_many")
