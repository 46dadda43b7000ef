"""What an `error` of the server does to the sessions of a client."""

from __future__ import annotations

from streamrnn_client import messages as m
from streamrnn_client.answers import error_of, perhaps_ours
from streamrnn_client.errors import (
    DrainingError,
    InternalError,
    MalformedError,
    SessionClosedError,
    SessionExistsError,
    StreamrnnClientError,
    UnknownSessionError,
)
from streamrnn_client.ledger import Ledger
from streamrnn_client.losses import SessionLostError
from streamrnn_client.pending import PendingAsk
from streamrnn_client.table import Table


class Refusals:
    """Takes the errors of the server, one by one; `table` is changed in place."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def take(self, message: m.Error) -> None:
        """What an error settles or ends.

        Raises:
            MalformedError: it cannot be the answer to anything.
        """
        error = error_of(message)
        if error.scope == "connection":
            if self._table.reconnect and isinstance(error, InternalError):
                # A bug there may spare the next connection; what we did wrong we would do again.
                self._table.broken = error
            else:
                self._table.end_all(error)
        elif self._is_of_resuming(message):
            self._not_resumed(self._table.ledgers[message.handle or 0], error)
        elif message.of in ("open", "restore", "fork"):
            self._refused_opening(message, error)
        elif message.handle is None:
            raise MalformedError(f"an error for {message.of} that names no session: {error}")
        elif message.handle in self._table.ledgers:
            self._refused(self._table.ledgers[message.handle], message, error)
        # else the session has ended meanwhile, and what was in flight to it failed then

    def _is_of_resuming(self, message: m.Error) -> bool:
        handle = message.handle
        if message.of != "open" or handle is None or handle not in self._table.ledgers:
            return False
        return self._table.resumption.answered(handle)

    def _not_resumed(self, ledger: Ledger, error: StreamrnnClientError) -> None:
        if self._table.resumption.refused(ledger, error):
            self._table.end_session(ledger, error)

    def _refused(self, ledger: Ledger, message: m.Error, error: StreamrnnClientError) -> None:
        ledger.last_error = error
        if isinstance(error, UnknownSessionError | SessionClosedError):
            self._table.end_session(ledger, error)
        elif message.of in ("frame", "frames", "generate") and message.seq is not None:
            try:
                ledger.refuse(error, self._table.events)
            except SessionLostError as lost:
                self._table.leave(ledger, lost)
        elif message.of in ("reset", "flush", "snapshot", "rollback", "close"):
            self._refused_ask(ledger, ledger.owed.oldest_ask(message.of), error)
        # else nothing that we could tell apart: if it ends the session, `closed` follows

    def _refused_ask(self, ledger: Ledger, ask: PendingAsk, error: StreamrnnClientError) -> None:
        if ask.done or ledger.course.is_deaf:
            said = f"a {ask.of} that was repeated was refused: {error}"
            self._table.leave(ledger, SessionLostError(said, from_seq=ask.position, to_seq=ledger.next_seq))
            return
        ledger.refused_ask(ask)
        self._table.fail(ask, error)

    def _refused_opening(self, message: m.Error, error: StreamrnnClientError) -> None:
        for handle, opening in self._table.openings.items():
            if message.handle == handle and opening.of == message.of:
                if self._table.reconnect and isinstance(error, DrainingError) and not opening.abandoned:
                    opening.n_sent -= 1
                    return  # it is asked again on the next connection
                if isinstance(error, SessionExistsError) and opening.n_sent > 1:
                    error = perhaps_ours(error)
                del self._table.openings[handle]
                self._table.fail(opening, error)
                return
        if message.handle not in self._table.orphans:
            raise MalformedError(f"an error for {message.of} of handle {message.handle}, which was not asked")
        self._table.orphans.discard(message.handle)
