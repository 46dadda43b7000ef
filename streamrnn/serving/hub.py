"""Peers, sessions and engine joined: frames in from every connection, outputs back to the one they belong to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from streamrnn.engine.block import Stepped
from streamrnn.engine.engine import Engine
from streamrnn.engine.output import Output
from streamrnn.engine.overload import Skipped
from streamrnn.engine.session import Session
from streamrnn.engine.tick import Answer, Tick
from streamrnn.errors import InternalError
from streamrnn.limits import Limits
from streamrnn.serving.hosted import Hosted
from streamrnn.serving.life import DRAINING, LIVE, OPEN
from streamrnn.serving.lives import Lives
from streamrnn.serving.party import Party
from streamrnn.serving.peer import Peer
from streamrnn.serving.piece import Piece
from streamrnn.serving.roll import Roll
from streamrnn.serving.roster import OnTurn
from streamrnn.serving.token import make_token
from streamrnn.wire.codec import Codec
from streamrnn.wire.refusal import GOING_AWAY, RESTART

log = logging.getLogger("streamrnn.serving")

AnyParty = TypeVar("AnyParty", bound=Party)


class Hub(Lives):
    """The whole server minus sockets, clock and store.

    Args:
        engine: holds the models; nobody else may tick it.
        limits: bounds of messages, connections and sessions.
        has_store: somebody runs `errands` in a store, in order, and hands each back to its `then`.
        on_turn: see `roster.OnTurn`.
        new_token: makes resume tokens.

    Attributes:
        peers: connections that are open.
        dirty: peers with something to write, in the order in which it came up; the caller empties it.
        is_deaf: the deadline of the stop has passed, and messages are not read any more.
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        *,
        has_store: bool = False,
        on_turn: OnTurn | None = None,
        new_token: Callable[[], str] = make_token,
    ) -> None:
        super().__init__(engine, limits, has_store, on_turn)
        self.new_token = new_token
        self.peers: dict[Party, None] = {}
        self.dirty: dict[Party, None] = {}
        self.is_deaf = False
        self._codecs: dict[str, Codec] = {}

    @property
    def n_pending(self) -> int:
        """Frames that wait to be stepped."""
        return self.engine.n_pending

    # ---- connections

    def attach(self, protocol: str) -> Peer:
        """Return the peer of a new connection that speaks sub-protocol `protocol`."""
        codec = self._codecs.get(protocol)
        if codec is None:
            codec = self._codecs[protocol] = Codec(protocol, self.limits)
        return self.admit(Peer(self, codec))

    def admit(self, party: AnyParty) -> AnyParty:
        """Count a new connection's dialogue in, and return it."""
        self.peers[party] = None
        return party

    def detach(self, peer: Party, now_ns: int, *, is_done: bool = False) -> None:
        """Forget a connection that is gone; its sessions can be resumed, unless the client said that it is done."""
        if is_done:
            for hosted in list(peer.sessions.values()):
                self.close(hosted)
        peer.close(0, now_ns)
        self.peers.pop(peer, None)
        self.dirty.pop(peer, None)

    # ---- stepping

    def tick(self, now_ns: int) -> int:
        """Step one natural batch and hand its outputs to their peers. Returns the sessions stepped."""
        tick = self.begin_tick()
        if tick is None:
            return 0
        try:
            tick.run()
        except Exception as fault:
            return self.end_tick(tick, fault, now_ns)
        return self.end_tick(tick, None, now_ns)

    def begin_tick(self) -> Tick | None:
        """Pick one natural batch; None: nothing waits. `Tick.run` steps it, in any thread, then comes `end_tick`.

        In between nothing else may be asked of the hub or its peers.
        """
        try:
            return self.engine.begin_tick()
        except Exception as fault:
            self._fail_tick(fault)
            return None

    def end_tick(self, tick: Tick, fault: Exception | None, now_ns: int) -> int:
        """Hand the outputs of a tick to their peers; `fault` is what its run raised. Returns the sessions stepped."""
        if fault is None:
            try:
                self._route(self.engine.end_tick(tick, now_ns), now_ns)
            except Exception as raised:
                fault = raised
        if fault is not None:
            self._fail_tick(fault)
            return 0
        return tick.n_sessions

    def _fail_tick(self, fault: Exception) -> None:
        log.error("a tick failed", exc_info=fault)
        self._break_pending()

    def finish(self, hosted: Hosted, now_ns: int) -> Session:
        """Step all that waits in one session now, hand the outputs to its peer, and return it, awake."""
        if hosted.session is None:
            self.stir(hosted, now_ns)
        session = hosted.session
        assert session is not None
        if session.n_pending:
            self._route(self.engine.finish(session, now_ns), now_ns)
        return session

    def _route(self, answers: Sequence[Answer], now_ns: int) -> None:
        left: list[Hosted] = []
        for answer in answers:
            if isinstance(answer, Stepped):
                roll = answer.group.tag if answer.group is not None and answer.group.is_whole else None
                if isinstance(roll, Roll):
                    roll.answer(self, answer)
                else:
                    self._route_block(answer, left)
            else:
                self._route_output(answer, left)
        for hosted in left:
            self.park(hosted, now_ns)

    def _route_block(self, stepped: Stepped, left: list[Hosted]) -> None:
        by_session, payload, start = self.roster.by_session, stepped.ys.tobytes(), 0
        size = len(payload) // len(stepped.sessions)
        for session, seq in zip(stepped.sessions, stepped.seqs, strict=True):
            end = start + size
            hosted = by_session.get(session)
            if hosted is not None:
                self._hand_over(hosted, session, Piece(seq, 1, payload[start:end]), left)
            start = end

    def _route_output(self, output: Output, left: list[Hosted]) -> None:
        session, seq, ys, filled, was_reset, events = output
        hosted = self.roster.by_session.get(session)
        if hosted is not None:
            if events:
                self.tally.n_frames += sum(event.kind == "token" for event in events)
            piece = Piece(seq, len(ys), ys.tobytes(), filled, was_reset, events=events)
            self._hand_over(hosted, session, piece, left)

    def _hand_over(self, hosted: Hosted, session: Session, piece: Piece, left: list[Hosted]) -> None:
        """Keep a piece, and let its session's client have it; a session that was left and is done joins `left`."""
        hosted.ring.add(piece)
        n, end_seq = piece.n, piece.seq + piece.n
        self.tally.n_outputs += n
        if end_seq > hosted.mark_seq:
            self.checkpoints.mark(hosted, end_seq)
        peer = hosted.peer
        if peer is not None:
            peer.put_piece(hosted.handle, piece)
            self.dirty[peer] = None
        elif not session.n_pending and hosted.life != DRAINING:
            left.append(hosted)

    def _break_pending(self) -> None:
        """End the sessions that a failed tick may have touched; the others go on."""
        for hosted in self.roster:
            if hosted.session is not None and hosted.session.n_pending:
                if hosted.peer is not None:
                    fault = InternalError("the server failed to step the session")
                    hosted.peer.refuse(fault, "frame", hosted.handle)
                self.end_session(hosted, "error")

    def skip(self, hosted: Hosted, skipped: Skipped) -> None:
        """Frames made room for others: they have no output, which stands in its place."""
        self.tally.n_skipped += skipped.n
        piece = Piece(skipped.seq, skipped.n, b"", is_stepped=skipped.is_stepped)
        hosted.ring.add(piece)
        if skipped.seq + skipped.n > hosted.mark_seq:
            self.checkpoints.mark(hosted, skipped.seq + skipped.n)
        if hosted.peer is not None:
            hosted.peer.put_piece(hosted.handle, piece)
            self.dirty[hosted.peer] = None

    # ---- time

    def next_deadline_ns(self) -> int | None:
        """When `advance` next has something to do; a deadline that is past is due at once."""
        found = [at_ns for at_ns in (self.roster.next_ns, self.checkpoints.next_ns) if at_ns is not None]
        return min(found, default=None)

    def advance(self, now_ns: int) -> None:
        """Do what time demands: park the silent, let go of the long parked, ask for checkpoints."""
        silent, stale = self.roster.due(now_ns)
        for hosted in silent:
            self.park(hosted, now_ns)
        for hosted in stale:
            self.end_session(hosted, "expired", is_forgotten=True)
        save = self.checkpoints.collect(now_ns)
        if save is not None:
            self.errands.append(save)

    # ---- the stop

    def drain(self, deadline_ms: int) -> None:
        """Take no new sessions any more, and tell every peer."""
        for hosted in self.roster:
            if hosted.life in (OPEN, LIVE):
                self.roster.turn(hosted, "drain")
        for peer in list(self.peers):
            peer.go_away(deadline_ms)

    def settle(self, now_ns: int) -> None:
        """Read no more, step all that waits, and ask for a last checkpoint of what is not saved.

        Repeat until `is_settled`.
        """
        self.is_deaf = True
        for hosted in self.roster:
            try:
                if hosted.session is not None and hosted.session.n_pending:
                    self.finish(hosted, now_ns)
            except Exception:
                log.exception("session %s failed at the end", hosted.id)
        save = self.checkpoints.collect(now_ns, is_last=True)
        if save is not None:
            self.errands.append(save)

    @property
    def is_settled(self) -> bool:
        """Nothing waits to be stepped or saved."""
        return not self.n_pending and (not self.has_store or self.checkpoints.is_idle)

    def end(self, now_ns: int) -> None:
        """Step all that waits, end every session with reason `draining`, and close every connection."""
        if self.n_pending:
            self.settle(now_ns)
        for peer in list(self.peers):
            had_sessions = bool(peer.sessions)
            for hosted in list(peer.sessions.values()):
                self.end_session(hosted, "draining")
            peer.close(RESTART if had_sessions else GOING_AWAY, now_ns)
        for hosted in self.roster:
            self.end_session(hosted, "draining")
