"""One socket on `picows`: its parser and its way out, between our handshake and our closing.

The pages and the opening handshake are those of `connection`, on the same library, which writes closes, too. Frames go
through `picows_parser`; judged here is what `picows` does not look at: reserved bits, the order of fragments, the size
of what they add up to, UTF-8. A client can tell the two transports apart by nothing but the reasons of closes.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, cast

from websockets.exceptions import InvalidMessage
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from streamrnn.errors import MalformedError, OversizedError, UnknownModelError
from streamrnn.server import http
from streamrnn.server.connection import CLOSE_TIMEOUT_NS, FIN_BINARY, FIN_TEXT, NS_PER_MS, header, ws_log
from streamrnn.server.front import select_protocol
from streamrnn.server.picows_parser import BINARY, MAX_SENT_BYTES, PORTION_BYTES, TEXT, Parser, sender_of
from streamrnn.server.pump import clock_ns
from streamrnn.serving.party import Party
from streamrnn.serving.speech.choice import DIALECTS, Speech
from streamrnn.serving.speech.peer import SpeechPeer
from streamrnn.wire.refusal import DONE, GOING_AWAY, INTERNAL, RESTART, TAKEN_OVER, TOO_LARGE

if TYPE_CHECKING:
    from streamrnn.server.app import Server

log = logging.getLogger("streamrnn.server")

PROTOCOL_ERROR = 1002
END_OF_HEAD = b"\r\n\r\n"
FIN_PONG = 0x8A
RESERVED = 0x70
TURN_NS = 3_000_000
"""How long one loop iteration may go on reading sockets that have more to say."""
BUSY_BYTES = 512
"""A shorter read cannot have held the loop up."""


class PicowsConnection(asyncio.Protocol):
    """The shell of one connection, from accept to loss.

    Args:
        server: whose connection it is.
        own: the speech protocol of its port, see `serving.speech.choice`.
    """

    def __init__(self, server: Server, own: str | None = None) -> None:
        self._server = server
        self._own = own
        self._speech: Speech | None = None
        self._limits = server.limits
        self._pump = server.pump
        self._ws = ServerProtocol(
            select_subprotocol=lambda ws, offered: select_protocol(ws, offered, self._speech), logger=ws_log
        )
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._peer: Party | None = None
        self._is_shaking = True
        self._unread = b""
        self._seen = b""  # the last bytes of a head that goes on
        self._parser: Parser | None = None
        self._fault: tuple[int, str] | None = None
        self._pongs: list[bytes] = []
        self._parts: bytearray | None = None
        self._part_is_text = False
        self._heard_ns = 0
        self._pinged_ns = 0
        self._is_odd = True  # something but plain messages came
        self._is_ending = False

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake's deadline."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self._limits.max_outbox_bytes)
        plug = transport.get_extra_info("socket")
        if plug is not None and plug.family != getattr(socket, "AF_UNIX", None):
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.connections.add(self)
        self._server.timers.put(self, clock_ns() + self._limits.handshake_timeout_ms * NS_PER_MS)

    def data_received(self, chunk: bytes) -> None:
        """Parse and queue; stepping and writing come with the pump's next flush."""
        self._heard_ns = now_ns = self._pump.wake()
        if self._unread:
            self._unread += chunk
        elif self._parser is not None:
            self._read(chunk, now_ns)
        elif self._is_shaking:
            self._shake(chunk)

    def eof_received(self) -> None:
        """Let the transport close: a websocket never writes after the other side's end."""
        self._ws.receive_eof()
        self._ws.data_to_send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the connection's sessions to be resumed, or close them where the client is done."""
        self._parser = None
        self._unread = b""
        if self._peer is not None:
            peer, self._peer = self._peer, None
            self._pump.writers.pop(peer, None)
            received = self._ws.close_rcvd
            is_done = received is not None and received.code == DONE and peer.close_code is None
            self._pump.hub.detach(peer, self._pump.wake(), is_done=is_done)
        self._server.forget(self)  # last: at a stop the server ends with it, once what the sessions were is saved

    # ---- the seam: bytes in, bytes out

    def _read(self, chunk: bytes, now_ns: int) -> None:
        """Parse in portions, and leave what is too much for this loop iteration to the next."""
        at, n_bytes = 0, len(chunk)
        while at < n_bytes and (parser := self._parser) is not None:
            space = parser.get_space(0)
            portion = chunk[at : at + min(len(space), PORTION_BYTES)]
            space[: len(portion)] = portion
            at += len(portion)
            fault = parser.feed(len(portion), now_ns)
            if self._is_odd or fault is not None:
                self._see_to(fault)
            if len(portion) >= BUSY_BYTES and clock_ns() - now_ns > TURN_NS and not self._transport.is_closing():
                # A loop may read one socket many times in an iteration, too: let it see to the others first.
                self._unread = chunk[at:]
                self._transport.pause_reading()
                asyncio.get_running_loop().call_soon(self._read_on)
                return

    def _read_on(self) -> None:
        if self._transport.is_closing():
            return
        unread, self._unread = self._unread, b""
        self._heard_ns = now_ns = self._pump.wake()
        self._read(unread, now_ns)
        if not self._unread and not self._transport.is_closing():
            self._transport.resume_reading()

    def _see_to(self, found: tuple[int, str] | None) -> None:
        """Answer pings and a close, and end after a fault: ours, or one that the parser has found."""
        self._is_odd = False
        if self._pongs:
            pongs, self._pongs = self._pongs, []
            if not self._transport.is_closing():
                self._transport.write(b"".join(pongs))
        fault = self._fault or found
        if fault is not None:
            self._fail(*fault)
        if self._ws.writes:
            self._send_library_bytes()
        if self._parser is not None and self._peer is not None:
            is_straight = self._parts is None and self._ws.state is State.OPEN
            self._parser.listener.straight = self._peer.receive if is_straight else None

    def _go_slow(self) -> None:
        """Look at every frame that comes now, and at what has come of them after this read."""
        self._is_odd = True
        if self._parser is not None:
            self._parser.listener.straight = None

    def _take_message(self, payload: bytes, is_text: bool) -> None:
        if self._fault is not None or self._ws.state is not State.OPEN:
            return
        peer = self._peer
        if self._parts is not None:
            self._go_slow()
            self._fault = PROTOCOL_ERROR, "expected a continuation frame"
        elif is_text and peer is not None and peer.is_text and not (payload.isascii() or is_utf8(payload)):
            peer.fail(MalformedError("expected UTF-8 in a text message"), self._heard_ns)
        elif peer is not None:
            peer.receive(payload, is_text, self._heard_ns)

    def _take_frame(self, first: int, payload: bytes) -> None:
        """Take a frame that is no plain message."""
        self._go_slow()
        if self._fault is not None or self._ws.state is State.CLOSED or self._ws.eof_sent:
            return
        opcode = first & 15
        if first & RESERVED:
            self._fault = PROTOCOL_ERROR, "reserved bits must be 0"
        elif opcode == Opcode.CLOSE:
            # A frame of its own for the library, unmasked by a mask of zeros.
            self._ws.receive_data(bytes((first, 0x80 | len(payload), 0, 0, 0, 0)) + payload)
        elif self._ws.state is not State.OPEN:
            return
        elif opcode == Opcode.PING:
            self._pongs.append(header(FIN_PONG, len(payload)) + payload)
        elif opcode != Opcode.PONG:
            self._take_part(first, opcode, payload)

    def _take_part(self, first: int, opcode: int, payload: bytes) -> None:
        is_begin = opcode != Opcode.CONT
        if is_begin != (self._parts is None):
            self._fault = PROTOCOL_ERROR, f"{'expected a' if is_begin else 'unexpected'} continuation frame"
            return
        if self._parts is None:
            self._parts, self._part_is_text = bytearray(), opcode == Opcode.TEXT
        self._parts += payload
        if len(self._parts) > self._limits.max_message_bytes:
            self._fault = TOO_LARGE, ""
        elif first & 0x80:
            whole, self._parts = bytes(self._parts), None
            self._take_message(whole, self._part_is_text)

    def deliver(self, peer: Party) -> None:
        """Write all that `peer` has collected in one call, and close the websocket if the peer says so."""
        self._write_messages(peer)
        if peer.close_code is not None:
            self._close(peer.close_code, peer.close_reason)

    def _write_messages(self, peer: Party) -> None:
        messages = peer.take()
        if not messages or self._ws.state is not State.OPEN or self._transport.is_closing():
            return
        if len(messages) == 1 and len(messages[0]) <= MAX_SENT_BYTES:
            self._send(TEXT if peer.is_text else BINARY, messages[0])
            return
        first_byte = FIN_TEXT if peer.is_text else FIN_BINARY
        self._transport.write(b"".join([header(first_byte, len(message)) + message for message in messages]))

    def pause_writing(self) -> None:
        """More than `max_outbox_bytes` are unsent: drop the slow reader, nobody waits for it."""
        self._pump.hub.tally.n_slow_readers += 1
        log.warning("a slow reader is dropped: %d bytes unsent", self._transport.get_write_buffer_size())
        self._transport.abort()

    # ---- opening, closing, silence

    def _shake(self, chunk: bytes) -> None:
        """Let the library read the head, and `picows` what comes behind it."""
        seen = self._seen + chunk
        end = seen.find(END_OF_HEAD)
        n_head = len(chunk) if end < 0 else end + len(END_OF_HEAD) - len(self._seen)
        self._seen = seen[-len(END_OF_HEAD) + 1 :]
        ws = self._ws
        ws.receive_data(chunk[:n_head])
        for event in ws.events_received():
            if isinstance(event, Request):
                self._take_handshake(event)
        if isinstance(ws.handshake_exc, InvalidMessage) and not self._is_ending:
            # The library ends the stream here without a word; a request with a body comes this way, too.
            self._transport.write(http.bad_request().serialize())
        self._send_library_bytes()
        if self._parser is not None:
            self._is_shaking = False
            self._read(chunk[n_head:], self._heard_ns)

    def _take_handshake(self, asked: Request) -> None:
        ws, front, hub = self._ws, self._server.front, self._pump.hub
        try:
            self._speech = speech = front.speech(asked, self._own)
        except UnknownModelError as fault:
            ws.send_response(http.absent(fault.message))
            return
        ws.send_response(front.decide(ws, asked, speech))
        if ws.state is not State.OPEN:
            return
        if speech is None:
            self._peer = hub.attach(str(ws.subprotocol))
        else:
            self._peer = hub.admit(SpeechPeer(hub, DIALECTS[speech.dialect](), speech.model))
        self._pump.writers[self._peer] = self
        self._parser = Parser(self._take_message, self._take_frame, self._limits.max_message_bytes)
        self._send = sender_of(self._transport)
        self._server.timers.put(self, self._heard_ns + self._limits.ping_interval_ms * NS_PER_MS)

    def _fail(self, code: int, reason: str) -> None:
        """What came cannot be read: tell the client in our own words, where it can still listen, and end."""
        self._parser = None
        peer = self._peer
        if peer is None or self._transport.is_closing():
            return
        if peer.close_code is not None:
            self.deliver(peer)
        elif code == TOO_LARGE:
            fault = OversizedError(f"expected at most {self._limits.max_message_bytes} bytes in a message")
            peer.fail(fault, self._heard_ns)
            self.deliver(peer)
        else:
            peer.close(code, self._heard_ns)
            self._write_messages(peer)
        self._ws.fail(code, reason)  # where it is not closed yet; and nothing more is awaited

    def _close(self, code: int, reason: str) -> None:
        ws = self._ws
        if ws.state is not State.OPEN or self._transport.is_closing():
            return
        if code in (DONE, GOING_AWAY, RESTART, TAKEN_OVER):
            ws.send_close(code)
        else:
            ws.fail(code, reason)
        self._go_slow()
        self._send_library_bytes()

    def _send_library_bytes(self) -> None:
        """Write what the websocket layer wants sent: handshake, ping, close, and the end of the stream."""
        for chunk in self._ws.data_to_send():
            if self._transport.is_closing():
                return
            if chunk:
                self._transport.write(chunk)
            elif self._transport.can_write_eof():
                self._transport.write_eof()
            else:
                self._transport.close()
        if self._ws.close_expected() and not self._is_ending:
            self._is_ending = True
            self._server.timers.put(self, clock_ns() + CLOSE_TIMEOUT_NS)
        if self._ws.eof_sent:
            self._parser = None
            self._is_shaking = False

    def on_due(self, now_ns: int) -> None:
        """A deadline has passed: handshake, silence, unanswered ping or closing."""
        if self._is_ending or self._peer is None:
            self._transport.abort()
            return
        interval_ns = self._limits.ping_interval_ms * NS_PER_MS
        if self._pinged_ns > self._heard_ns:
            log.info("a connection is dropped: its ping was not answered")
            self._peer.close(INTERNAL, now_ns)
            self.deliver(self._peer)
        elif now_ns - self._heard_ns < interval_ns:
            self._server.timers.put(self, self._heard_ns + interval_ns)
        else:
            self._pinged_ns = now_ns
            self._ws.send_ping(b"")
            self._send_library_bytes()
            self._server.timers.put(self, now_ns + self._limits.ping_timeout_ms * NS_PER_MS)

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()


def is_utf8(payload: bytes) -> bool:
    """Whether it can be read as UTF-8."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
