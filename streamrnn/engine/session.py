"""A session: one sequence's life in the engine; its state is one row of the arena."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streamrnn.decode.generation import Generation
from streamrnn.engine.drift import norm_of
from streamrnn.engine.generating import generate_directly
from streamrnn.engine.queue import FrameQueue
from streamrnn.engine.sided import run_sided
from streamrnn.errors import FrameError, SessionClosedError, UsageError
from streamrnn.kernels.packing import FloatArray

if TYPE_CHECKING:
    from streamrnn.decode.event import Event
    from streamrnn.engine.gaps import Gaps
    from streamrnn.engine.group import Group
    from streamrnn.engine.lane import Lane
    from streamrnn.engine.overload import Overload
    from streamrnn.engine.sessions import Sessions
    from streamrnn.engine.side import Side
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
        epoch: raised whenever the session changes its owner.
        queue: frames that wait in the session itself; a lone one may wait in its lane's scheduler, see `settle`.
        max_queue_frames, overload: most frames that may wait, and what becomes of those beyond.
        group: the last one that it was made a member of, while that is whole.
        side: what of its state is not in the row; None in most sessions.
    """

    __slots__ = (
        "_counts",
        "_engine",
        "_n_applied",
        "_shape",
        "call",
        "epoch",
        "group",
        "id",
        "lane",
        "max_queue_frames",
        "overload",
        "queue",
        "side",
        "slot",
        "slots",
    )

    def __init__(self, engine: Sessions, lane: Lane, session_id: str, slot: int) -> None:
        self._engine = engine
        self._shape = (lane.model.input_size,)
        self.id = session_id
        self.slot = -1
        self.group: Group | None = None
        self.enter(lane, slot)
        self._n_applied = 0  # once closed; until then the arena counts
        self.epoch = 0
        self.queue = FrameQueue()
        self.max_queue_frames = 0
        self.overload: Overload = "reject"
        self.side: Side | None = None

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
    def n_pending(self) -> int:
        """Frames pushed and not answered yet."""
        return self.lane.arena.pending[self.slot] if self.slot >= 0 else 0

    @n_pending.setter
    def n_pending(self, n: int) -> None:
        """So many frames are pending from here on."""
        self.lane.arena.pending[self.slot] = n

    @property
    def last_push_ns(self) -> int:
        """The clock passed with the last push; the session is open."""
        return self.lane.arena.pushes[self.slot]

    @last_push_ns.setter
    def last_push_ns(self, now_ns: int) -> None:
        """It was pushed to just now."""
        self.lane.arena.pushes[self.slot] = now_ns

    @property
    def next_seq(self) -> int:
        """Seq that the next frame pushed or stepped gets."""
        return self.n_applied + self.n_pending

    @property
    def is_plain(self) -> bool:
        """Whether nothing but its row changes with a frame, and frames beyond its queue are refused."""
        return self.side is None and self.overload == "reject"

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self.slot < 0

    @property
    def gaps(self) -> Gaps | None:
        """The gap policy, or None."""
        return None if self.side is None else self.side.gaps

    @property
    def last_time_us(self) -> int | None:
        """Time of the last frame pushed or stepped since the state was new; None: there is none, or it had no time."""
        side = self.side
        return None if side is None else side.pushed_us if self.n_pending and side.gaps else side.time_us

    @property
    def last_filled(self) -> int:
        """Frames that were made up for the last `step` or `run`, or the last queued output."""
        return 0 if self.side is None else self.side.filled

    @property
    def last_was_reset(self) -> bool:
        """Whether the state was reset just before or within them: for a gap too long, or by the end of a warm reset."""
        return self.side is not None and self.side.was_reset

    @property
    def last_events(self) -> tuple[Event, ...]:
        """What its decoder found in the outputs of the last `step` or `run`, or the last queued output, in order."""
        decoding = None if self.side is None else self.side.decoding
        return () if decoding is None else decoding.events

    @property
    def is_generating(self) -> bool:
        """Whether its next frame is a token that its sampler has drawn."""
        decoding = None if self.side is None else self.side.decoding
        return decoding is not None and decoding.is_generating

    def live_side(self) -> Side | None:
        """The side, dropped where the session steps the same without it."""
        if self.side is not None and self.side.is_spent:
            self.side = None
        return self.side

    def settle(self) -> None:
        """Let what waits for it in its lane's scheduler wait in its own queue: whoever looks at that settles first."""
        if self.n_pending:
            self._engine.scatter(self.lane)

    def leave_group(self) -> None:
        """It is not any more what its group was made of."""
        if self.group is not None:
            self.group.is_whole = False
            self.group = None

    def answer(self, n_frames: int) -> int:
        """Count `n_frames` that were just stepped as answered; the seq of the first of them."""
        self.n_pending -= n_frames
        return self._counts[self.slot] - n_frames

    def pass_over(self, n_frames: int) -> None:
        """Count `n_frames` that waited as applied; they get no answer."""
        self.n_pending -= n_frames
        self._counts[self.slot] += n_frames

    def go_on_at(self, n_applied: int) -> None:
        """Number the next frame `n_applied`; none may wait."""
        self._counts[self.slot] = n_applied

    def become(self, row: FloatArray, n_applied: int, side: Side | None) -> None:
        """Go on from the state of another: its row (state_size,), its count and its side; no frame may wait."""
        self.lane.arena.rows[self.slot] = row
        self.go_on_at(n_applied)
        self.side = side
        self.leave_group()

    def enter(self, lane: Lane, slot: int) -> int:
        """Go on in a slot of a lane, numbered as before; the slot that it had."""
        before, n_applied, n_pending, pushed_ns = self.slot, 0, 0, 0
        if before >= 0:
            n_applied, n_pending, pushed_ns = self.n_applied, self.n_pending, self.last_push_ns
        self.leave_group()
        if before >= 0 and self.side is not None and self.side.decoding is not None:
            self.side.decoding = self.side.decoding.copy(lane.model)
        self.lane, self.slot = lane, slot
        self.slots = np.array([slot], np.int64)
        self.call = lane.call_of(self.slots)
        self._counts = lane.arena.counts
        self._counts[slot], self.n_pending, self.last_push_ns = n_applied, n_pending, pushed_ns
        return before

    def detach(self) -> int:
        """Leave the slot, which is returned; the numbering stays readable."""
        slot = self.slot
        self.leave_group()
        self._n_applied = self._counts[slot]
        self.slot = -1
        return slot

    def require_idle(self, operation: str, *, may_generate: bool = False) -> None:
        """Check that the session is open and no frame waits; one that was drawn may, if said so.

        Raises:
            SessionClosedError: it was closed.
            UsageError: frames wait for a tick.
        """
        if self.slot < 0:
            raise SessionClosedError(f"session {self.id!r} is closed")
        self.settle()
        if self.queue.n_frames:
            if self.is_generating:
                if may_generate:
                    return
                raise UsageError(f"{operation}: session {self.id!r} generates; tick, finish or stop_generating first")
            waiting = f"session {self.id!r} has {self.n_pending} frames waiting"
            raise UsageError(f"{operation}: {waiting}; tick or finish first")

    def step(self, x: FloatArray, out: FloatArray | None = None, time_us: int | None = None) -> FloatArray:
        """Step by one frame.

        Args:
            x: (input_size,) float32, finite; token models: one id in [0, n_tokens).
            out: (output_size,) float32, written and returned; without it a new array is made.
            time_us: when the frame was sampled, on any clock that goes on; where the session has a gap policy, and
                only there.

        Returns:
            (output_size,) float32, owned by the caller.

        Raises:
            FrameError: wrong size, dtype or values, a time that is missing, not wanted or not above the last one, or
                an `out` of the wrong form; the state is unchanged.
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
        side: object = self.side
        if side is not time_us:  # mostly both are None
            y: FloatArray = self.run(x[None], time_us)[0]
            if out is None:
                return y
            out[...] = y
            return out
        lane.frame[...] = x
        if lane.invoke(lane.kernel, self.call.address) >= 0:
            raise lane.refusal(x, 0)
        if out is None:
            return lane.output.copy()
        out[...] = lane.output
        return out

    def run(self, xs: FloatArray, time_us: int | None = None) -> FloatArray:
        """Step by many frames in one kernel call; the same bits as one `step` for each.

        Args:
            xs: (n_frames, input_size) float32, as `step`; n_frames may be 0.
            time_us: of the first frame, as `step`; the others are `period_us` apart.

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
            if self.side is not None or time_us is not None:
                run_sided(self, frames, ys, time_us)
                return ys[:, 0]
            refused = lane.run(self.slots, frames, ys)
            if refused >= 0:
                raise lane.refusal(xs[refused], refused)
        return ys[:, 0]

    def _wrong_form(self, x: object, shape: str) -> FrameError:
        got = f"{x.dtype} {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
        return FrameError(f"expected a float32 array of shape {shape}, got {got}", input_size=self.model.input_size)

    def state_norm(self) -> float:
        """Root mean square of the state as stepped so far; `inf` where it is not finite. Raises SessionClosedError."""
        if self.slot < 0:
            raise SessionClosedError(f"session {self.id!r} is closed")
        return norm_of(self.lane, self.slot)

    def state(self) -> FloatArray:
        """A copy of the state row, (state_size,) float32; `model.program.regions` tells what stands where."""
        self.require_idle("state", may_generate=True)
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

    def reset(self, warm_frames: int = 0) -> None:
        """Return the state to that of a session that has seen no frame; numbering goes on. Raises as `require_idle`.

        Args:
            warm_frames: 0 .. `limits.max_queue_frames`, else OptionError. The next so many frames are still answered
                from the old state, while one from the start sees them too; then that one takes over. A further reset,
                and one for a gap, replaces one that is under way.
        """
        self._engine.reset(self, warm_frames)

    def generate(self, n: int, temperature: float = 1.0, top_k: int = 0, seed: int = 0, stop: int = -1) -> list[int]:
        """Feed it with its own tokens: each is drawn from the output before it and stepped, the last one too.

        Args:
            n: most tokens.
            temperature, top_k, seed, stop: see `Generation`.

        Returns:
            The tokens: n of them, or up to `stop`, itself included.

        Raises:
            OptionError: one is out of range; or the session has no sampler, or has seen no frame since its state was
                new.
            SessionClosedError, UsageError: as `require_idle`.
        """
        self.require_idle("generate")
        return generate_directly(self, Generation(n, temperature, top_k, seed, stop))

    def stop_generating(self) -> None:
        """End the generation that is under way, if one is; the token that waits is not stepped."""
        self._engine.stop_generating(self)

    def finish_decoding(self) -> tuple[Event, ...]:
        """The recording ends here: what the decoder still has open, such as the last words. Raises as `require_idle`.

        It then hears anew; the state of the model goes on.
        """
        self.require_idle("finish_decoding")
        decoding = None if self.side is None else self.side.decoding
        if decoding is None:
            return ()
        decoding.events = tuple(decoding.decoder.finish(self.next_seq))
        return decoding.events

    def close(self) -> None:
        """Give the slot back and drop waiting frames; closing again does nothing."""
        self._engine.close(self)
