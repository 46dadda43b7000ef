"""What each message of the server does to the sessions of a client; errors are a matter of `refusals`."""

from __future__ import annotations

from streamrnn_client import messages as m
from streamrnn_client.answers import split
from streamrnn_client.comeback import bring_back, was_closed
from streamrnn_client.errors import (
    DrainingError,
    MalformedError,
    SessionClosedError,
    SessionExpiredError,
    StreamrnnClientError,
    TakenOverError,
)
from streamrnn_client.ledger import Ledger, closed_by_owner
from streamrnn_client.losses import SessionLostError
from streamrnn_client.news import SessionEvent
from streamrnn_client.pending import PLAIN, Mark
from streamrnn_client.refusals import Refusals
from streamrnn_client.table import Event, Table


class Intake:
    """Takes the messages of the server, one by one; `table` is changed in place."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._refusals = Refusals(table)

    def take(self, message: m.Message) -> list[Event]:
        """What a message of the server settles.

        Raises:
            MalformedError: it cannot be the answer to anything.
        """
        if self._table.left and getattr(message, "handle", None) in self._table.left:
            if isinstance(message, m.Closed) or (isinstance(message, m.Error) and message.of == "close"):
                self._table.left.discard(message.handle or 0)
            return []
        self._take(message)
        return self._table.given()

    def _take(self, message: m.Message) -> None:
        match message:
            case m.Output():
                ledger = self._table.live(message.handle)
                if self._is_in_step(ledger, message):
                    return
                outputs = split(message.payload, message.n, ledger.opened.output.size)
                ledger.answer(message.seq, outputs, self._table.events, _mark_of(message))
            case m.Outputs():
                self._outputs(message)
            case m.Skipped():
                self._skipped(message)
            case m.Error():
                self._refusals.take(message)
            case m.Opened():
                self._opened(message)
            case m.Ack():
                self._ack(message)
            case m.Snapshotted():
                self._table.settle(self._table.live(message.handle).owed.oldest_ask("snapshot"), message.payload)
            case m.Event():
                ledger = self._table.live(message.handle)
                ledger.is_parked = message.name == "parked"
                self._table.notices.append(SessionEvent(ledger.opened.session_id, message.name, message.next_seq))
            case m.Closed():
                self._closed(message)
            case m.GoAway():
                self._table.going_away = message
                self._table.notices.append(message)
            case _:
                raise MalformedError(f"expected a message of the server, got {message.type}")

    def _outputs(self, message: m.Outputs) -> None:
        first = self._table.ledgers.get(message.handles[0])
        lockstep = None if first is None else first.lockstep
        if lockstep is not None and lockstep.hear(message.handles, message.seqs, message.payload, self._table.events):
            return
        ledgers = [None if handle in self._table.left else self._table.live(handle) for handle in message.handles]
        size = next((ledger.opened.output.size for ledger in ledgers if ledger is not None), 0)
        if not size:
            return
        rows = split(message.payload, len(ledgers), size)
        for ledger, seq, row in zip(ledgers, message.seqs, rows, strict=True):
            if ledger is not None:
                ledger.answer(seq, [row], self._table.events)

    def _is_in_step(self, ledger: Ledger, message: m.Output) -> bool:
        """A session in a lockstep was answered by itself."""
        lockstep = ledger.lockstep
        if lockstep is None or message.n != 1 or _mark_of(message) is not PLAIN:
            return False
        return lockstep.hear([message.handle], [message.seq], message.payload, self._table.events)

    def _skipped(self, message: m.Skipped) -> None:
        ledger = self._table.live(message.handle)
        n_before, end = ledger.n_skipped, message.seq + message.n
        if end > ledger.next_seq and not ledger.course.is_deaf:
            raise MalformedError(f"skipped frames to seq {end - 1} of handle {message.handle}, which were not sent")
        # Its `n` may be anything: of what is answered already no list is made.
        first = end - 1 if ledger.course.is_deaf else min(max(message.seq, ledger.answered_seq + 1), end - 1)
        ledger.answer(first, [b""] * (end - first), self._table.events, Mark(is_stepped=message.is_stepped))
        n = ledger.n_skipped - n_before
        if n:
            first = message.seq + message.n - n
            said = SessionEvent(ledger.opened.session_id, "skipped", first, n, message.is_stepped)
            self._table.notices.append(said)

    def _opened(self, message: m.Opened) -> None:
        ledger = self._table.ledgers.get(message.handle)
        if ledger is not None and self._table.resumption.answered(message.handle):
            self._resumed(ledger, message)
            return
        opening = self._table.openings.pop(message.handle, None)
        if message.handle in self._table.orphans:
            self._table.orphans.discard(message.handle)
            self._table.close_left(message.handle)
            return
        if opening is None:
            raise MalformedError(f"an opened for handle {message.handle}, which was not asked")
        asked = opening.message if isinstance(opening.message, m.Open) else None
        if isinstance(opening.message, m.Fork) and opening.message.handle in self._table.ledgers:
            source = self._table.ledgers[opening.message.handle]
            asked = source.asked if source.has_options else None
        self._table.ledgers[message.handle] = Ledger(message, asked, self._table.max_replay_bytes)
        self._table.settle(opening, self._table.ledgers[message.handle])

    def _resumed(self, ledger: Ledger, message: m.Opened) -> None:
        if ledger.handle in self._table.resumption.wrong:
            ledger.tokens.reverse()
        if was_closed(ledger, message):
            self._table.leave(ledger, closed_by_owner(ledger.handle))
            return
        try:
            n_replayed = bring_back(ledger, message, self._table.events)
            self._table.resumption.n_replayed += n_replayed
            self._table.n_replayed += n_replayed
            self._table.resumption.n_resumed += 1
        except SessionLostError as error:
            self._table.leave(ledger, error)

    def _ack(self, message: m.Ack) -> None:
        ledger = self._table.live(message.handle)
        if message.of != "checkpoint":
            ask = ledger.owed.oldest_ask(message.of)
            if message.of == "rollback":
                ledger.rolled_back(ask, message.applied_seq)
            if not ask.done:  # else it was repeated after a loss
                self._table.settle(ask, message.applied_seq)
        ledger.saved(message.durable_seq, is_checkpoint=message.of == "checkpoint")

    def _closed(self, message: m.Closed) -> None:
        ledger = self._table.ledgers.get(message.handle)
        if ledger is None:
            return  # an error has told us before
        error: StreamrnnClientError
        if message.reason == "closed":
            self._table.settle(ledger.owed.oldest_ask("close"), message.n_frames)
            error = closed_by_owner(ledger.handle)
        elif message.reason == "draining":
            error = DrainingError("the server stopped and ended the session", handle=ledger.handle)
            self._table.let_wait(ledger, error)
            return
        elif message.reason == "expired":
            error = SessionExpiredError("the session was silent for too long and is forgotten", handle=ledger.handle)
        elif message.reason == "taken_over":
            error = TakenOverError("another connection has resumed the session", handle=ledger.handle)
        else:
            error = ledger.last_error or SessionClosedError("the server ended the session", handle=ledger.handle)
        self._table.end_session(ledger, error)


def _mark_of(message: m.Output) -> Mark:
    """What is told beside the values.

    Raises:
        MalformedError: an event is of no frame of the message.
    """
    if not (message.filled or message.was_reset or message.events):
        return PLAIN
    for event in message.events:
        if not message.seq <= event.seq < message.seq + message.n:
            raise MalformedError(f"an event of seq {event.seq} with outputs of others")
    return Mark(message.filled, message.was_reset, events=message.events)
