"""A client's way to its servers, whatever connections come and go, without any I/O: a shell dials and carries bytes.

It calls `tend` at `deadline_s`; where `wants_dial` it makes a socket to `address`, calls `dial`, and carries bytes
between the two; `failed` where it could not. Whenever `hang_up`, it lets its socket go.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from websockets.uri import WebSocketURI

from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import HandshakeError, StreamrnnClientError
from streamrnn_client.link import Link
from streamrnn_client.losses import ConnectionLostError
from streamrnn_client.news import Reconnected
from streamrnn_client.options import Options
from streamrnn_client.pending import Pending
from streamrnn_client.reconnector import Backoff, Reconnector
from streamrnn_client.table import Event

Told = Event | Reconnected


class Line:
    """The dialogue, and at most one link at a time: the present one, or the last one while there is none."""

    def __init__(self, addresses: Sequence[WebSocketURI], options: Options, random: Random) -> None:
        self.options = options
        self.dialogue = Dialogue(options)
        self.reconnector = Reconnector(options, len(addresses), random)
        self.link: Link | None = None
        self._addresses = addresses
        self._again = Backoff(options.reconnect_first_s, options.reconnect_max_s, random)
        self._again_s: float | None = None
        self._unused = False
        self._reason: StreamrnnClientError | None = None

    @property
    def address(self) -> WebSocketURI:
        """Whom to dial."""
        return self._addresses[self.reconnector.index]

    @property
    def over(self) -> StreamrnnClientError | None:
        """Why nothing will ever be sent or settled again."""
        return self.dialogue.table.over

    @property
    def connected(self) -> bool:
        """A connection stands."""
        return self.link is not None and self.link.handshake_done and self.link.error is None and self.over is None

    @property
    def is_down(self) -> bool:
        """There is no link, not even one that shakes hands."""
        return self.link is None or self.link.error is not None

    @property
    def hang_up(self) -> bool:
        """The socket of the present link is of no more use."""
        return self.link is None or self.link.hang_up or (self.is_down and self.over is None)

    # ---- dialling

    def wants_dial(self, now_s: float) -> bool:
        """It is time to make a connection."""
        due_s = self.reconnector.due_s
        return self.over is None and self.is_down and not self.dialogue.is_idle and due_s is not None and now_s >= due_s

    def dial(self, now_s: float) -> Link:
        """A connection is being made: the link that is to speak on it."""
        self.reconnector.dialled()
        self.link = Link(self.address, self.dialogue, now_s)
        self._unused = True
        return self.link

    def failed(self, error: StreamrnnClientError, now_s: float) -> list[Told]:
        """It could not be made."""
        assert self.link is not None
        self.link.give_up(error)
        return self._after([], now_s)

    # ---- the present link

    def receive_data(self, data: bytes, now_s: float) -> list[Told]:
        """Bytes arrived."""
        assert self.link is not None
        return self._after(self.link.receive_data(data, now_s), now_s)

    def receive_eof(self, reason: str, now_s: float) -> list[Told]:
        """The stream ended, in order or broken."""
        if self.link is None:
            return []
        return self._after(self.link.receive_eof(reason), now_s)

    def data_to_send(self) -> bytes:
        """What is to be sent on the present link. `b""`: nothing."""
        return b"" if self.link is None else self.link.data_to_send()

    def close(self, error: StreamrnnClientError) -> list[Told]:
        """End it all from this side; whatever is pending fails with `error`."""
        if self.link is not None and self.link.error is None:
            return [*self.link.close(error)]
        return [*self.dialogue.end(error)]

    # ---- time

    def tend(self, now_s: float) -> list[Told]:
        """Do what is due: ping, give up, ask again. To be called at `deadline_s`, and after calls while it is down."""
        if self.over is not None:
            return []
        told: list[Told] = []
        if self.link is not None and self.link.error is None:
            told += self._after(self.link.tend(now_s), now_s)
        elif not self.dialogue.is_idle and self.reconnector.since_s is None:
            self.reconnector.lost(now_s)  # nothing was left to resume; now there is something to ask
        give_up_s = self.reconnector.give_up_s
        is_late = give_up_s is not None and now_s >= give_up_s
        if is_late and not self.dialogue.is_attached and not self.dialogue.is_idle:
            told += self.dialogue.end(self._given_up())
        if self._again_s is not None and now_s >= self._again_s:
            self._again_s = None
            if is_late:
                told += self.dialogue.end_refused()
            else:
                self.dialogue.resume_refused()
            told += self._after([], now_s)
        return told

    @property
    def deadline_s(self) -> float:
        """When `tend` or a dial is due; infinity: never, as things stand."""
        if self.over is not None:
            return math.inf
        dues = [self._again_s, None if self.dialogue.is_attached else self.reconnector.give_up_s]
        if self.link is not None and self.connected:
            dues.append(self.link.deadline_s)
        elif self.is_down and not self.dialogue.is_idle:
            dues.append(-math.inf if self.reconnector.since_s is None else self.reconnector.due_s)
        return min((due_s for due_s in dues if due_s is not None), default=math.inf)

    # ---- pieces

    def _after(self, events: Sequence[Event], now_s: float) -> list[Told]:
        told: list[Told] = [*events]
        if self.link is not None and self.link.error is not None:
            if self._reason is not self.link.error:
                self._reason = self.link.error
                self._again_s = None
                if not self.dialogue.is_idle or self.reconnector.since_s is not None:
                    wait_s = self._reason.retry_after_s if isinstance(self._reason, HandshakeError) else None
                    self.reconnector.lost(now_s, wait_s)
            return told
        if self.connected and self.dialogue.n_refused and self._again_s is None:
            self._again_s = now_s + self._again.next_s()
        if self.connected and self._unused and self._was_of_use(events):
            self._unused = False
            self._again.reset()
            told += self._reconnected(now_s)
            self.reconnector.of_use()
        return told

    def _was_of_use(self, events: Sequence[Event]) -> bool:
        if not self.dialogue.is_resumed:
            return False
        return not self.dialogue.table.n_unanswered or any(isinstance(e, Pending) and e.error is None for e in events)

    def _reconnected(self, now_s: float) -> list[Reconnected]:
        since_s = self.reconnector.since_s
        if since_s is None:
            return []
        resumption = self.dialogue.table.resumption
        n_attempts = self.reconnector.n_attempts
        return [Reconnected(n_attempts, now_s - since_s, resumption.n_resumed, resumption.n_replayed)]

    def _given_up(self) -> ConnectionLostError:
        n_unanswered = self.dialogue.table.n_unanswered
        seconds = self.options.reconnect_timeout_s
        said = f"no connection for {seconds:g} s and {self.reconnector.n_attempts} attempts: {self._reason}"
        code = self._reason.close_code if isinstance(self._reason, ConnectionLostError) else 1006
        return ConnectionLostError(
            f"{said}; {n_unanswered} frames unanswered", n_unanswered=n_unanswered, close_code=code
        )
