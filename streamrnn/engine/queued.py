"""Queued stepping: frames of many sessions wait, and each tick steps a batch of them."""

from __future__ import annotations

from streamrnn.decode.generation import Generation
from streamrnn.engine.generating import arm, put_token
from streamrnn.engine.overload import Skipped, make_room
from streamrnn.engine.scheduler import Output
from streamrnn.engine.session import Session
from streamrnn.engine.sessions import Sessions
from streamrnn.engine.side import check_time
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
        if session.slot < 0:
            raise SessionClosedError(f"session {session.id!r} is closed")
        expected = session.next_seq
        if session.side is not None and seq >= expected and session.is_generating:
            raise GeneratingError(f"session {session.id!r} generates; its frames are its own until that has ended")
        if seq != expected:
            kind = "was already taken" if seq < expected else "leaves a gap"
            raise SequenceError(f"seq {seq} {kind}: expected seq {expected}", expected=expected, got=seq)
        owned = session.lane.as_frames(frames)
        n, side, waiting, skipped = len(owned), session.side, session.n_pending, None
        if side is not None or time_us is not None:
            time_us = check_time(session, time_us, n)
        if waiting + n > session.max_queue_frames:
            skipped = make_room(session, n)
            self._n_pending -= skipped.n
        if side is not None:
            side.expect(seq, time_us, n)
        session.queue.append(owned)
        session.n_pending += n
        session.last_push_ns = now_ns
        self._n_pending += n
        if not waiting:
            self._versions.schedulers[session.lane].add(session)
        return skipped

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
        outputs: list[Output] = []
        for scheduler in self._versions.schedulers.values():
            if scheduler.n_ready:
                outputs += scheduler.tick()
        self._n_pending -= sum(len(output.ys) for output in outputs)
        for output in outputs:
            if output.events and output.session.is_generating:
                output.session.last_push_ns = now_ns
                self._go_on_generating(output.session)
        return outputs

    def finish(self, session: Session, now_ns: int = 0) -> list[Output]:
        """Step all that waits in one session now, before other sessions; a generation to its end."""
        outputs: list[Output] = []
        if session.n_pending:
            scheduler = self._versions.schedulers[session.lane]
            scheduler.remove(session)
            while session.n_pending:
                output = scheduler.run(session, self.limits.max_run_frames)
                outputs.append(output)
                self._n_pending += put_token(session) - len(output.ys)
        return outputs
