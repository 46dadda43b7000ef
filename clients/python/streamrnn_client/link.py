"""The websocket under a dialogue, without any I/O: bytes in, events out; bytes to send are fetched after each call."""

from __future__ import annotations

from collections.abc import Sequence

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, InvalidURI
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import HandshakeError, MalformedError, OptionError, StreamrnnClientError
from streamrnn_client.losses import ConnectionLostError
from streamrnn_client.messages import PROTOCOLS
from streamrnn_client.table import Event


class Link:
    """One connection of a dialogue, which goes on with the next. `handshake_done` turns true, or `error` says why not.

    Times are seconds of any monotonic clock, passed in.
    """

    def __init__(self, address: WebSocketURI, dialogue: Dialogue, now_s: float) -> None:
        options = dialogue.options
        self.options = options
        self.dialogue = dialogue
        self.handshake_done = False
        self.error: StreamrnnClientError | None = None
        self._name = PROTOCOLS[options.encoding]
        self._socket = ClientProtocol(
            address, subprotocols=[Subprotocol(self._name)], max_size=options.max_receive_bytes
        )
        self._kind: Opcode | None = None
        self._fragments: list[bytes] = []
        self._heard_s = now_s
        self._pinged = False
        self._hang_up = False
        opening = self._socket.connect()
        opening.headers.update(options.headers)
        self._socket.send_request(opening)

    @property
    def over(self) -> bool:
        """Nothing more will be sent or settled. The server has `close_timeout_s` to end the closing handshake."""
        return self.error is not None

    @property
    def hang_up(self) -> bool:
        """There is nothing to wait for either: the shell closes its socket."""
        return self._hang_up

    def receive_data(self, data: bytes, now_s: float) -> list[Event]:
        """Bytes arrived."""
        self._heard_s, self._pinged = now_s, False
        self._socket.receive_data(data)
        return self._settle()

    def receive_eof(self, reason: str = "the connection ended without a closing handshake") -> list[Event]:
        """The stream ended, in order or broken."""
        self._socket.receive_eof()
        return self._settle() + self._lose(reason)

    def data_to_send(self) -> bytes:
        """What the calls and the arrivals until now want to send. `b""`: nothing."""
        if self.handshake_done and not self.over and self._socket.state is State.OPEN:
            for payload in self.dialogue.take_outbox():
                if self.dialogue.codec.binary:
                    self._socket.send_binary(payload)
                else:
                    self._socket.send_text(payload)
        return b"".join(self._socket.data_to_send())

    def close(self, error: StreamrnnClientError) -> list[Event]:
        """End it from this side; whatever is pending fails with `error`."""
        if self._socket.state is State.OPEN:
            self._socket.send_close(CloseCode.NORMAL_CLOSURE)
        self._hang_up = self._hang_up or not self.handshake_done
        self.error = error
        return self.dialogue.end(error)

    def give_up(self, error: StreamrnnClientError) -> list[Event]:
        """There is no connection to speak on."""
        self._hang_up = True
        return self._end(error)

    def tend(self, now_s: float) -> list[Event]:
        """Ping a server that is silent; give up one that stays so. To be called at `deadline_s`."""
        if now_s < self.deadline_s or not self.handshake_done or self.over:
            return []
        if not self._pinged:
            self._pinged = True
            self._socket.send_ping(b"")
            return []
        self._socket.fail(CloseCode.ABNORMAL_CLOSURE, "")
        return self._lose(f"the server was silent for {now_s - self._heard_s:.0f} s and answered no ping")

    @property
    def deadline_s(self) -> float:
        """When `tend` has something to do, unless bytes arrive before."""
        return self._heard_s + self.options.ping_interval_s + (self.options.ping_timeout_s if self._pinged else 0.0)

    def _settle(self) -> list[Event]:
        events: list[Event] = []
        for event in self._socket.events_received():
            if isinstance(event, Response):
                events += self._responded(event)
            elif isinstance(event, Frame) and not self.over:
                events += self._arrived(event)
        if self._socket.handshake_exc is not None:
            events += self._lose(str(self._socket.handshake_exc))
        if self._socket.parser_exc is not None:
            is_cut = isinstance(self._socket.parser_exc, EOFError)
            code = CloseCode.ABNORMAL_CLOSURE if is_cut else CloseCode.PROTOCOL_ERROR
            events += self._lose(f"the connection broke: {self._socket.parser_exc}", code)
        if self._socket.close_rcvd is not None:
            close = self._socket.close_rcvd
            events += self._lose(f"the server closed the connection: {close.code} {close.reason}".rstrip(), close.code)
        return events

    def _responded(self, response: Response) -> list[Event]:
        if self._socket.handshake_exc is not None:
            self._hang_up = True
            return self._end(_refusal(self._socket.handshake_exc, response))
        if self._socket.subprotocol != self._name:
            self._hang_up = True
            self._socket.fail(CloseCode.PROTOCOL_ERROR, "sub-protocol")
            return self._end(HandshakeError(f"expected a server of {self._name}, it named none", status=101))
        self.handshake_done = True
        self.dialogue.attach()
        return []

    def _arrived(self, frame: Frame) -> list[Event]:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return []
        if frame.opcode is not Opcode.CONT:
            self._kind = frame.opcode
        self._fragments.append(bytes(frame.data))
        if not frame.fin:
            return []
        payload = b"".join(self._fragments)
        self._fragments.clear()
        try:
            if (self._kind is Opcode.BINARY) != self.dialogue.codec.binary:
                raise MalformedError(f"a websocket message of the wrong kind for {self._name}")
            events = self.dialogue.receive(payload)
        except MalformedError as error:
            self._hang_up = True
            self._socket.fail(CloseCode.INVALID_DATA, "not a message of v1")
            return self._end(error)
        self.error = self.dialogue.table.over or (None if self.dialogue.is_attached else self.dialogue.lost_by)
        return events

    def _lose(self, reason: str, close_code: int = CloseCode.ABNORMAL_CLOSURE) -> list[Event]:
        self._hang_up = True
        n_unanswered = self.dialogue.table.n_unanswered
        if not self.handshake_done:
            return self._end(HandshakeError(f"expected a streamrnn server: {reason}"))
        message = f"{reason}; {n_unanswered} frames unanswered"
        return self._end(ConnectionLostError(message, n_unanswered=n_unanswered, close_code=close_code))

    def _end(self, error: StreamrnnClientError) -> list[Event]:
        """Nothing more is read; what the dialogue makes of it is its own affair. Only the first reason counts."""
        if self.error is not None:
            return []
        self.error = error
        return self.dialogue.lose(error)


def address_of(url: str) -> WebSocketURI:
    """A `ws:` or `wss:` address, taken apart.

    Raises:
        OptionError: it is none.
    """
    try:
        return parse_uri(url)
    except (InvalidURI, ValueError) as error:
        raise OptionError(f"expected an address such as ws://localhost:8765, got {url!r}") from error


def addresses_of(urls: str | Sequence[str]) -> list[WebSocketURI]:
    """One address or several, taken apart.

    Raises:
        OptionError: one is none, or there is none.
    """
    addresses = [address_of(url) for url in ([urls] if isinstance(urls, str) else urls)]
    if not addresses:
        raise OptionError("expected at least one address such as ws://localhost:8765")
    return addresses


def _refusal(error: Exception, response: Response) -> HandshakeError:
    status = response.status_code if isinstance(error, InvalidStatus) else 0
    said = bytes(response.body or b"")[:200].decode("utf-8", "replace").strip()
    wait = response.headers.get("Retry-After", "")
    return HandshakeError(
        f"expected a streamrnn server: {error}{': ' if said else ''}{said}",
        status=status,
        retry_after_s=float(wait) if wait.isdecimal() else None,
    )
