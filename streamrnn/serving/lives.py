"""The lives of a server's sessions: kept, woken, left, parked, ended; their clients and the store are told."""

from __future__ import annotations

import logging
from collections import deque

from streamrnn.engine.engine import Engine
from streamrnn.engine.session import Session
from streamrnn.limits import Limits
from streamrnn.serving.checkpoints import Checkpoints
from streamrnn.serving.errands import Errand, Forget
from streamrnn.serving.hosted import Hosted, Terms
from streamrnn.serving.life import DRAINING, OPEN, PARKED, Turn
from streamrnn.serving.party import Reason
from streamrnn.serving.roster import OnTurn, Roster
from streamrnn.serving.tally import Tally
from streamrnn.wire.messages import Ack, Event
from streamrnn.wire.refusal import RESTART

log = logging.getLogger("streamrnn.serving")


class Lives:
    """Sessions that outlive their connections, and with a store their server.

    Args:
        engine: where those are that are not parked.
        limits: bounds.
        has_store: whether somebody runs `errands`.
        on_turn: see `roster.OnTurn`.

    Attributes:
        errands: what is wanted of the store; the caller empties it.
        roster: the sessions.
        checkpoints: when they are saved.
        tally: what was counted.
    """

    def __init__(self, engine: Engine, limits: Limits, has_store: bool, on_turn: OnTurn | None) -> None:
        self.engine = engine
        self.limits = limits
        self.has_store = has_store
        self.tally = Tally()
        self.errands: deque[Errand] = deque()
        self.roster = Roster(engine, limits, self.tally, on_turn)
        self.checkpoints = Checkpoints(engine, limits, self.tally, self._tell_durable, self._lose_to_another)

    @property
    def n_sessions(self) -> int:
        """Sessions that are kept, parked ones among them."""
        return len(self.roster)

    @property
    def expire_ms(self) -> int:
        """Longest time for which a parked session is kept."""
        return self.limits.expire_stored_ms if self.has_store else self.limits.expire_ms

    def host(self, session: Session, terms: Terms, now_ns: int, *, is_durable: bool = True) -> Hosted:
        """Keep a session that was opened in the engine, and where it `is_durable` in the store too."""
        hosted = Hosted(session, terms, self.limits)
        session.max_queue_frames, session.overload = hosted.window, terms.overload
        self.roster.add(hosted, now_ns)
        if self.has_store and is_durable:
            self.checkpoints.watch(hosted)
        return hosted

    def stir(self, hosted: Hosted, now_ns: int) -> None:
        """A message wants a session's state: wake it if it is parked.

        Raises:
            CapacityError: as `Roster.wake`.
        """
        if hosted.life == PARKED:
            self.roster.wake(hosted, "wake", now_ns)
            self._tell(hosted, "live")
        elif hosted.life == OPEN:
            self.roster.turn(hosted, "frame")

    def note_change(self, hosted: Hosted) -> None:
        """A session's state has changed without a frame."""
        if self.has_store:
            self.checkpoints.mark_now(hosted)

    def leave(self, hosted: Hosted, now_ns: int) -> None:
        """A session's connection is gone: it waits to be resumed."""
        hosted.leave_peer()
        self.note_change(hosted)
        if hosted.session is not None and not hosted.session.n_pending and hosted.life != DRAINING:
            self.park(hosted, now_ns)

    def park(self, hosted: Hosted, now_ns: int) -> None:
        """Take the slot of an idle session; the longest parked ones go if there are too many."""
        self.roster.park(hosted, now_ns)
        self._tell(hosted, "parked")
        for oldest in self.roster.beyond_limit():
            self.end_session(oldest, "expired")  # its client goes on from what the store has, however old that is

    def close(self, hosted: Hosted, turn: Turn = "close") -> None:
        """Forget a session for good, here and in the store; nothing is said. One that is over stays so."""
        if hosted.is_over:
            return
        self._drop(hosted, turn)
        if self.has_store:
            owners = [(hosted.id, hosted.epoch)]
            self.errands.append(Forget(_ignore, owners, self.checkpoints.renewed(hosted)))

    def end_session(self, hosted: Hosted, reason: Reason, *, is_forgotten: bool = False) -> None:
        """Keep a session no longer, and tell the client; what the store has of it stays unless it `is_forgotten`."""
        peer, n_frames = hosted.peer, hosted.n_applied
        turn: Turn = "expire" if reason == "expired" else "close"
        if is_forgotten:
            self.close(hosted, turn)
        else:
            self._drop(hosted, turn)
        if peer is not None:
            peer.tell_closed(hosted.handle, reason, n_frames)

    def _drop(self, hosted: Hosted, turn: Turn) -> None:
        if hosted.is_over:
            return
        if hosted.peer is not None:
            hosted.peer.sessions.pop(hosted.handle, None)
            hosted.leave_peer()
        self.checkpoints.drop(hosted)
        self.roster.remove(hosted, turn)

    def _lose_to_another(self, hosted: Hosted, now_ns: int) -> None:
        """Another server has claimed the session."""
        log.warning("session %s has another owner", hosted.id)
        peer = hosted.peer
        if hosted.is_unconfirmed and peer is not None:
            # Perhaps it was only asked for there; the client comes back, and the store will say which state counts.
            self._drop(hosted, "close")
            peer.close(RESTART, now_ns)
        else:
            self.end_session(hosted, "taken_over")

    def _tell(self, hosted: Hosted, name: str) -> None:
        if hosted.peer is not None:
            hosted.peer.send(Event(hosted.handle, name, hosted.next_seq))  # type: ignore[arg-type]

    def _tell_durable(self, hosted: Hosted) -> None:
        if hosted.peer is not None:
            hosted.peer.send(Ack(hosted.handle, "checkpoint", hosted.n_applied - 1, hosted.durable_seq))


def _ignore(result: object, fault: object, now_ns: int) -> None:
    """Nobody waits for it: what a store does not forget now expires in it."""
