"""The sessions of a client by handle, and what each message of the server does to them.

Handles stay what they are from one connection to the next: on a new one all are free, so each session takes its own.
"""

from __future__ import annotations

from typing import Any

from streamrnn_client import messages as m
from streamrnn_client.answers import error_of, perhaps_ours, split
from streamrnn_client.errors import (
    DrainingError,
    InternalError,
    MalformedError,
    SessionClosedError,
    SessionExistsError,
    SessionExpiredError,
    StreamrnnClientError,
    TakenOverError,
    UnknownSessionError,
)
from streamrnn_client.ledger import MAX_REPLAY_BYTES, Ledger, closed_by_owner
from streamrnn_client.losses import SessionLostError
from streamrnn_client.news import SessionEvent
from streamrnn_client.pending import PLAIN, Mark, Pending, PendingAsk
from streamrnn_client.resumption import Resumption

Event = Pending | m.GoAway | SessionEvent
MAX_HANDLE = 2**31 - 1


class Table:
    """Live sessions in `ledgers`, those asked for in `openings`; once `over` is set, all has ended.

    `orphans` are handles of forks whose source has ended meanwhile: should they open, they are closed.
    `left` are handles whose sessions have ended here and are still open in the server, until their `close` is answered.
    `closes` are such handles for which it is to be sent.
    """

    def __init__(self, *, reconnect: bool = False, max_replay_bytes: int = MAX_REPLAY_BYTES) -> None:
        self.ledgers: dict[int, Ledger] = {}
        self.openings: dict[int, PendingAsk] = {}
        self.left: set[int] = set()
        self.orphans: set[int] = set()
        self.closes: list[int] = []
        self.going_away: m.GoAway | None = None
        self.over: StreamrnnClientError | None = None
        self.broken: StreamrnnClientError | None = None
        self.resumption = Resumption()
        self.n_replayed = 0
        self._n_repeated = 0
        self._reconnect = reconnect
        self._max_replay_bytes = max_replay_bytes if reconnect else 0
        self._events: list[Pending] = []
        self._notices: list[m.GoAway | SessionEvent] = []
        self._last_handle = -1

    @property
    def n_unanswered(self) -> int:
        """Frames of all sessions that were sent and neither answered nor refused."""
        return sum(ledger.n_unanswered for ledger in self.ledgers.values())

    @property
    def n_repeated(self) -> int:
        """Outputs that came again and were passed over."""
        return self._n_repeated + sum(ledger.n_repeated for ledger in self.ledgers.values())

    def free_handle(self) -> int:
        """The next free handle in a round, so that one is used again as late as possible."""
        while True:
            self._last_handle = self._last_handle + 1 if self._last_handle < MAX_HANDLE else 0
            handle = self._last_handle
            if not any(handle in taken for taken in (self.ledgers, self.openings, self.left, self.orphans)):
                return handle

    def take(self, message: m.Message) -> list[Event]:
        """What a message of the server settles.

        Raises:
            MalformedError: it cannot be the answer to anything.
        """
        if getattr(message, "handle", None) in self.left:
            if isinstance(message, m.Closed) or (isinstance(message, m.Error) and message.of == "close"):
                self.left.discard(message.handle or 0)
            return []
        self._take(message)
        return self.given()

    def end(self, error: StreamrnnClientError) -> list[Event]:
        """All is over: everything pending fails with `error`, which all later calls raise as well."""
        if self.over is None:
            self._end_all(error)
        return self.given()

    def part(self, error: StreamrnnClientError) -> list[Event]:
        """The connection is lost: sessions that can be resumed wait for the next one, the others end with `error`."""
        self.going_away = self.broken = None
        self.left.clear()
        self.orphans.clear()
        self.closes.clear()
        self.resumption.begin()
        for ledger in list(self.ledgers.values()):
            self._part(ledger, error)
        for handle, opening in list(self.openings.items()):
            if opening.abandoned:
                del self.openings[handle]
                self._fail(opening, error)
        return self.given()

    def given(self) -> list[Event]:
        """What has been settled since. Kept until here, so that a message that is wrong half way hides nothing."""
        events: list[Event] = [*self._events, *self._notices]
        self._events.clear()
        self._notices.clear()
        return events

    def _take(self, message: m.Message) -> None:
        match message:
            case m.Output():
                ledger = self._live(message.handle)
                outputs = split(message.payload, message.n, ledger.opened.output.size)
                mark = Mark(message.filled, message.was_reset) if message.filled or message.was_reset else PLAIN
                ledger.answer(message.seq, outputs, self._events, mark)
            case m.Outputs():
                self._outputs(message)
            case m.Skipped():
                self._skipped(message)
            case m.Error():
                self._error(message)
            case m.Opened():
                self._opened(message)
            case m.Ack():
                self._ack(message)
            case m.Snapshotted():
                self._settle(self._live(message.handle).oldest_ask("snapshot"), message.payload)
            case m.Event():
                ledger = self._live(message.handle)
                ledger.is_parked = message.name == "parked"
                self._notices.append(SessionEvent(ledger.opened.session_id, message.name, message.next_seq))
            case m.Closed():
                self._closed(message)
            case m.GoAway():
                self.going_away = message
                self._notices.append(message)
            case _:
                raise MalformedError(f"expected a message of the server, got {message.type}")

    def _outputs(self, message: m.Outputs) -> None:
        ledgers = [None if handle in self.left else self._live(handle) for handle in message.handles]
        size = next((ledger.opened.output.size for ledger in ledgers if ledger is not None), 0)
        if not size:
            return
        rows = split(message.payload, len(ledgers), size)
        for ledger, seq, row in zip(ledgers, message.seqs, rows, strict=True):
            if ledger is not None:
                ledger.answer(seq, [row], self._events)

    def _skipped(self, message: m.Skipped) -> None:
        ledger = self._live(message.handle)
        n_before = ledger.n_skipped
        ledger.answer(message.seq, [b""] * message.n, self._events, Mark(is_stepped=message.is_stepped))
        n = ledger.n_skipped - n_before
        if n:
            first = message.seq + message.n - n
            said = SessionEvent(ledger.opened.session_id, "skipped", first, n, message.is_stepped)
            self._notices.append(said)

    def _opened(self, message: m.Opened) -> None:
        ledger = self.ledgers.get(message.handle)
        if ledger is not None and self.resumption.answered(message.handle):
            self._resumed(ledger, message)
            return
        opening = self.openings.pop(message.handle, None)
        if message.handle in self.orphans:
            self.orphans.discard(message.handle)
            self._close_left(message.handle)
            return
        if opening is None:
            raise MalformedError(f"an opened for handle {message.handle}, which was not asked")
        asked = opening.message if isinstance(opening.message, m.Open) else None
        if isinstance(opening.message, m.Fork) and opening.message.handle in self.ledgers:
            source = self.ledgers[opening.message.handle]
            asked = source.asked if source.has_options else None
        self.ledgers[message.handle] = Ledger(message, asked, self._max_replay_bytes)
        self._settle(opening, self.ledgers[message.handle])

    def _resumed(self, ledger: Ledger, message: m.Opened) -> None:
        if ledger.handle in self.resumption.wrong:
            ledger.tokens.reverse()
        if ledger.was_closed(message):
            self._leave(ledger, closed_by_owner(ledger.handle))
            return
        try:
            n_replayed = ledger.resumed(message, self._events)
            self.resumption.n_replayed += n_replayed
            self.n_replayed += n_replayed
            self.resumption.n_resumed += 1
        except SessionLostError as error:
            self._leave(ledger, error)

    def _ack(self, message: m.Ack) -> None:
        ledger = self._live(message.handle)
        if message.of != "checkpoint":
            ask = ledger.oldest_ask(message.of)
            if message.of == "rollback":
                ledger.rolled_back(ask, message.applied_seq)
            if not ask.done:  # else it was repeated after a loss
                self._settle(ask, message.applied_seq)
        ledger.saved(message.durable_seq, is_checkpoint=message.of == "checkpoint")

    def _closed(self, message: m.Closed) -> None:
        ledger = self.ledgers.get(message.handle)
        if ledger is None:
            return  # an error has told us before
        error: StreamrnnClientError
        if message.reason == "closed":
            self._settle(ledger.oldest_ask("close"), message.n_frames)
            error = closed_by_owner(ledger.handle)
        elif message.reason == "draining":
            self._part(ledger, DrainingError("the server stopped and ended the session", handle=ledger.handle))
            return
        elif message.reason == "expired":
            error = SessionExpiredError("the session was silent for too long and is forgotten", handle=ledger.handle)
        elif message.reason == "taken_over":
            error = TakenOverError("another connection has resumed the session", handle=ledger.handle)
        else:
            error = ledger.last_error or SessionClosedError("the server ended the session", handle=ledger.handle)
        self.end_session(ledger, error)

    def _error(self, message: m.Error) -> None:
        error = error_of(message)
        if error.scope == "connection":
            if self._reconnect and isinstance(error, InternalError):
                self.broken = error  # a bug there may spare the next connection; what we did wrong we would do again
            else:
                self._end_all(error)
        elif message.of == "open" and message.handle in self.ledgers and self.resumption.answered(message.handle):
            self._not_resumed(self.ledgers[message.handle], error)
        elif message.of in ("open", "restore", "fork"):
            self._refused_opening(message, error)
        elif message.handle is None:
            raise MalformedError(f"an error for {message.of} that names no session: {error}")
        elif message.handle in self.ledgers:
            self._refused(self.ledgers[message.handle], message, error)
        # else the session has ended meanwhile, and what was in flight to it failed then

    def _not_resumed(self, ledger: Ledger, error: StreamrnnClientError) -> None:
        if self.resumption.refused(ledger, error):
            self.end_session(ledger, error)

    def _refused(self, ledger: Ledger, message: m.Error, error: StreamrnnClientError) -> None:
        ledger.last_error = error
        if isinstance(error, UnknownSessionError | SessionClosedError):
            self.end_session(ledger, error)
        elif message.of in ("frame", "frames") and message.seq is not None:
            try:
                ledger.refuse(error, self._events)
            except SessionLostError as lost:
                self._leave(ledger, lost)
        elif message.of in ("reset", "flush", "snapshot", "rollback", "close"):
            self._refused_ask(ledger, ledger.oldest_ask(message.of), error)
        # else nothing that we could tell apart: if it ends the session, `closed` follows

    def _refused_ask(self, ledger: Ledger, ask: PendingAsk, error: StreamrnnClientError) -> None:
        if ask.done or ledger.course.is_deaf:
            said = f"a {ask.of} that was repeated was refused: {error}"
            self._leave(ledger, SessionLostError(said, from_seq=ask.position, to_seq=ledger.next_seq))
            return
        ledger.refused_ask(ask)
        self._fail(ask, error)

    def _refused_opening(self, message: m.Error, error: StreamrnnClientError) -> None:
        for handle, opening in self.openings.items():
            if message.handle == handle and opening.of == message.of:
                if self._reconnect and isinstance(error, DrainingError) and not opening.abandoned:
                    opening.n_sent -= 1
                    return  # it is asked again on the next connection
                if isinstance(error, SessionExistsError) and opening.n_sent > 1:
                    error = perhaps_ours(error)
                del self.openings[handle]
                self._fail(opening, error)
                return
        if message.handle not in self.orphans:
            raise MalformedError(f"an error for {message.of} of handle {message.handle}, which was not asked")
        self.orphans.discard(message.handle)

    def _live(self, handle: int) -> Ledger:
        ledger = self.ledgers.get(handle)
        if ledger is None or not ledger.course.is_live:
            raise MalformedError(f"an answer for handle {handle}, which is not open")
        return ledger

    def _part(self, ledger: Ledger, error: StreamrnnClientError) -> None:
        """Let it wait to be resumed, if it can be."""
        if self._reconnect and ledger.tokens:
            ledger.part(self._events)
        else:
            self.end_session(ledger, error)

    def _leave(self, ledger: Ledger, error: StreamrnnClientError) -> None:
        """It is over here, and open in the server."""
        self.end_session(ledger, error)
        self._close_left(ledger.handle)

    def _close_left(self, handle: int) -> None:
        self.left.add(handle)
        self.closes.append(handle)

    def _end_all(self, error: StreamrnnClientError) -> None:
        self.over = error
        for ledger in list(self.ledgers.values()):
            self.end_session(ledger, error)
        for opening in self.openings.values():
            self._fail(opening, error)
        self.openings.clear()

    def end_session(self, ledger: Ledger, error: StreamrnnClientError) -> None:
        """One session is over, and its forks that are not open yet."""
        del self.ledgers[ledger.handle]
        self.resumption.forget(ledger)
        self._n_repeated += ledger.n_repeated
        self._events += ledger.end(error)
        for handle, opening in list(self.openings.items()):
            if opening.source == ledger.handle:
                del self.openings[handle]
                self._fail(opening, error)
                if opening.n_sent:
                    self.orphans.add(handle)

    def _settle(self, pending: Pending, value: Any) -> None:
        pending.settle(value)
        self._events.append(pending)

    def _fail(self, pending: Pending, error: StreamrnnClientError) -> None:
        pending.fail(error)
        self._events.append(pending)
