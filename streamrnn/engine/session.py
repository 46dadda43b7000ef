"""A session: one sequence's life in the engine; its state is one row of the arena."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streamrnn.engine.queue import FrameQueue
from streamrnn.errors import FrameError, SessionClosedError, UsageError
from streamrnn.kernels.packing import FloatArray

if TYPE_CHECKING:
    from streamrnn.engine.engine import Engine
    from streamrnn.engine.lane import Lane
    from streamrnn.model.model import Model

_ARRAY = np.ndarray
_FLOAT32 = np.dtype(np.float32)


class Session:
    """Made by `Engine.open`, `Engine.restore` and `Session.fork`. Not thread-safe: one thread uses an engine at a time.

    Attributes:
        id: unique in its engine.
        lane: where its row is.
        slot: row of the lane's arena; -1 once closed.
        slots: (1,) int64, the row as the kernels take it.
        call: steps that row by the lane's `frame`.
        n_pending: frames pushed and not answered yet.
        epoch: raised whenever the session changes its owner.
        queue: frames pushed and not stepped yet.
        last_push_ns: the clock passed with the last push.
    """

    __slots__ = (
        "_counts",
        "_engine",
        "_n_applied",
        "_shape",
        "call",
        "epoch",
        "id",
        "lane",
        "last_push_ns",
        "n_pending",
        "queue",
        "slot",
        "slots",
    )

    def __init__(self, engine: Engine, lane: Lane, session_id: str, slot: int) -> None:
        self._engine = engine
        self._shape = (lane.model.input_size,)
        self.id = session_id
        self.slot = -1
        self.enter(lane, slot)
        self._n_applied = 0  # once closed; until then the arena counts
        self.n_pending = 0
        self.epoch = 0
        self.queue = FrameQueue()
        self.last_push_ns = 0

    def __repr__(self) -> str:
        return f"Session({self.id!r}, model={self.model_name!r}, next_seq={self.next_seq})"

    @property
    def model(self) -> Model:
        """The model it steps."""
        return self.lane.model

    @property
    def model_name(self) -> str:
        """Name of the model in the engine."""
        return self.lane.name

    @property
    def n_applied(self) -> int:
        """Frames stepped, which is the seq of the next one to be stepped."""
        return self._counts[self.slot] if self.slot >= 0 else self._n_applied

    @property
    def applied_seq(self) -> int:
        """Seq of the last frame stepped, -1 before the first."""
        return self.n_applied - 1

    @property
    def next_seq(self) -> int:
        """Seq that the next frame pushed or stepped gets."""
        return self.n_applied + self.n_pending

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self.slot < 0

    def answer(self, n_frames: int) -> int:
        """Count `n_frames` that were just stepped as answered; the seq of the first of them."""
        self.n_pending -= n_frames
        return self._counts[self.slot] - n_frames

    def go_on_at(self, n_applied: int) -> None:
        """Number the next frame `n_applied`; none may wait."""
        self._counts[self.slot] = n_applied

    def enter(self, lane: Lane, slot: int) -> int:
        """Go on in a slot of a lane, numbered as before; the slot that it had."""
        before, n_applied = self.slot, self.n_applied if self.slot >= 0 else 0
        self.lane, self.slot = lane, slot
        self.slots = np.array([slot], np.int64)
        self.call = lane.call_of(self.slots)
        self._counts = lane.arena.counts
        self._counts[slot] = n_applied
        return before

    def detach(self) -> int:
        """Leave the slot, which is returned; the numbering stays readable."""
        slot = self.slot
        self._n_applied = self._counts[slot]
        self.slot = -1
        return slot

    def require_idle(self, operation: str) -> None:
        """Check that the session is open and no frame waits.

        Raises:
            SessionClosedError: it was closed.
            UsageError: frames wait for a tick.
        """
        if self.slot < 0:
            raise SessionClosedError(f"session {self.id!r} is closed")
        if self.queue.n_frames:
            waiting = f"session {self.id!r} has {self.n_pending} frames waiting"
            raise UsageError(f"{operation}: {waiting}; tick or finish first")

    def step(self, x: FloatArray, out: FloatArray | None = None) -> FloatArray:
        """Step by one frame.

        Args:
            x: (input_size,) float32, finite; token models: one id in [0, n_tokens).
            out: (output_size,) float32, written and returned; without it a new array is made.

        Returns:
            (output_size,) float32, owned by the caller.

        Raises:
            FrameError: wrong size, dtype or values, or an `out` of the wrong form; the state is unchanged.
            SessionClosedError, UsageError: as `require_idle`.
        """
        if self.slot < 0 or self.n_pending:
            self.require_idle("step")
        # Equal types are the same object but for unpickled arrays, and `is` is three times sooner.
        if x.__class__ is not _ARRAY or (x.dtype is not _FLOAT32 and x.dtype != _FLOAT32) or x.shape != self._shape:
            raise self._wrong_form(x, f"({self.model.input_size},)")
        lane = self.lane
        if out is not None:
            lane.check_out(out, (lane.output_size,))
        lane.frame[...] = x
        if lane.invoke(lane.kernel, self.call.address) >= 0:
            raise lane.refusal(x, 0)
        if out is None:
            return lane.output.copy()
        out[...] = lane.output
        return out

    def run(self, xs: FloatArray) -> FloatArray:
        """Step by many frames in one kernel call; the same bits as one `step` for each.

        Args:
            xs: (n_frames, input_size) float32, as `step`; n_frames may be 0.

        Returns:
            (n_frames, output_size) float32.

        Raises:
            FrameError: one of the frames is refused; nothing was stepped.
            SessionClosedError, UsageError: as `require_idle`.
        """
        self.require_idle("run")
        size = self.model.input_size
        if xs.__class__ is not np.ndarray or xs.dtype != _FLOAT32 or xs.ndim != 2 or xs.shape[1] != size:
            raise self._wrong_form(xs, f"(n_frames, {size})")
        n = len(xs)
        ys = np.empty((n, 1, self.model.output_size), np.float32)
        if n:
            frames = np.require(xs, requirements=("C", "W")).reshape(n, 1, size)
            lane = self.lane
            refused = lane.run(self.slots, frames, ys)
            if refused >= 0:
                raise lane.refusal(xs[refused], refused)
        return ys[:, 0]

    def _wrong_form(self, x: object, shape: str) -> FrameError:
        got = f"{x.dtype} {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
        return FrameError(f"expected a float32 array of shape {shape}, got {got}", input_size=self.model.input_size)

    def state(self) -> FloatArray:
        """A copy of the state row, (state_size,) float32; `model.program.regions` tells what stands where."""
        self.require_idle("state")
        row: FloatArray = self.lane.arena.rows[self.slot].copy()
        return row

    def snapshot(self) -> bytes:
        """The whole session as bytes (see `engine.snapshot`). Raises as `require_idle`."""
        return self._engine.snapshot(self)

    def fork(self, session_id: str | None = None) -> Session:
        """A second session with the same state and numbering. Raises as `require_idle` and `Engine.open`."""
        return self._engine.fork(self, session_id)

    def rollback(self, blob: bytes) -> None:
        """Go back to an earlier snapshot of this session: state and numbering. Raises as `Engine.rollback`."""
        self._engine.rollback(self, blob)

    def reset(self) -> None:
        """Return the state to that of a session that has seen no frame; numbering goes on. Raises as `require_idle`."""
        self.require_idle("reset")
        self.lane.arena.reset(self.slot)

    def close(self) -> None:
        """Give the slot back and drop waiting frames; closing again does nothing."""
        self._engine.close(self)
