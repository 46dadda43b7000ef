"""One socket: a thin `asyncio.Protocol` that frames messages, answers pings and closes (RFC 6455 sections 5 to 7).

The transport stands behind two calls: `Peer.receive` takes the bytes of a message, `Connection.deliver` writes those
that the peer has collected. No task and no future belong to a connection or a message.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, cast

from websockets.exceptions import ProtocolError
from websockets.frames import Close, apply_mask  # type: ignore[attr-defined]

from streamrnn.errors import MalformedError, StreamrnnError
from streamrnn.server.handshake import Handshake
from streamrnn.server.header import FIN_BINARY, FIN_TEXT, PING_FRAME, header
from streamrnn.server.pump import clock_ns
from streamrnn.server.splitter import BINARY, CLOSE, FIN, PART, PING, PONG, TEXT, Splitter, Step
from streamrnn.serving.party import Party
from streamrnn.serving.speech.choice import DIALECTS
from streamrnn.serving.speech.peer import SpeechPeer
from streamrnn.wire.refusal import DONE, GOING_AWAY, INTERNAL, NOT_A_MESSAGE, POLICY, PROTOCOL, RESTART, TAKEN_OVER

if TYPE_CHECKING:
    from streamrnn.server.app import Server

log = logging.getLogger("streamrnn.server")

CLOSE_TIMEOUT_NS = 2_000_000_000
"""How long a client may take to close the TCP connection after the websocket's close."""
BULK_BYTES = 64 * 1024
"""A chunk of what is thrown away after which the loop is given back."""
NS_PER_MS = 1_000_000
LONG = 0x80 | 126
"""Second byte of a masked frame whose size stands in the two bytes after it."""
LONG_FROM = 6 + 126
"""Bytes of the shortest frame of that form; a shorter one has its size in the second byte."""

SHAKING, OPEN, CLOSING, ENDED = range(4)
"""A connection's life: before the websocket; while it is open; after our close, while theirs is awaited; and when
nothing is read any more, until the other side has closed the TCP connection."""


