"""The sessions that an engine has: opened, copied, closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from streamrnn.decode.settings import Settings
from streamrnn.engine import side_form, snapshot
from streamrnn.engine.batch import Batch
from streamrnn.engine.decoding import Decoding, chosen_settings
from streamrnn.engine.gaps import Gaps
from streamrnn.engine.generating import put_token, take_token
from streamrnn.engine.lane import Lane
from streamrnn.engine.overload import Overload, check_queue
from streamrnn.engine.session import Session
from streamrnn.engine.side import Side
from streamrnn.engine.snapshot import MAX_COUNT, SnapshotRecord
from streamrnn.engine.versions import Versions
from streamrnn.errors import OptionError, SessionClosedError, SessionExistsError, SnapshotError, UnknownSessionError
from streamrnn.limits import Limits


class Parked(NamedTuple):
    """What is left of a parked session."""

    lane: Lane
    session_id: str
    snapshot: bytes
    max_queue_frames: int
    overload: Overload


class Sessions:
    """Open sessions of several models.

    Args:
        limits: bounds.
        versions: the lanes.
        make_id: makes the ids of sessions that are opened without one.
        snapshot_key: signs snapshots; None: they have a checksum.
    """

    def __init__(
        self, limits: Limits, versions: Versions, make_id: Callable[[], str], snapshot_key: bytes | None
    ) -> None:
        self.limits = limits
        self._versions = versions
        self._make_id = make_id
        self._snapshot_key = snapshot_key
        self._sessions: dict[str, Session] = {}
        self._batch: Batch | None = None
        self._n_pending = 0

    @property
    def n_sessions(self) -> int:
        """Open sessions of all models."""
        return len(self._sessions)

    def open(
        self,
        model: str,
        session_id: str | None = None,
        *,
        max_queue_frames: int | None = None,
        overload: Overload = "reject",
        gaps: Gaps | None = None,
        decoder: Settings | Literal["model"] | None = None,
    ) -> Session:
        """Open a session, its state that of one that has seen no frame.

        Args:
            model: name of the model; the session gets its newest version.
            session_id: default: a new one.
            max_queue_frames: most frames that may wait in it, at least 1; at most, and by default, that of the limits.
            overload: what becomes of frames beyond that, see `engine.overload`.
            gaps: what becomes of samples that are missing by their times; None: frames have no times.
            decoder: settings of what finds events in its outputs, see `decode.settings`; `model`: those in the model's
                card, if it has some; None: nothing does.

        Raises:
            UnknownModelError: no model of that name.
            SessionExistsError: the id is taken.
            CapacityError: every slot of the model is held.
            OptionError: an option out of range, or a gap policy or decoder that the model cannot have.
        """
        lane = self._versions.of_name(model)
        side_form.check_fits(gaps, lane)
        settings = chosen_settings(decoder, lane.model)
        decoding = None if settings is None else Decoding(settings, lane.model)
        session = self._add_session(lane, session_id, max_queue_frames, overload)
        session.side = None if gaps is None and decoding is None else Side(gaps, decoding)
        return session

    def _add_session(
        self, lane: Lane, session_id: str | None, max_queue_frames: int | None, overload: Overload
    ) -> Session:
        most = check_queue(max_queue_frames, overload, self.limits)
        chosen = self._make_id() if session_id is None else session_id
        if not 0 < len(chosen) <= self.limits.max_id_chars:
            raise OptionError(f"a session id must have 1 to {self.limits.max_id_chars} characters, got {len(chosen)}")
        if chosen in self._sessions:
            raise SessionExistsError(f"session {chosen!r} is already open", session_id=chosen)
        session = Session(self, lane, chosen, lane.arena.take())
        session.max_queue_frames, session.overload = most, overload
        self._sessions[chosen] = session
        return session

    def new_id(self) -> str:
        """An id for a session that is given none."""
        return self._make_id()

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
            session.settle()
            self._n_pending -= session.n_pending
            self._versions.schedulers[session.lane].remove(session)
        self._batch = None  # it may hold the session
        session.lane.arena.release(session.detach())
        self._versions.drop_if_done(session.lane)
        del self._sessions[session.id]

    def scatter(self, lane: Lane) -> None:
        """Let the frames that wait in a lane's scheduler wait in their sessions."""
        scheduler = self._versions.schedulers.get(lane)  # a lane that was dropped has nothing waiting
        if scheduler is not None:
            scheduler.scatter()

    def reset(self, session: Session, warm_frames: int = 0) -> None:
        """Return the state to its start, at once or once it has warmed up: as `Session.reset`, and raises as it."""
        session.require_idle("reset", may_generate=True)
        most = self.limits.max_queue_frames
        if not isinstance(warm_frames, int) or isinstance(warm_frames, bool) or not 0 <= warm_frames <= most:
            raise OptionError(f"warm_frames: expected an integer of 0 to {most}, got {warm_frames!r}")
        self.stop_generating(session)
        if warm_frames:
            session.side = session.side or Side()
            session.side.warm_up(warm_frames)
            session.leave_group()
            self._batch = None  # it may hold the session, as one without a side
            return
        session.lane.arena.reset(session.slot)
        if session.side is not None:
            session.side.start()

    def stop_generating(self, session: Session) -> None:
        """End the generation that is under way, if one is: as `Session.stop_generating`."""
        n = take_token(session)
        if n:
            self._n_pending -= n
            self._versions.schedulers[session.lane].remove(session)

    def _go_on_generating(self, session: Session) -> None:
        """Let the token wait that was drawn, if one was."""
        n = put_token(session)
        if n:
            self._n_pending += n
            self._versions.schedulers[session.lane].add(session)

    # ---- copies

    def read(self, blob: bytes) -> SnapshotRecord:
        """What a snapshot holds, checked as `restore` does, but for its model. Raises SnapshotError."""
        return snapshot.decode(blob, self._snapshot_key)

    def snapshot(self, session: Session) -> bytes:
        """The session as bytes. Raises as `Session.require_idle`."""
        session.require_idle("snapshot", may_generate=True)
        return snapshot.encode(snapshot.record_of(session), self._snapshot_key)

    def capture(self, sessions: Sequence[Session]) -> list[SnapshotRecord]:
        """What snapshots of many sessions would hold, in order: copies, to be encoded later, in any thread.

        Frames may wait: a record holds the state after the frames that were stepped and is numbered so, and what waits
        is not in it. `engine.snapshot.encode(record, key)` makes the bytes.

        Raises:
            SessionClosedError: one was closed.
        """
        for session in sessions:
            if session.slot < 0:
                raise SessionClosedError(f"session {session.id!r} is closed")
        return snapshot.capture(sessions)

    def restore(
        self,
        blob: bytes,
        session_id: str | None = None,
        *,
        max_queue_frames: int | None = None,
        overload: Overload = "reject",
        epoch: int | None = None,
    ) -> Session:
        """Open a session from a snapshot: same state, same numbering, and by law the same bits from here on.

        The gap policy, the decoder, and a warm reset or a generation that is under way are part of the snapshot.

        Args:
            blob: from `Session.snapshot`, in this process or another.
            session_id: default: the snapshot's own where that is free, else a new one.
            max_queue_frames, overload: as `open`.
            epoch: of the session, 0 .. 2^62; default: one above the snapshot's, which may be anyone's claim where
                snapshots are not signed.

        Raises:
            SnapshotError: it is damaged, not signed with `snapshot_key`, or of a model that this engine does not have.
            SessionExistsError, CapacityError, OptionError: as `open`.
        """
        if epoch is not None and not 0 <= epoch <= MAX_COUNT:
            raise OptionError(f"epoch: expected 0 to 2^62, got {epoch}")
        record = snapshot.decode(blob, self._snapshot_key)
        lane = self._versions.of_digest(record.model_digest)
        if lane is None:
            digest = record.model_digest[:12]
            raise SnapshotError(f"the snapshot is of model {digest}..., which this engine does not have")
        if session_id is None and record.session_id not in self._sessions:
            session_id = record.session_id
        session = self._restored(lane, record, session_id, max_queue_frames, overload)
        session.epoch = record.epoch + 1 if epoch is None else epoch
        return session

    def _restored(
        self,
        lane: Lane,
        record: SnapshotRecord,
        session_id: str | None,
        max_queue_frames: int | None,
        overload: Overload,
    ) -> Session:
        record.check_fits(lane.model)
        side = record.side(lane)
        session = self._add_session(lane, session_id, max_queue_frames, overload)
        session.become(record.state, record.next_seq, side)
        self._go_on_generating(session)
        return session

    # ---- parking

    def park(self, session: Session) -> Parked:
        """Close a session and keep only its snapshot; its version of the model stays until it wakes or is let go.

        Raises as `Session.require_idle`.
        """
        parked = Parked(session.lane, session.id, self.snapshot(session), session.max_queue_frames, session.overload)
        session.lane.n_parked += 1
        session.close()
        return parked

    def wake(self, parked: Parked) -> Session:
        """Go on with a parked session, once.

        Raises:
            CapacityError: every slot of its version is held; it stays parked.
            SessionExistsError: its id was given to another meanwhile.
        """
        record = snapshot.decode(parked.snapshot, self._snapshot_key)
        session = self._restored(parked.lane, record, parked.session_id, parked.max_queue_frames, parked.overload)
        session.epoch = record.epoch
        parked.lane.n_parked -= 1
        return session

    def let_go(self, parked: Parked) -> None:
        """Forget a parked session, once."""
        parked.lane.n_parked -= 1
        self._versions.drop_if_done(parked.lane)

    def rollback(self, session: Session, blob: bytes) -> None:
        """Take a session back to an earlier snapshot of its own: state and numbering.

        Raises:
            SnapshotError: as `restore`, or it is of another session; nothing has changed.
            SessionClosedError, UsageError: as `Session.require_idle`.
        """
        session.require_idle("rollback", may_generate=True)
        record = snapshot.decode(blob, self._snapshot_key)
        if record.session_id != session.id or record.model_digest != session.model.digest:
            of = f"session {record.session_id!r} of model {record.model_digest[:12]}..."
            raise SnapshotError(f"expected a snapshot of session {session.id!r}, got one of {of}")
        record.check_fits(session.model)
        side = record.side(session.lane)
        self.stop_generating(session)
        session.become(record.state, record.next_seq, side)
        self._go_on_generating(session)
        self._batch = None  # it may hold the session, as one with another side

    def fork(self, session: Session, session_id: str | None = None) -> Session:
        """A second session with the same state, numbering and options. Raises as `Session.require_idle` and `open`."""
        session.require_idle("fork", may_generate=True)
        twin = self._add_session(session.lane, session_id, session.max_queue_frames, session.overload)
        row = session.lane.arena.rows[session.slot]
        twin.become(row, session.n_applied, None if session.side is None else session.side.copy())
        self._go_on_generating(twin)
        return twin
