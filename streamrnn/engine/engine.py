"""The engine: models, their sessions, and the ticks that step them. Pure: no I/O, no clock, no threads.

Two ways to use it, which may be mixed: *direct* (`session.step`, `session.run`, `Engine.step_many`) steps at once;
*queued* (`Engine.push`, then `Engine.tick`) lets frames of many sessions form batches. The bits are the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from streamrnn.engine import snapshot
from streamrnn.engine.batch import Batch
from streamrnn.engine.helpers import Helpers
from streamrnn.engine.lane import Lane
from streamrnn.engine.scheduler import Output
from streamrnn.engine.session import Session
from streamrnn.engine.snapshot import SnapshotRecord
from streamrnn.engine.versions import Live, Swap, Versions
from streamrnn.errors import (
    FrameError,
    OptionError,
    QueueFullError,
    SequenceError,
    SessionClosedError,
    SessionExistsError,
    SnapshotError,
    UnknownSessionError,
    UsageError,
)
from streamrnn.kernels.packing import FloatArray
from streamrnn.kernels.warmup import warmup
from streamrnn.limits import Limits
from streamrnn.model.model import Model

_FLOAT32 = np.dtype(np.float32)
MIN_KEY_BYTES = 16


def _random_id() -> str:
    return secrets.token_hex(8)


class Engine:
    """Keeps sessions of several models. Not thread-safe: one thread uses it at a time.

    Args:
        limits: bounds; the arenas are sized by them when a model is added.
        make_id: makes the ids of sessions that are opened without one.
        helpers: threads for big batches, such as `ThreadPoolExecutor(1)` where `limits.max_threads` is 2; they must
            outlive the last call. The outputs are the same without them, bit for bit.
        snapshot_key: at least 16 secret bytes; snapshots are signed with them (HMAC-SHA256), others are not restored.

    Raises:
        OptionError: `limits.max_threads` is above 1 and there are no helpers, or the key is too short.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        make_id: Callable[[], str] = _random_id,
        helpers: Helpers | None = None,
        snapshot_key: bytes | None = None,
    ) -> None:
        self.limits = limits or Limits()
        if self.limits.max_threads > 1 and helpers is None:
            expected = f"helpers, such as ThreadPoolExecutor({self.limits.max_threads - 1})"
            raise OptionError(f"max_threads is {self.limits.max_threads}: expected {expected}")
        if snapshot_key is not None and len(snapshot_key) < MIN_KEY_BYTES:
            raise OptionError(f"snapshot_key must have at least {MIN_KEY_BYTES} bytes, got {len(snapshot_key)}")
        self._make_id = make_id
        self._snapshot_key = snapshot_key
        self._batch: Batch | None = None
        self._versions = Versions(self.limits, helpers)
        self._sessions: dict[str, Session] = {}
        self._n_pending = 0

    # ---- models

    def add_model(self, name: str, model: Model) -> None:
        """Serve `model` as `name`; compiles or loads the kernels if that was not done yet.

        Raises:
            OptionError: the name is empty or taken.
        """
        if not name or name in self._versions.newest:
            raise OptionError(f"a model name must be new and not empty, got {name!r}")
        warmup()
        self._versions.add(name, model)

    def replace_model(self, name: str, model: Model, live: Live = "pin") -> None:
        """Serve a newer version as `name`: new sessions get it at once.

        Args:
            name: of a model that is served.
            model: the newer version.
            live: what open sessions do. `pin`: finish on their version, which goes with the last of them. `carry`: go
                on with the newer one from the same state, which must have the same layout. `reset`: go on with it from
                the initial state. Numbering goes on, and frames that wait are stepped by the newer version.

        Raises:
            UnknownModelError: no model of that name.
            OptionError: open sessions cannot go on with it, or `live` is none of these; nothing has changed.
            CapacityError: more sessions would move, of several versions, than it has slots; nothing has changed.
        """
        movers = [session for session in self._sessions.values() if session.model_name == name]
        self._versions.replace(name, model, live, movers)
        self._batch = None  # it may hold one of them

    def move(self, session: Session, swap: Swap = "carry") -> None:
        """Let one session go on with the newest version of its model; nothing happens where it has it.

        Args:
            session: open.
            swap: as `live` of `replace_model`.

        Raises:
            OptionError: it cannot go on with it; nothing has changed.
            CapacityError: every slot of the newest version is held.
            SessionClosedError: it was closed.
        """
        if session.slot < 0:
            raise SessionClosedError(f"session {session.id!r} is closed")
        self._versions.move(session, swap)
        self._batch = None  # it may hold the session

    @property
    def models(self) -> dict[str, Model]:
        """The newest version of each model by name (a copy)."""
        return {name: lane.model for name, lane in self._versions.newest.items()}

    def versions(self, name: str) -> list[tuple[Model, int]]:
        """Every version of a model that is served or has sessions, oldest first, and how many sessions it has.

        Raises:
            UnknownModelError: no model of that name.
        """
        self._versions.of_name(name)
        return [(lane.model, lane.arena.n_slots - lane.arena.n_free) for lane in self._versions.of_all(name)]

    # ---- sessions

    @property
    def n_sessions(self) -> int:
        """Open sessions of all models."""
        return len(self._sessions)

    def open(self, model: str, session_id: str | None = None) -> Session:
        """Open a session, its state that of one that has seen no frame.

        Raises:
            UnknownModelError: no model of that name.
            SessionExistsError: the id is taken.
            CapacityError: every slot of the model is held.
        """
        return self._add_session(self._versions.of_name(model), session_id)

    def _add_session(self, lane: Lane, session_id: str | None) -> Session:
        chosen = self._make_id() if session_id is None else session_id
        if not 0 < len(chosen) <= self.limits.max_id_chars:
            raise OptionError(f"a session id must have 1 to {self.limits.max_id_chars} characters, got {len(chosen)}")
        if chosen in self._sessions:
            raise SessionExistsError(f"session {chosen!r} is already open", session_id=chosen)
        session = Session(self, lane, chosen, lane.arena.take())
        self._sessions[chosen] = session
        return session

    def session(self, session_id: str) -> Session:
        """The open session of that id.

        Raises:
            UnknownSessionError: there is none.
        """
        try:
            return self._sessions[session_id]
        except KeyError:
            raise UnknownSessionError(f"no open session {session_id!r}", session_id=session_id) from None

    def close(self, session: Session) -> None:
        """Give the slot back and drop waiting frames; closing again does nothing."""
        if session.slot < 0:
            return
        if session.n_pending:
            self._n_pending -= session.n_pending
            self._versions.schedulers[session.lane].remove(session)
        self._batch = None  # it may hold the session
        session.lane.arena.release(session.detach())
        self._versions.drop_if_done(session.lane)
        del self._sessions[session.id]

    def snapshot(self, session: Session) -> bytes:
        """The session as bytes. Raises as `Session.require_idle`."""
        session.require_idle("snapshot")
        return snapshot.encode(snapshot.record_of(session), self._snapshot_key)

    def new_id(self) -> str:
        """An id for a session that is given none."""
        return self._make_id()

    def read(self, blob: bytes) -> SnapshotRecord:
        """What a snapshot holds, checked as `restore` does, but for its model. Raises SnapshotError."""
        return snapshot.decode(blob, self._snapshot_key)

    def capture(self, sessions: Sequence[Session]) -> list[SnapshotRecord]:
        """Records."""
        records = []
        for session in sessions:
            record = snapshot.record_of(session)
            records.append(replace(record, next_seq=session.n_applied, state=record.state.copy()))
        return records

    def restore(self, blob: bytes, session_id: str | None = None) -> Session:
        """Open a session from a snapshot: same state, same numbering, and by law the same bits from here on.

        Args:
            blob: from `Session.snapshot`, in this process or another.
            session_id: default: the snapshot's own where that is free, else a new one.

        Raises:
            SnapshotError: it is damaged, not signed with `snapshot_key`, or of a model that this engine does not have.
            SessionExistsError, CapacityError: as `open`.
        """
        record = snapshot.decode(blob, self._snapshot_key)
        lane = self._versions.of_digest(record.model_digest)
        if lane is None:
            digest = record.model_digest[:12]
            raise SnapshotError(f"the snapshot is of model {digest}..., which this engine does not have")
        record.check_fits(lane.model)
        if session_id is None and record.session_id not in self._sessions:
            session_id = record.session_id
        session = self._add_session(lane, session_id)
        lane.arena.rows[session.slot] = record.state
        session.go_on_at(record.next_seq)
        session.epoch = record.epoch + 1
        return session

    def rollback(self, session: Session, blob: bytes) -> None:
        """Take a session back to an earlier snapshot of its own: state and numbering.

        Raises:
            SnapshotError: as `restore`, or it is of another session; nothing has changed.
            SessionClosedError, UsageError: as `Session.require_idle`.
        """
        session.require_idle("rollback")
        record = snapshot.decode(blob, self._snapshot_key)
        if record.session_id != session.id or record.model_digest != session.model.digest:
            of = f"session {record.session_id!r} of model {record.model_digest[:12]}..."
            raise SnapshotError(f"expected a snapshot of session {session.id!r}, got one of {of}")
        record.check_fits(session.model)
        session.lane.arena.rows[session.slot] = record.state
        session.go_on_at(record.next_seq)

    def fork(self, session: Session, session_id: str | None = None) -> Session:
        """A second session with the same state and numbering. Raises as `Session.require_idle` and `open`."""
        session.require_idle("fork")
        twin = self._add_session(session.lane, session_id)
        twin.lane.arena.rows[twin.slot] = session.lane.arena.rows[session.slot]
        twin.go_on_at(session.next_seq)
        return twin

    # ---- stepping directly

    def step_many(self, sessions: Sequence[Session], x: FloatArray, out: FloatArray | None = None) -> FloatArray:
        """Step several sessions of one model by one frame each, in one kernel call per `max_batch` sessions.

        Args:
            sessions: n distinct sessions; the same ones as in the call before are checked at once.
            x: (n, input_size) float32, finite.
            out: (n, output_size) float32, written and returned; without it a new array is made.

        Returns:
            (n, output_size) float32.

        Raises:
            FrameError: wrong shape, dtype or values, or an `out` of the wrong form; no session was stepped.
            UsageError: none, one twice, or with frames waiting; sessions of several models, or of another engine.
            SessionClosedError: one was closed.
        """
        batch = self._batch
        if batch is None or self._n_pending or not batch.is_of(sessions):
            batch = self._new_batch(sessions)
        lane, shape = batch.lane, (batch.n, batch.lane.input_size)
        if x.__class__ is not np.ndarray or x.dtype != _FLOAT32 or x.shape != shape:
            got = f"{x.dtype} {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
            raise FrameError(f"expected a float32 array of shape {shape}, got {got}", input_size=lane.input_size)
        if out is not None:
            lane.check_out(out, (batch.n, lane.output_size))
        return batch.step(x, out)

    def _new_batch(self, sessions: Sequence[Session]) -> Batch:
        batch = Batch(sessions)
        if batch.lane not in self._versions.schedulers:
            raise UsageError("step_many: expected sessions of this engine, got those of another engine")
        self._batch = batch
        return batch

    # ---- stepping by ticks

    @property
    def n_pending(self) -> int:
        """Frames waiting in all sessions."""
        return self._n_pending

    def next_deadline_ns(self) -> int | None:
        """When the engine next wants a tick: 0 (at once) while frames wait, else None (not before the next push)."""
        return 0 if self._n_pending else None

    def push(
        self, session: Session, seq: int, frames: bytes | bytearray | memoryview | FloatArray, now_ns: int = 0
    ) -> None:
        """Queue frames `seq, seq + 1, ...` of a session, all or none.

        Args:
            session: open.
            seq: of the first frame; must be `session.next_seq`.
            frames: little-endian float32 bytes of whole frames, or float32 (n_frames, input_size) or (input_size,).
            now_ns: the caller's clock, ns.

        Raises:
            SequenceError: a gap or a duplicate; `fields["expected"]` is the seq that comes next.
            FrameError: wrong size, dtype or values.
            QueueFullError: more frames than `limits.max_queue_frames` would wait.
            SessionClosedError: it was closed.
        """
        if session.slot < 0:
            raise SessionClosedError(f"session {session.id!r} is closed")
        expected = session.next_seq
        if seq != expected:
            kind = "was already taken" if seq < expected else "leaves a gap"
            raise SequenceError(f"seq {seq} {kind}: expected seq {expected}", expected=expected, got=seq)
        owned = session.lane.as_frames(frames)
        waiting = session.n_pending
        if waiting + len(owned) > self.limits.max_queue_frames:
            raise QueueFullError(
                f"{waiting} frames wait, {len(owned)} more exceed the limit of {self.limits.max_queue_frames}",
                max_queue_frames=self.limits.max_queue_frames,
                waiting=waiting,
            )
        session.queue.append(owned)
        session.n_pending += len(owned)
        session.last_push_ns = now_ns
        self._n_pending += len(owned)
        if not waiting:
            self._versions.schedulers[session.lane].add(session)

    def tick(self, now_ns: int = 0) -> list[Output]:
        """Step one natural batch of every lane that has frames waiting; call again while `n_pending`."""
        outputs: list[Output] = []
        for scheduler in self._versions.schedulers.values():
            if scheduler.n_ready:
                outputs += scheduler.tick()
        self._n_pending -= sum(len(output.ys) for output in outputs)
        return outputs

    def finish(self, session: Session, now_ns: int = 0) -> list[Output]:
        """Step all that waits in one session now, before other sessions."""
        outputs: list[Output] = []
        if session.n_pending:
            scheduler = self._versions.schedulers[session.lane]
            scheduler.remove(session)
            while session.n_pending:
                outputs.append(scheduler.run(session, self.limits.max_run_frames))
            self._n_pending -= sum(len(output.ys) for output in outputs)
        return outputs
