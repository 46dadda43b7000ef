"""A client's dialogue without any I/O: calls make messages to send, received messages settle what is pending.

It outlives connections. Both shells, asyncio and blocking, are this, a `Line` and a socket. A call returns a `Pending`;
`receive`, `lose` and `end` return those that they settled and what else the shell must hear of. Not thread-safe: the
shell serialises. It reads no clock and draws no random numbers.

To drive it by hand:

    dialogue = Dialogue(Options())               # as if on a first connection
    pending = dialogue.open("vad")               # any call, at any time
    sent = dialogue.take_outbox()                # encoded messages for the server, in order; after each call below too
    events = dialogue.receive(payload)           # one message of the server
    events = dialogue.lose(ConnectionLostError("cut"))   # the connection is gone; messages under way are lost
    dialogue.attach()                            # a new connection stands: the outbox holds what resumes the sessions
    dialogue.resume_refused()                    # after a wait, while `n_refused` is not 0: the server could not yet
    events = dialogue.end(error)                 # give up: everything pending fails, `table.over` is set

`Reconnector` says when to dial, with a clock and a random source that are passed in; `is_idle` says that there is no
need to. `is_resumed` is true once every session goes on.
"""

from __future__ import annotations

from collections.abc import Iterable

from streamrnn_client import messages as m
from streamrnn_client.calls import Calls, frame_of
from streamrnn_client.errors import StreamrnnClientError
from streamrnn_client.intake import Intake
from streamrnn_client.layout import key_of
from streamrnn_client.ledger import Ledger
from streamrnn_client.losses import is_passing
from streamrnn_client.options import Options
from streamrnn_client.pending import Drawn, Kept, PendingAsk
from streamrnn_client.table import Event


class Dialogue(Calls):
    """The calls of one client, what the server says to them, and the connections that come and go meanwhile."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.lost_by: StreamrnnClientError | None = None
        self.n_reconnects = 0
        self._intake = Intake(self.table)

    @property
    def is_idle(self) -> bool:
        """There is nothing for which a connection is needed."""
        return not (self.table.ledgers or self.table.openings)

    @property
    def is_resumed(self) -> bool:
        """A connection stands, and every session goes on on it."""
        return self.is_attached and self.table.resumption.done

    @property
    def n_refused(self) -> int:
        """Sessions that the server cannot resume at the moment."""
        return len(self.table.resumption.refused_by)

    def take_outbox(self) -> list[bytes]:
        """The messages that are to be sent now."""
        taken, self.outbox = self.outbox, []
        return taken

    def receive(self, payload: bytes) -> list[Event]:
        """Take one message of the server; returns what it settled.

        Raises:
            MalformedError: it is none, or one that cannot be the answer to anything; the connection is to be given up.
        """
        lockstep = self.locksteps.get(key_of(payload)) if self.locksteps else None
        if lockstep is not None:
            batch = lockstep.hear_whole(payload)
            if batch is not None:
                return [batch]
            if lockstep.is_over:
                del self.locksteps[key_of(payload)]
        message = self.codec.decode(payload)
        events = self._intake.take(message)
        if self.table.broken is not None:
            return events + self.lose(self.table.broken)
        for event in events:
            if isinstance(event, PendingAsk) and event.abandoned and isinstance(event.value, Ledger):
                self.close(event.value)
        self._pump(message)
        return events

    def lose(self, error: StreamrnnClientError) -> list[Event]:
        """The connection is gone. What can be resumed waits for the next one, if there may be one; else all ends."""
        if not self.is_attached:
            return []
        if not (self.options.reconnect and is_passing(error)):
            return self.end(error)
        self.is_attached = False
        self.lost_by = error
        self.outbox.clear()
        return self.table.part(error)

    def attach(self) -> None:
        """A new connection stands: ask for every session again, and for what was asked and not answered."""
        if self.is_attached or self.table.over is not None:
            return
        self.is_attached = True
        self.n_reconnects += 1
        for ledger in self.table.ledgers.values():
            self._send(self.table.resumption.message(ledger))
        for opening in self.table.openings.values():
            if opening.source is None:
                opening.n_sent += 1
                self._send(opening.message)

    def resume_refused(self) -> None:
        """Ask again for the sessions that the server could not resume."""
        for handle in list(self.table.resumption.refused_by):
            self._send(self.table.resumption.message(self.table.ledgers[handle]))

    def end_refused(self) -> list[Event]:
        """Give up the sessions that the server cannot resume."""
        for handle, error in list(self.table.resumption.refused_by.items()):
            self.table.end_session(self.table.ledgers[handle], error)
        return self.table.given()

    def end(self, error: StreamrnnClientError) -> list[Event]:
        """All is over: everything pending fails with `error`, which all later calls raise as well."""
        self.outbox.clear()
        return self.table.end(error)

    # ---- pieces

    def _pump(self, message: m.Message) -> None:
        """Send what may be sent now that this has arrived."""
        resumption = self.table.resumption
        while resumption.again:
            self._send(resumption.message(resumption.again.pop()))
        while self.table.closes:
            self._send(m.Close(self.table.closes.pop()))
        handles: Iterable[int] = getattr(message, "handles", None) or [getattr(message, "handle", None) or 0]
        if isinstance(message, m.Opened | m.Error):  # it may be the answer to a fork, for which its source waits
            handles = list(self.table.ledgers)
        for handle in handles:
            ledger = self.table.ledgers.get(handle)
            if ledger is not None and ledger.has_unsent:
                self._send_due(ledger)

    def _send_due(self, ledger: Ledger) -> None:
        limit = ledger.opened.max_queue_frames or self.options.max_chunk_frames
        while (entry := ledger.course.next_due(limit)) is not None:
            if not (isinstance(entry, Drawn) and entry.goes_on):
                self._send(frame_of(ledger, entry) if isinstance(entry, Kept) else entry.message)
