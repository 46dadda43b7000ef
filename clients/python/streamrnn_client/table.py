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
        match message:
            case m.Output():
                ledger = self._live(message.handle)
                return [*ledger.answer(message.seq, _split(message.payload, message.n, ledger.opened.output.size))]
            case m.Outputs():
                return self._outputs(message)
            case m.Error():
                return self._error(message)
            case m.Opened():
                return [self._opened(message)]
            case m.Ack():
                return [_settled(self._live(message.handle).oldest_ask(message.of), message.applied_seq)]
            case m.Snapshotted():
                return [_settled(self._live(message.handle).oldest_ask("snapshot"), message.payload)]
            case m.Closed():
                return self._closed(message)
            case m.GoAway():
                self.going_away = message
                return [message]
        raise MalformedError(f"expected a message of the server, got {message.type}")

    def lose(self, error: StreamrnnClientError) -> list[Event]:
        """The connection is over: everything pending fails with `error`, which all later calls raise as well."""
        if self.over is not None:
            return []
        self.over = error
        settled: list[Event] = []
        for ledger in self.ledgers.values():
            settled += ledger.end(error)
        for opening in self.openings.values():
            opening.fail(error)
            settled.append(opening)
        self.ledgers.clear()
        self.openings.clear()
        return settled

    def _outputs(self, message: m.Outputs) -> list[Event]:
        ledgers = [self._live(handle) for handle in message.handles]
        rows = _split(message.payload, len(ledgers), ledgers[0].opened.output.size)
        settled: list[Event] = []
        for ledger, seq, row in zip(ledgers, message.seqs, rows, strict=True):
            settled += ledger.answer(seq, [row])
        return settled

    def _opened(self, message: m.Opened) -> Pending:
        opening = self.openings.pop(message.handle, None)
        if opening is None:
            raise MalformedError(f"an opened for handle {message.handle}, which was not asked")
        ledger = self.ledgers[message.handle] = Ledger(message)
        return _settled(opening, ledger)

    def _closed(self, message: m.Closed) -> list[Event]:
        ledger = self.ledgers.get(message.handle)
        if ledger is None:
            return []  # an error has told us before
        if message.reason == "closed":
            settled: list[Event] = [_settled(ledger.oldest_ask("close"), message.n_frames)]
            return settled + self._end(ledger, closed_by_owner(ledger.handle))
        if message.reason == "draining":
            return self._end(ledger, DrainingError("the server stopped and ended the session", handle=ledger.handle))
        ended = ledger.last_error or SessionClosedError("the server ended the session", handle=ledger.handle)
        return self._end(ledger, ended)

    def _error(self, message: m.Error) -> list[Event]:
        error = error_of(message)
        if error.scope == "connection":
            return self.lose(error)
        if message.of in ("open", "restore", "fork"):
            return self._refused_opening(message, error)
        if message.handle is None:
            raise MalformedError(f"an error for {message.of} that names no session: {error}")
        ledger = self.ledgers.get(message.handle)
        if ledger is None:
            return []  # the session has ended meanwhile, and what was in flight to it failed then
        ledger.last_error = error
        if isinstance(error, UnknownSessionError | SessionClosedError):
            return self._end(ledger, error)
        if message.of is None or (message.of in ("frame", "frames") and message.seq is None):
            return []  # nothing that we could tell apart: if it ends the session, `closed` follows
        if message.of in ("frame", "frames"):
            return [ledger.refuse(error)]
        ask = ledger.oldest_ask(message.of)
        ask.fail(error)
        return [ask]

    def _refused_opening(self, message: m.Error, error: StreamrnnClientError) -> list[Event]:
        for handle, opening in self.openings.items():
            if message.handle == (handle if opening.source is None else opening.source) and opening.of == message.of:
                del self.openings[handle]
                opening.fail(error)
                return [opening]
        if message.of == "fork" and message.handle not in self.ledgers:
            return []  # the session has ended meanwhile, and its forks failed then
        raise MalformedError(f"an error for {message.of} of handle {message.handle}, which was not asked")

    def _live(self, handle: int) -> Ledger:
        ledger = self.ledgers.get(handle)
        if ledger is None:
            raise MalformedError(f"an answer for handle {handle}, which is not open")
        return ledger

    def _end(self, ledger: Ledger, error: StreamrnnClientError) -> list[Event]:
        del self.ledgers[ledger.handle]
        settled: list[Event] = [*ledger.end(error)]
        for handle, opening in list(self.openings.items()):
            if opening.source == ledger.handle:
                del self.openings[handle]
                opening.fail(error)
                settled.append(opening)
        return settled


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


def _settled(pending: Pending, value: Any) -> Pending:
    pending.settle(value)
    return pending


def _split(payload: bytes, n: int, size: int) -> list[bytes]:
    step = size * FLOAT_BYTES
    if len(payload) != n * step:
        raise MalformedError(f"expected {n} outputs of {size} values, got {len(payload)} bytes")
    return [payload[start : start + step] for start in range(0, len(payload), step)]
