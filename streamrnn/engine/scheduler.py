"""Natural batching: whatever is ready when the kernel is free forms the batch. No timers, no waiting."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

import numpy as np

from streamrnn.decode.event import Event
from streamrnn.engine.lane import Lane
from streamrnn.engine.session import Session
from streamrnn.engine.side import Side
from streamrnn.errors import InternalError
from streamrnn.kernels.packing import FloatArray


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


class Scheduler:
    """Picks the batches of one lane: one frame of each ready session, round robin; a lone session gets a run of frames.

    Args:
        lane: whose sessions are stepped.
        max_run_frames: most frames of a lone session in one tick; where more must be made up for gaps, or decoding is
            as much work, a tick takes fewer sessions.
    """

    def __init__(self, lane: Lane, max_run_frames: int) -> None:
        self._lane = lane
        self._max_run_frames = max_run_frames
        self._ready: deque[Session] = deque()

    @property
    def n_ready(self) -> int:
        """Sessions that have frames waiting."""
        return len(self._ready)

    def add(self, session: Session) -> None:
        """A session whose queue was empty has frames now."""
        self._ready.append(session)

    def remove(self, session: Session) -> None:
        """A session that is closed, or was stepped otherwise, leaves the ready ones."""
        with suppress(ValueError):  # a `finish` that failed has taken it out already
            self._ready.remove(session)

    def tick(self) -> list[Output]:
        """Step one batch; empty when nothing is ready. After an exception the sessions picked are still ready."""
        ready = self._ready
        n = min(len(ready), self._lane.max_batch)
        if n == 0:
            return []
        if n == 1:
            outputs = [self.run(ready[0], self._max_run_frames)]
        else:
            outputs = self._step_batch(list(islice(ready, n)))
        for _ in outputs:
            session = ready.popleft()
            if session.queue.n_frames:
                ready.append(session)
        return outputs

    def run(self, session: Session, max_frames: int) -> Output:
        """Step the next run of frames of one session."""
        if session.side is not None and (side := session.live_side()) is not None:
            return self._run_sided(session, side, max_frames)
        lane = self._lane
        frames = session.queue.take(max_frames)
        n = len(frames)
        if n == 1:
            lane.x[0] = frames
            refused, ys = lane.invoke(lane.kernel, session.call.address), lane.y[0].copy()
        else:
            y = np.empty((n, 1, lane.output_size), np.float32)
            refused, ys = lane.run(session.slots, frames.reshape(n, 1, lane.input_size), y), y[:, 0]
        if refused >= 0:
            raise InternalError("a checked frame was refused by the kernel")
        return Output(session, session.answer(n), ys)

    def _run_sided(self, session: Session, side: Side, max_frames: int) -> Output:
        lane = self._lane
        frames = session.queue.take(side.most(max_frames))
        n = len(frames)
        filled, was_reset = side.before(session, frames[0], side.time_of(session.n_applied))
        y = np.empty((n, 1, lane.output_size), np.float32)
        if lane.run(session.slots, frames.reshape(n, 1, lane.input_size), y) >= 0:
            raise InternalError("a checked frame was refused by the kernel")
        side.after(session, frames)
        seq, ys = session.answer(n), y[:, 0]
        return Output(session, seq, ys, filled, was_reset, side.decode(seq, frames, ys))

    def _step_batch(self, picked: list[Session]) -> list[Output]:
        """Step a frame of each; where much must be made up or decoded, only of the first ones of `picked`."""
        lane = self._lane
        staging = lane.staging(len(picked))
        x, n_made_up = staging.x[0], 0
        flags: dict[int, tuple[int, bool]] = {}
        for i, session in enumerate(picked):
            side = session.live_side() if session.side is not None else None
            if side is not None:
                n_ahead = side.n_ahead(session)
                n_made_up += n_ahead
                if i and n_ahead and n_made_up > self._max_run_frames:
                    del picked[i:]
                    staging = lane.staging(i)  # the first part of the same memory
                    break
            staging.slots[i] = session.slot
            x[i] = session.queue.take(1)[0]
            if side is not None:
                flags[i] = side.before(session, x[i], side.time_of(session.n_applied))
        if lane.run(*staging) >= 0:
            raise InternalError("a checked frame was refused by the kernel")
        ys = staging.y[0].copy()
        outputs = [Output(session, session.answer(1), ys[i : i + 1]) for i, session in enumerate(picked)]
        for i, (filled, was_reset) in flags.items():
            output = outputs[i]._replace(filled=filled, was_reset=was_reset)
            if (side := picked[i].side) is not None:
                side.after(picked[i], x[i : i + 1])
                output = output._replace(events=side.decode(output.seq, x[i : i + 1], output.ys))
            outputs[i] = output
        return outputs
