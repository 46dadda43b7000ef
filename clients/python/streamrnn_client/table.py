"""The sessions of a client by handle: which live, which are asked for, and how one ends.

Handles stay what they are from one connection to the next: on a new one all are free, so each session takes its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamrnn_client import messages as m
from streamrnn_client.errors import MalformedError, StreamrnnClientError
from streamrnn_client.ledger import MAX_REPLAY_BYTES, Ledger
from streamrnn_client.news import SessionEvent
from streamrnn_client.pending import Pending, PendingAsk
from streamrnn_client.resumption import Resumption

Event = Pending | m.GoAway | SessionEvent
MAX_HANDLE = 2**31 - 1


class Table:
    """Live sessions in `ledgers`, those asked for in `openings`; once `over` is set, all has ended.

    `orphans` are handles of forks whose source has ended meanwhile: should they open, they are closed.
    `left` are handles whose sessions have ended here and are still open in the server, until their `close` is answered.
    `closes` are such handles for which it is to be sent. `events` and `notices` is what has come of messages and is not
    told yet. `broken` is set where only the connection has failed, by a fault of the server.
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
        self.reconnect = reconnect
        self.max_replay_bytes = max_replay_bytes if reconnect else 0
        self.events: list[Pending] = []
        self.notices: list[m.GoAway | SessionEvent] = []
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

    def end(self, error: StreamrnnClientError) -> list[Event]:
        """All is over: everything pending fails with `error`, which all later calls raise as well."""
        if self.over is None:
            self.end_all(error)
        return self.given()

    def part(self, error: StreamrnnClientError) -> list[Event]:
        """The connection is lost: sessions that can be resumed wait for the next one, the others end with `error`."""
        self.going_away = self.broken = None
        self.left.clear()
        self.orphans.clear()
        self.closes.clear()
        self.resumption.begin()
        for ledger in list(self.ledgers.values()):
            self.let_wait(ledger, error)
        for handle, opening in list(self.openings.items()):
            if opening.abandoned:
                del self.openings[handle]
                self.fail(opening, error)
        return self.given()

    def given(self) -> list[Event]:
        """What has been settled since. Kept until here, so that a message that is wrong half way hides nothing."""
        events: list[Event] = [*self.events, *self.notices]
        self.events.clear()
        self.notices.clear()
        return events

    def live(self, handle: int) -> Ledger:
        """The session that the server has open under that handle.

        Raises:
            MalformedError: there is none.
        """
        ledger = self.ledgers.get(handle)
        if ledger is None or not ledger.is_here:
            raise MalformedError(f"an answer for handle {handle}, which is not open")
        return ledger

    def may_fall_in(self, ledgers: Sequence[Ledger]) -> bool:
        """Nothing but their frames concerns these sessions: they live, no times are told, none is being copied."""
        if any(opening.source is not None for opening in self.openings.values()):
            return False
        return all(ledger.live and not ledger.has_times and not ledger.has_turn for ledger in ledgers)

    def let_wait(self, ledger: Ledger, error: StreamrnnClientError) -> None:
        """Let it wait to be resumed, if it can be."""
        if self.reconnect and ledger.tokens:
            ledger.part(self.events)
        else:
            self.end_session(ledger, error)

    def leave(self, ledger: Ledger, error: StreamrnnClientError) -> None:
        """It is over here, and open in the server."""
        self.end_session(ledger, error)
        self.close_left(ledger.handle)

    def close_left(self, handle: int) -> None:
        """Tell the server to end what is over here."""
        self.left.add(handle)
        self.closes.append(handle)

    def end_all(self, error: StreamrnnClientError) -> None:
        """As `end`, with what is settled left to be given."""
        self.over = error
        for ledger in list(self.ledgers.values()):
            self.end_session(ledger, error)
        for opening in self.openings.values():
            self.fail(opening, error)
        self.openings.clear()

    def end_session(self, ledger: Ledger, error: StreamrnnClientError) -> None:
        """One session is over, and its forks that are not open yet."""
        del self.ledgers[ledger.handle]
        self.resumption.forget(ledger)
        self._n_repeated += ledger.n_repeated
        self.events += ledger.end(error)
        for handle, opening in list(self.openings.items()):
            if opening.source == ledger.handle:
                del self.openings[handle]
                self.fail(opening, error)
                if opening.n_sent:
                    self.orphans.add(handle)

    def settle(self, pending: Pending, value: Any) -> None:
        """Its answer came."""
        pending.settle(value)
        self.events.append(pending)

    def fail(self, pending: Pending, error: StreamrnnClientError) -> None:
        """It will never come."""
        pending.fail(error)
        self.events.append(pending)
