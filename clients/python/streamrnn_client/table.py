"""The sessions of one connection by handle, and what each message of the server does to them."""

from __future__ import annotations

from typing import Any

from streamrnn_client import messages as m
from streamrnn_client.errors import (
    BY_CODE,
    DrainingError,
    MalformedError,
    SessionClosedError,
    StreamrnnClientError,
    UnknownSessionError,
)
from streamrnn_client.floats import FLOAT_BYTES
from streamrnn_client.ledger import Ledger, closed_by_owner
from streamrnn_client.pending import Pending, PendingAsk

Event = Pending | m.GoAway
MAX_HANDLE = 2**31 - 1


class Table:
    """Live sessions in `ledgers`, those asked for in `openings`; once `over` is set, the connection has ended."""

    def __init__(self) -> None:
        self.ledgers: dict[int, Ledger] = {}
        self.openings: dict[int, PendingAsk] = {}
        self.going_away: m.GoAway | None = None
        self.over: StreamrnnClientError | None = None
        self._events: list[Pending] = []
        self._notices: list[m.GoAway] = []
        self._last_handle = -1

    @property
    def n_unanswered(self) -> int:
        """Frames of all sessions that were sent and neither answered nor refused."""
        return sum(ledger.n_unanswered for ledger in self.ledgers.values())

    def free_handle(self) -> int:
        """The next free handle in a round, so that one is used again as late as possible."""
        while True:
            self._last_handle = self._last_handle + 1 if self._last_handle < MAX_HANDLE else 0
            if self._last_handle not in self.ledgers and self._last_handle not in self.openings:
                return self._last_handle

    def take(self, message: m.Message) -> list[Event]:
        """What a message of the server settles.

        Raises:
            MalformedError: it cannot be the answer to anything.
        """
        self._take(message)
        return self._given()

    def lose(self, error: StreamrnnClientError) -> list[Event]:
        """The connection is over: everything pending fails with `error`, which all later calls raise as well."""
        if self.over is None:
            self._lose(error)
        return self._given()

    def _given(self) -> list[Event]:
        """What has been settled since. Kept until here, so that a message that is wrong half way hides nothing."""
        events: list[Event] = [*self._events, *self._notices]
        self._events.clear()
        self._notices.clear()
        return events

    def _take(self, message: m.Message) -> None:
        match message:
            case m.Output():
                ledger = self._live(message.handle)
                outputs = _split(message.payload, message.n, ledger.opened.output.size)
                ledger.answer(message.seq, outputs, self._events)
            case m.Outputs():
                self._outputs(message)
            case m.Error():
                self._error(message)
            case m.Opened():
                self._opened(message)
            case m.Ack():
                self._settle(self._live(message.handle).oldest_ask(message.of), message.applied_seq)
            case m.Snapshotted():
                self._settle(self._live(message.handle).oldest_ask("snapshot"), message.payload)
            case m.Closed():
                self._closed(message)
            case m.GoAway():
                self.going_away = message
                self._notices.append(message)
            case _:
                raise MalformedError(f"expected a message of the server, got {message.type}")

    def _outputs(self, message: m.Outputs) -> None:
        ledgers = [self._live(handle) for handle in message.handles]
        rows = _split(message.payload, len(ledgers), ledgers[0].opened.output.size)
        for ledger, seq, row in zip(ledgers, message.seqs, rows, strict=True):
            ledger.answer(seq, [row], self._events)

    def _opened(self, message: m.Opened) -> None:
        opening = self.openings.pop(message.handle, None)
        if opening is None:
            raise MalformedError(f"an opened for handle {message.handle}, which was not asked")
        ledger = self.ledgers[message.handle] = Ledger(message)
        self._settle(opening, ledger)

    def _closed(self, message: m.Closed) -> None:
        ledger = self.ledgers.get(message.handle)
        if ledger is None:
            return  # an error has told us before
        error: StreamrnnClientError
        if message.reason == "closed":
            self._settle(ledger.oldest_ask("close"), message.n_frames)
            error = closed_by_owner(ledger.handle)
        elif message.reason == "draining":
            error = DrainingError("the server stopped and ended the session", handle=ledger.handle)
        else:
            error = ledger.last_error or SessionClosedError("the server ended the session", handle=ledger.handle)
        self._end(ledger, error)

    def _error(self, message: m.Error) -> None:
        error = error_of(message)
        if error.scope == "connection":
            self._lose(error)
        elif message.of in ("open", "restore", "fork"):
            self._refused_opening(message, error)
        elif message.handle is None:
            raise MalformedError(f"an error for {message.of} that names no session: {error}")
        elif message.handle in self.ledgers:
            self._refused(self.ledgers[message.handle], message, error)
        # else the session has ended meanwhile, and what was in flight to it failed then

    def _refused(self, ledger: Ledger, message: m.Error, error: StreamrnnClientError) -> None:
        ledger.last_error = error
        if isinstance(error, UnknownSessionError | SessionClosedError):
            self._end(ledger, error)
        elif message.of in ("frame", "frames") and message.seq is not None:
            self._events.append(ledger.refuse(error))
        elif message.of in ("reset", "flush", "snapshot", "close"):
            self._fail(ledger.oldest_ask(message.of), error)
        # else nothing that we could tell apart: if it ends the session, `closed` follows

    def _refused_opening(self, message: m.Error, error: StreamrnnClientError) -> None:
        for handle, opening in self.openings.items():
            if message.handle == (handle if opening.source is None else opening.source) and opening.of == message.of:
                del self.openings[handle]
                self._fail(opening, error)
                return
        if message.of != "fork" or message.handle in self.ledgers:
            raise MalformedError(f"an error for {message.of} of handle {message.handle}, which was not asked")
        # else the session has ended meanwhile, and its forks failed then

    def _lose(self, error: StreamrnnClientError) -> None:
        self.over = error
        for ledger in list(self.ledgers.values()):
            self._end(ledger, error)
        for opening in self.openings.values():
            self._fail(opening, error)
        self.openings.clear()

    def _live(self, handle: int) -> Ledger:
        ledger = self.ledgers.get(handle)
        if ledger is None:
            raise MalformedError(f"an answer for handle {handle}, which is not open")
        return ledger

    def _end(self, ledger: Ledger, error: StreamrnnClientError) -> None:
        del self.ledgers[ledger.handle]
        self._events += ledger.end(error)
        for handle, opening in list(self.openings.items()):
            if opening.source == ledger.handle:
                del self.openings[handle]
                self._fail(opening, error)

    def _settle(self, pending: Pending, value: Any) -> None:
        pending.settle(value)
        self._events.append(pending)

    def _fail(self, pending: Pending, error: StreamrnnClientError) -> None:
        pending.fail(error)
        self._events.append(pending)


def error_of(message: m.Error) -> StreamrnnClientError:
    """The exception that an `error` message stands for."""
    return BY_CODE.get(message.code, StreamrnnClientError)(
        message.message,
        code=message.code,
        scope=message.scope,
        retryable=message.retryable,
        handle=message.handle,
        seq=message.seq,
        expected_seq=message.expected_seq,
    )


def _split(payload: bytes, n: int, size: int) -> list[bytes]:
    step = size * FLOAT_BYTES
    if len(payload) != n * step:
        raise MalformedError(f"expected {n} outputs of {size} values, got {len(payload)} bytes")
    return [payload[start : start + step] for start in range(0, len(payload), step)]
