"""Queued stepping: frames of many sessions wait, and each tick steps a batch of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamrnn.decode.generation import Generation
from streamrnn.engine.block import Columns
from streamrnn.engine.generating import arm, put_token
from streamrnn.engine.group import Group
from streamrnn.engine.output import Output
from streamrnn.engine.overload import Skipped, make_room
from streamrnn.engine.scheduler import Pick
from streamrnn.engine.session import Session
from streamrnn.engine.sessions import Sessions
from streamrnn.engine.side import check_time
from streamrnn.engine.tick import Answer, Tick, flat
from streamrnn.errors import GeneratingError, SequenceError, SessionClosedError
from streamrnn.kernels.packing import FloatArray


class Queued(Sessions):
    """Sessions whose frames wait to be stepped."""

    @property
    def n_pending(self) -> int:
        """Frames waiting in all sessions."""
        return self._n_pending

    def next_deadline_ns(self) -> int | None:
        """When the engine next wants a tick: 0 (at once) while frames wait, else None (not before the next push)."""
        return 0 if self._n_pending else None

    def push(
        self,
        session: Session,
        seq: int,
        frames: bytes | bytearray | memoryview | FloatArray,
        now_ns: int = 0,
        time_us: int | None = None,
    ) -> Skipped | None:
        """Queue frames `seq, seq + 1, ...` of a session, all or none.

        Args:
            session: open.
            seq: of the first frame; must be `session.next_seq`.
            frames: little-endian float32 bytes of whole frames, or float32 (n_frames, input_size) or (input_size,).
            now_ns: the caller's clock, ns.
            time_us: when the first frame was sampled, on any clock that goes on; the others are `period_us` apart.
                Where the session has a gap policy, and only there.

        Returns:
            The frames that make room for these and get no output, where that is the session's policy; mostly None.

        Raises:
            SequenceError: a gap or a duplicate; `fields["expected"]` is the seq that comes next.
            FrameError: wrong size, dtype or values, or a time that is missing, not wanted or not above the last one.
            QueueFullError: more frames than `session.max_queue_frames` would wait, and its policy is `reject`, or
                these alone are more.
            GeneratingError: these come behind a generation that is under way.
            SessionClosedError: it was closed.
        """
        slot, lane = session.slot, session.lane
        if slot < 0:
            raise SessionClosedError(f"session {session.id!r} is closed")
        arena = lane.arena
        waiting = arena.pending[slot]
        expected = arena.counts[slot] + waiting
        if (
            not waiting
            and seq == expected
            and frames.__class__ is bytes
            and len(frames) == lane.frame_bytes
            and session.side is None
            and time_us is None
            and not (scheduler := self._versions.schedulers[lane]).n_ready
            and session.overload == "reject"
            and scheduler.gather(session, frames)
        ):  # most frames are such
            arena.pending[slot], arena.pushes[slot] = 1, now_ns
            self._n_pending += 1
            return None
        if session.side is not None and seq >= expected and session.is_generating:
            raise GeneratingError(f"session {session.id!r} generates; its frames are its own until that has ended")
        if seq != expected:
            kind = "was already taken" if seq < expected else "leaves a gap"
            raise SequenceError(f"seq {seq} {kind}: expected seq {expected}", expected=expected, got=seq)
        owned = lane.as_frames(frames)
        n, side, skipped = len(owned), session.side, None
        is_ready = session.queue.n_frames > 0
        if side is not None or time_us is not None:
            time_us = check_time(session, time_us, n)
        if waiting + n > session.max_queue_frames:
            skipped = make_room(session, n)
            self._n_pending -= skipped.n
        if side is not None:
            side.expect(seq, time_us, n)
        if not is_ready:
            self._versions.schedulers[lane].add(session)
        session.queue.append(owned)
        arena.pending[slot] += n
        arena.pushes[slot] = now_ns
        self._n_pending += n
        return skipped

    def group(self, sessions: Sequence[Session]) -> Group:
        """Sessions whose frames come together, for `push_group`. Raises as `Group`."""
        return Group(sessions)

    def push_group(self, group: Group, seqs: NDArray[np.int64], frames: bytes, now_ns: int = 0) -> bool:
        """Queue one frame for each session of a group, all or none, without a loop over them.

        Args:
            group: of sessions of this engine.
            seqs: (n,) int64, of the frames.
            frames: little-endian float32 (n, input_size).
            now_ns: the caller's clock, ns.

        Returns:
            False: nothing was queued, for it is not whole any more, or some frame is refused or must wait behind
            others in its session's queue; `push` of each tells which.
        """
        lane = group.lane
        n, scheduler = len(group), self._versions.schedulers.get(lane)
        if scheduler is None or not group.is_whole or len(frames) != n * lane.frame_bytes:
            return False
        if scheduler.n_ready and any(session.queue.n_frames for session in group.sessions):
            return False
        arena, slots = lane.arena, group.slots
        pending = arena.n_pending[slots]
        if pending.max() >= group.max_queue_frames or not np.array_equal(arena.n_applied[slots] + pending, seqs):
            return False
        x = np.ndarray((1, n, lane.input_size), "<f4", bytearray(frames))
        if lane.find_refused_at(x.ctypes.data, n, lane.input_size, lane.n_tokens) >= 0:
            return False
        arena.n_pending[slots] += 1
        arena.pushed_ns[slots] = now_ns
        self._n_pending += n
        scheduler.add_columns(Columns(group, x))
        return True

    def generate(self, session: Session, generation: Generation, now_ns: int = 0) -> None:
        """Let an idle session feed itself: from here on each of its outputs has a `token` event, to the last.

        Every tick steps one token of it, in a batch with what else is ready, and draws the next one. Until the last
        output, which tells the `cause`, frames of others are refused.

        Raises:
            OptionError: it has no sampler, or has seen no frame since its state was new.
            SessionClosedError, UsageError: as `Session.require_idle`.
        """
        session.require_idle("generate")
        arm(session, generation)
        session.last_push_ns = now_ns
        self._go_on_generating(session)

    def tick(self, now_ns: int = 0) -> list[Output]:
        """Step one natural batch of every lane that has frames waiting; call again while `n_pending`."""
        tick = self.begin_tick()
        if tick is None:
            return []
        tick.run()
        return flat(self.end_tick(tick, now_ns))

    def begin_tick(self) -> Tick | None:
        """Pick one natural batch of every lane that has frames waiting; None: none has.

        `Tick.run` steps it, in any thread, and `end_tick` gives the answers; in between nothing else may be asked of
        the engine. Where `run` fails, the sessions' frames are lost: close those that have some pending.
        """
        picks: list[Pick] = []
        for scheduler in self._versions.schedulers.values():
            scheduler.pick(picks)
        return Tick(picks) if picks else None

    def end_tick(self, tick: Tick, now_ns: int = 0) -> list[Answer]:
        """The answers of a tick that has run, in order; who feeds itself has its next frame waiting again."""
        answers = tick.answers()
        self._n_pending -= tick.n_frames
        for answer in answers:
            if answer.__class__ is Output and answer.events and answer.session.is_generating:
                answer.session.last_push_ns = now_ns
                self._go_on_generating(answer.session)
        return answers

    def finish(self, session: Session, now_ns: int = 0) -> list[Output]:
        """Step all that waits in one session now, before other sessions; a generation to its end."""
        outputs: list[Output] = []
        if session.n_pending:
            session.settle()
            scheduler = self._versions.schedulers[session.lane]
            scheduler.remove(session)
            while session.n_pending:
                output = scheduler.run(session, self.limits.max_run_frames)
                outputs.append(output)
                self._n_pending += put_token(session) - len(output.ys)
        return outputs