class Connection(asyncio.Protocol):
    """The shell of one connection, from accept to loss.

    Args:
        server: whose connection it is.
        own: the speech protocol of its port, see `serving.speech.choice`.
    """

    __slots__ = (
        *("_begun_ns", "_handshake", "_heard_ns", "_is_done", "_is_plain", "_is_waiting", "_life", "_max_plain"),
        *("_peer", "_pinged_ns", "_pump", "_server", "_splitter", "_transport", "_unread"),
    )

    def __init__(self, server: Server, own: str | None = None) -> None:
        self._server = server
        self._pump = server.pump
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._handshake: Handshake | None = Handshake(server.front, own)
        self._peer: Party | None = None
        self._splitter: Splitter | None = None  # made for the first chunk that is not one plain frame
        self._unread = b""
        self._max_plain = min(0xFFFF, server.limits.max_message_bytes)
        self._life = SHAKING
        self._is_plain = False  # open, and the next byte begins a message
        self._is_waiting = False
        self._is_done = False
        self._heard_ns = 0
        self._pinged_ns = 0
        self._begun_ns = 0  # when the message that is not whole yet began, or 0

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake's deadline."""
        self._transport = cast(asyncio.Transport, transport)
        limits = self._server.limits
        self._transport.set_write_buffer_limits(high=limits.max_outbox_bytes)
        plug = transport.get_extra_info("socket")
        if plug is not None and plug.family != getattr(socket, "AF_UNIX", None):
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.begin(self)
        self._server.timers.put(self, clock_ns() + limits.handshake_timeout_ms * NS_PER_MS)

    def data_received(self, chunk: bytes) -> None:
        """Parse and queue; stepping and writing come with the pump's next flush."""
        self._heard_ns = now_ns = self._pump.wake()
        if self._is_plain:
            # One plain frame that is the whole chunk: nearly all that comes, so it goes by without a call of ours.
            n_bytes = len(chunk)
            first_byte = chunk[0]
            if n_bytes < LONG_FROM:
                body = 6
                is_whole = n_bytes >= 6 and chunk[1] == n_bytes + 122
            else:
                body = 8
                is_whole = chunk[1] == LONG and (chunk[2] << 8 | chunk[3]) == n_bytes - 8 <= self._max_plain
            if is_whole and first_byte == FIN_BINARY:
                payload = apply_mask(chunk[body:], chunk[body - 4 : body])
                self._peer.receive(payload, False, now_ns)  # type: ignore[union-attr]
                return
            if is_whole and first_byte == FIN_TEXT:
                self._hear_text(apply_mask(chunk[body:], chunk[body - 4 : body]), now_ns)
                return
        if self._life == ENDED:
            if len(chunk) < BULK_BYTES or self._is_waiting:
                return
            # The loop would read a socket many times over while it fills whole buffers.
        elif self._is_waiting:
            self._unread += chunk
            return
        elif not self._read(chunk, now_ns, self._server.backlog.until(now_ns)):
            return
        self._is_waiting = True
        self._transport.pause_reading()
        self._server.backlog.put(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the connection's sessions to be resumed, or close them where the client is done."""
        self._life = ENDED
        self._forget_input()
        if self._handshake is not None:
            self._handshake.let_go()
            self._handshake = None
        if self._peer is not None:
            peer, self._peer = self._peer, None
            self._pump.writers.pop(peer, None)
            self._pump.hub.detach(peer, self._pump.wake(), is_done=self._is_done)
        self._server.forget(self)  # last: at a stop the server ends with it, once what the sessions were is saved

    # ---- reading, a slice at a time

    def go_on(self, until_ns: int) -> bool:
        """Read more of what has come, until `until_ns`. Returns whether there is more."""
        chunk, self._unread = self._unread, b""
        if self._life != ENDED and self._read(chunk, self._pump.wake(), until_ns):
            return True
        self._is_waiting = False
        if not self._transport.is_closing():
            self._transport.resume_reading()
        return False

    def _read(self, chunk: bytes, now_ns: int, until_ns: int) -> bool:
        """Read until `until_ns`, at least one step in a turn of the backlog. Returns whether there is more."""
        if not self._is_waiting and clock_ns() >= until_ns:  # this loop iteration has read enough
            self._unread = chunk
            self._is_plain = False
            return True
        if self._life == SHAKING:
            chunk = self._shake(chunk)
            if self._life != OPEN:
                return False
        splitter = self._splitter
        if splitter is None:
            limits = self._server.limits
            splitter = self._splitter = Splitter(limits.max_message_bytes, limits.max_fragments)
        splitter.put(chunk)
        try:
            while self._life != ENDED:
                step = splitter.step()
                if step is None:
                    break
                if step[0] == BINARY:
                    if self._life == OPEN:
                        self._peer.receive(step[1], False, now_ns)  # type: ignore[union-attr]
                elif step is not PART:
                    self._take(step, now_ns)
                if self._begun_ns and splitter.is_between:
                    self._begun_ns = 0
                if clock_ns() >= until_ns and splitter.is_kept:
                    self._is_plain = False
                    return self._life != ENDED
        except (ProtocolError, UnicodeDecodeError, StreamrnnError) as fault:
            self._fail(fault, now_ns)
        self._is_plain = self._life == OPEN and splitter.is_empty
        self._begun_ns = 0 if splitter.is_empty else self._begun_ns or now_ns
        return False

    def _take(self, step: Step, now_ns: int) -> None:
        """Take a whole text or control frame.

        Raises:
            ProtocolError: a close that is none.
            UnicodeDecodeError: its reason is not UTF-8.
        """
        opcode, payload = step
        peer = self._peer
        assert peer is not None
        if opcode == TEXT:
            self._hear_text(payload, now_ns)
        elif opcode == PING:
            if not self._transport.is_closing():
                self._transport.write(header(FIN | PONG, len(payload)) + payload)
        elif opcode == CLOSE:
            self._is_done = Close.parse(payload).code == DONE and peer.close_code is None
            self._write_messages(peer)
            if self._life == OPEN and not self._transport.is_closing():
                self._transport.write(header(FIN | CLOSE, len(payload)) + payload)  # the code and reason that came
            self._end()

    def _hear_text(self, payload: bytes, now_ns: int) -> None:
        peer = self._peer
        assert peer is not None
        if not (payload.isascii() or is_utf8(payload)):
            self._fail(MalformedError("expected UTF-8 in a text message"), now_ns)
        elif self._life == OPEN:
            peer.receive(payload, True, now_ns)

    def _forget_input(self) -> None:
        self._is_plain = False
        self._unread = b""
        self._splitter = None
        self._begun_ns = 0

    # ---- the seam: bytes out

    def deliver(self, peer: Party) -> None:
        """Write all that `peer` has collected in one call, and close the websocket if the peer says so."""
        self._write_messages(peer)
        if peer.close_code is not None:
            self._close(peer.close_code, peer.close_reason)

    def _write_messages(self, peer: Party) -> None:
        messages = peer.take()
        if messages and self._life == OPEN and not self._transport.is_closing():
            first_byte = FIN_TEXT if peer.is_text else FIN_BINARY
            framed = [header(first_byte, len(message)) + message for message in messages]
            self._transport.write(framed[0] if len(framed) == 1 else b"".join(framed))

    def pause_writing(self) -> None:
        """More than `max_outbox_bytes` are unsent: drop the slow reader, nobody waits for it."""
        self._pump.hub.tally.n_slow_readers += 1
        log.warning("a slow reader is dropped: %d bytes unsent", self._transport.get_write_buffer_size())
        self._transport.abort()

    # ---- opening, closing, silence

    def _shake(self, chunk: bytes) -> bytes:
        """Read the opening handshake. Returns what has come behind it."""
        handshake = self._handshake
        assert handshake is not None
        rest = handshake.feed(chunk)
        if rest is None:
            return b""
        self._handshake = None
        self._server.shaking.pop(self, None)
        if not self._transport.is_closing():
            self._transport.write(handshake.reply)
        if handshake.is_accepted:
            hub, speech = self._pump.hub, handshake.speech
            if speech is None:
                self._peer = hub.attach(handshake.protocol)
            else:
                self._peer = hub.admit(SpeechPeer(hub, DIALECTS[speech.dialect](), speech.model))
            self._pump.writers[self._peer] = self
            self._life = OPEN
            self._is_plain = True
            self._put_due(self._heard_ns)
        else:
            self._end()
        handshake.let_go()
        return rest

    def _fail(self, fault: Exception, now_ns: int) -> None:
        """What came cannot be read: tell the client in our own words, where it can still listen, and end."""
        peer = self._peer
        assert peer is not None
        if isinstance(fault, UnicodeDecodeError):
            self._refuse(NOT_A_MESSAGE, "expected a reason in UTF-8", now_ns)
        elif not isinstance(fault, StreamrnnError):
            self._refuse(PROTOCOL, str(fault), now_ns)
        else:
            if peer.close_code is None:
                peer.fail(fault, now_ns)
            self.deliver(peer)
            if self._life != ENDED:  # our close was sent before, and theirs will not come any more
                self._end()

    def _refuse(self, code: int, reason: str, now_ns: int) -> None:
        """End with `code`, unless something else came before, and tell `reason`."""
        peer = self._peer
        assert peer is not None
        if peer.close_code is not None:
            self.deliver(peer)
        else:
            peer.close(code, now_ns)
            self._write_messages(peer)
            self._close(code, reason)
        if self._life != ENDED:
            self._end()

    def _close(self, code: int, reason: str) -> None:
        """Start the closing handshake; after a fault and in a hurry without waiting for the client's part of it."""
        if self._life != OPEN or self._transport.is_closing():
            return
        payload = code.to_bytes(2, "big")
        if code in (DONE, GOING_AWAY, RESTART, TAKEN_OVER):
            self._life = CLOSING
            self._is_plain = False
            self._server.timers.put(self, clock_ns() + CLOSE_TIMEOUT_NS)
        else:
            payload += reason.encode()
        self._transport.write(header(FIN | CLOSE, len(payload)) + payload)
        if self._life == OPEN:
            self._end()

    def _end(self) -> None:
        """Say that nothing more comes, and read nothing more: the client is to close the TCP connection."""
        self._life = ENDED
        self._forget_input()
        if not self._transport.is_closing():
            if self._transport.can_write_eof():
                self._transport.write_eof()
            else:
                self._transport.close()
            self._server.timers.put(self, clock_ns() + CLOSE_TIMEOUT_NS)

    def on_due(self, now_ns: int) -> None:
        """A deadline has passed: handshake, silence, unanswered ping, unfinished message or closing."""
        peer, limits = self._peer, self._server.limits
        if self._life != OPEN or peer is None:
            self._transport.abort()
            return
        if self._is_waiting:  # what it has sent is not read yet: that is our delay
            self._heard_ns = now_ns
        elif self._begun_ns and now_ns - self._begun_ns >= limits.message_timeout_ms * NS_PER_MS:
            self._refuse(POLICY, f"expected a message to be whole within {limits.message_timeout_ms} ms", now_ns)
            return
        if self._pinged_ns > self._heard_ns:
            log.info("a connection is dropped: its ping was not answered")
            peer.close(INTERNAL, now_ns)
            self.deliver(peer)
        elif now_ns - self._heard_ns < limits.ping_interval_ms * NS_PER_MS:
            self._put_due(now_ns)
        else:
            self._pinged_ns = now_ns
            self._transport.write(PING_FRAME)
            self._server.timers.put(self, now_ns + limits.ping_timeout_ms * NS_PER_MS)

    def _put_due(self, now_ns: int) -> None:
        """Look again when silence has lasted too long, or a message that is under way has."""
        limits = self._server.limits
        silent_ns = self._heard_ns + limits.ping_interval_ms * NS_PER_MS
        late_ns = (self._begun_ns or now_ns) + limits.message_timeout_ms * NS_PER_MS
        self._server.timers.put(self, min(silent_ns, late_ns))

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()


def is_utf8(payload: bytes) -> bool:
    """Whether it is (RFC 3629, without surrogates)."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
