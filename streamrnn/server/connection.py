"""One socket: a thin `asyncio.Protocol` around the Sans-I/O websocket of the `websockets` library.

The transport stands behind two calls: `Peer.receive` takes the bytes of a message, `Connection.deliver` writes those
that the peer has collected. No task and no future belong to a connection or a message.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, cast

from websockets.exceptions import InvalidMessage, PayloadTooBig
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from streamrnn.errors import OversizedError, UnknownModelError
from streamrnn.server import http
from streamrnn.server.front import select_protocol
from streamrnn.server.pump import clock_ns
from streamrnn.server.splitter import Splitter
from streamrnn.serving.party import Party
from streamrnn.serving.speech.choice import DIALECTS, Speech
from streamrnn.serving.speech.peer import SpeechPeer
from streamrnn.wire.refusal import DONE, GOING_AWAY, INTERNAL, RESTART, TAKEN_OVER

if TYPE_CHECKING:
    from streamrnn.server.app import Server

log = logging.getLogger("streamrnn.server")
ws_log = logging.getLogger("streamrnn.server.websocket")
ws_log.setLevel(logging.WARNING)  # the library tells of every handshake, so of every health check

CLOSE_TIMEOUT_NS = 2_000_000_000
"""How long a client may take to close the TCP connection after the websocket's close."""
END_OF_HEAD = b"\r\n\r\n"
NS_PER_MS = 1_000_000
FIN_TEXT = 0x81
FIN_BINARY = 0x82


class Connection(asyncio.Protocol):
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
            select_subprotocol=lambda ws, offered: select_protocol(ws, offered, self._speech),
            max_size=server.limits.max_message_bytes,
            logger=ws_log,
        )
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._peer: Party | None = None
        self._splitter: Splitter | None = None
        self._parts: bytearray | None = None
        self._part_is_text = False
        self._heard_ns = 0
        self._pinged_ns = 0
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
        # Only then is it certain that the library stands between two frames after it.
        is_whole_head = not self._heard_ns and chunk.find(END_OF_HEAD) == len(chunk) - len(END_OF_HEAD)
        self._heard_ns = now_ns = self._pump.wake()
        if self._splitter is None:
            self._feed_library(chunk, now_ns)
            if is_whole_head and self._peer is not None:
                self._splitter = Splitter(self._limits.max_message_bytes)
        else:
            for part in self._splitter.feed(chunk):
                if type(part) is bytes:
                    self._feed_library(part, now_ns)
                elif self._peer is not None and self._ws.state is State.OPEN:
                    self._peer.receive(part[1], part[0], now_ns)  # type: ignore[arg-type]

    def _feed_library(self, chunk: bytes, now_ns: int) -> None:
        ws = self._ws
        ws.receive_data(chunk)
        for event in ws.events_received():
            if isinstance(event, Frame):
                self._take_frame(event, now_ns)
            elif isinstance(event, Request):
                self._take_handshake(event)
        if ws.parser_exc is not None:
            self._fail_parsing(ws.parser_exc)
        elif isinstance(ws.handshake_exc, InvalidMessage) and not self._is_ending:
            # The library ends the stream here without a word; a request with a body comes this way, too.
            self._transport.write(http.bad_request().serialize())
        if ws.writes:
            self._send_library_bytes()

    def eof_received(self) -> None:
        """Let the transport close: a websocket never writes after the other side's end."""
        self._ws.receive_eof()
        self._ws.data_to_send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the connection's sessions to be resumed, or close them where the client is done."""
        if self._peer is not None:
            peer, self._peer = self._peer, None
            self._pump.writers.pop(peer, None)
            received = self._ws.close_rcvd
            is_done = received is not None and received.code == DONE and peer.close_code is None
            self._pump.hub.detach(peer, self._pump.wake(), is_done=is_done)
        self._server.forget(self)  # last: at a stop the server ends with it, once what the sessions were is saved

    # ---- the seam: bytes in, bytes out

    def _take_frame(self, frame: Frame, now_ns: int) -> None:
        opcode = frame.opcode
        if self._peer is None or opcode >= Opcode.CLOSE:
            return
        if frame.fin and opcode is not Opcode.CONT:
            self._peer.receive(frame.data, opcode is Opcode.TEXT, now_ns)
            return
        if opcode is not Opcode.CONT:
            self._parts, self._part_is_text = bytearray(), opcode is Opcode.TEXT
        if self._parts is None:
            return
        self._parts += frame.data
        if frame.fin:
            whole, self._parts = self._parts, None
            self._peer.receive(whole, self._part_is_text, now_ns)

    def deliver(self, peer: Party) -> None:
        """Write all that `peer` has collected in one call, and close the websocket if the peer says so."""
        messages = peer.take()
        if messages and self._ws.state is State.OPEN and not self._transport.is_closing():
            first_byte = FIN_TEXT if peer.is_text else FIN_BINARY
            framed = [header(first_byte, len(message)) + message for message in messages]
            self._transport.write(framed[0] if len(framed) == 1 else b"".join(framed))
        if peer.close_code is not None:
            self._close(peer.close_code, peer.close_reason)

    def pause_writing(self) -> None:
        """More than `max_outbox_bytes` are unsent: drop the slow reader, nobody waits for it."""
        self._pump.hub.tally.n_slow_readers += 1
        log.warning("a slow reader is dropped: %d bytes unsent", self._transport.get_write_buffer_size())
        self._transport.abort()

    # ---- opening, closing, silence

    def _take_handshake(self, asked: Request) -> None:
        ws = self._ws
        if ws.parser_exc is not None or ws.eof_sent:  # broken already, behind the handshake in the same bytes
            self._transport.abort()
            return
        front, hub = self._server.front, self._pump.hub
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
        self._server.timers.put(self, self._heard_ns + self._limits.ping_interval_ms * NS_PER_MS)

    def _fail_parsing(self, cause: Exception) -> None:
        """The websocket layer refused what came: tell the client in our own words, where it can still listen."""
        peer = self._peer
        if peer is None or peer.close_code is not None:
            return
        if isinstance(cause, PayloadTooBig):
            fault = OversizedError(f"expected at most {self._limits.max_message_bytes} bytes in a message")
            peer.fail(fault, self._heard_ns)
            first_byte = FIN_TEXT if peer.is_text else FIN_BINARY
            for message in peer.take():
                self._transport.write(header(first_byte, len(message)) + message)
        else:
            peer.close(self._ws.close_sent.code if self._ws.close_sent else INTERNAL, self._heard_ns)

    def _close(self, code: int, reason: str) -> None:
        ws = self._ws
        if ws.state is not State.OPEN or self._transport.is_closing():
            return
        if code in (DONE, GOING_AWAY, RESTART, TAKEN_OVER):
            ws.send_close(code)
        else:
            ws.fail(code, reason)
        self._send_library_bytes()

    def _send_library_bytes(self) -> None:
        """Write what the websocket layer wants sent: handshake, pong, close, and the end of the stream."""
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


def header(first_byte: int, n_bytes: int) -> bytes:
    """Return the header of one unmasked, unfragmented websocket frame (RFC 6455 section 5.2).

    The library's own `Frame.serialize` gives the same bytes (tested) in five times the time.
    """
    if n_bytes < 126:
        return bytes((first_byte, n_bytes))
    if n_bytes < 65536:
        return bytes((first_byte, 126)) + n_bytes.to_bytes(2, "big")
    return bytes((first_byte, 127)) + n_bytes.to_bytes(8, "big")
