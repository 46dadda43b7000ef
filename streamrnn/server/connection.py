"""One socket: a thin `asyncio.Protocol` that takes bytes in and hands messages on.

The transport stands behind two calls: `Peer.receive` takes the bytes of a message, `Connection.deliver` writes those
that the peer has collected. No task and no future belong to a connection or a message.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, cast

from websockets.exceptions import ProtocolError
from websockets.frames import Close, apply_mask  # type: ignore[attr-defined]

from streamrnn.errors import MalformedError, StreamrnnError
from streamrnn.server.handshake import Handshake
from streamrnn.server.header import FIN_BINARY, FIN_TEXT, header
from streamrnn.server.line import ENDED, NS_PER_MS, OPEN, SHAKING, Line
from streamrnn.server.pump import clock_ns
from streamrnn.server.splitter import BINARY, CLOSE, FIN, PART, PING, PONG, TEXT, Splitter, Step, is_utf8
from streamrnn.serving.party import Party
from streamrnn.serving.speech.choice import DIALECTS
from streamrnn.serving.speech.peer import SpeechPeer
from streamrnn.wire.refusal import DONE

if TYPE_CHECKING:
    from streamrnn.server.app import Server

MAX_AHEAD = 4
"""Frames of a session that wait before its connection is not read for a while, where stepping is behind."""
BULK_BYTES = 64 * 1024
"""A chunk of what is thrown away after which the loop is given back."""
LONG = 0x80 | 126
"""Second byte of a masked frame whose size stands in the two bytes after it."""
LONG_FROM = 6 + 126
"""Bytes of the shortest frame of that form; a shorter one has its size in the second byte."""


class Connection(Line):
    """The shell of one connection, from accept to loss.

    Args:
        server: whose connection it is.
        own: the speech protocol of its port, see `serving.speech.choice`.

    Attributes:
        splitter: reads its frames.
        is_short: one plain frame that is the whole chunk goes past it.
    """

    __slots__ = ("_handshake", "_is_done", "_max_plain", "_splitter", "_unread")
    splitter = Splitter
    is_short = True

    def __init__(self, server: Server, own: str | None = None) -> None:
        super().__init__(server)
        self._handshake: Handshake | None = Handshake(server.front, own)
        self._splitter: Splitter | None = None  # made for the first chunk that is not one plain frame
        self._unread = b""
        self._max_plain = min(0xFFFF, server.limits.max_message_bytes) if self.is_short else -1
        self._is_done = False  # the client has said so

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
        pump = self._pump
        if self._is_plain and not pump.is_busy:
            # One plain frame that is the whole chunk: nearly all that comes, so it goes by without a call of ours.
            n_bytes = len(chunk)
            first_byte = chunk[0]
            if n_bytes < LONG_FROM:
                body = 6
                is_whole = 6 <= n_bytes <= 6 + self._max_plain and chunk[1] == n_bytes + 122
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
        elif pump.is_stepping and self._life == OPEN:
            self._unread = chunk
            self._is_plain = False
        elif not self._read(chunk, now_ns, self._server.backlog.until(now_ns)):
            if pump.is_behind and self.is_ahead:
                self._wait_turn(is_held=True)
            return
        self._wait_turn()

    def _wait_turn(self, *, is_held: bool = False) -> None:
        """Read no more until its turn in the backlog comes; `is_held`: that is when stepping has caught up."""
        self._is_waiting = True
        self._transport.pause_reading()
        self._server.backlog.put(self, is_held=is_held)

    @property
    def is_ahead(self) -> bool:
        """Whether one of its sessions has so many frames waiting that more of them only take memory."""
        sessions = () if self._peer is None else self._peer.sessions.values()
        return any(one.session is not None and one.session.n_pending > MAX_AHEAD for one in sessions)

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
            self._pump.do(self._let_go, peer, self._pump.wake())
        self._server.forget(self)  # last: at a stop the server ends with it, once what the sessions were is saved

    def _let_go(self, peer: Party, now_ns: int) -> None:
        self._pump.hub.detach(peer, now_ns, is_done=self._is_done)

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
            if self._life != OPEN or not chunk:
                return False
        splitter = self._splitter
        if splitter is None:
            limits = self._server.limits
            splitter = self._splitter = self.splitter(limits.max_message_bytes, limits.max_fragments)
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
                if splitter.is_kept and (clock_ns() >= until_ns or (self._pump.is_behind and self.is_ahead)):
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
        if not is_utf8(payload):
            self._fail(MalformedError("expected UTF-8 in a text message"), now_ns)
        elif self._life == OPEN:
            peer.receive(payload, True, now_ns)

    def _forget_input(self) -> None:
        self._is_plain = False
        self._unread = b""
        self._splitter = None
        self._begun_ns = 0

    # ---- opening

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
