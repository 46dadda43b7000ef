"""The outward half of a connection: what it writes, how it closes, and its deadlines (RFC 6455 sections 5.5 and 7)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from streamrnn.errors import StreamrnnError
from streamrnn.server.header import FIN_BINARY, FIN_TEXT, PING_FRAME, header
from streamrnn.server.pump import clock_ns
from streamrnn.server.splitter import CLOSE, FIN
from streamrnn.serving.party import Party
from streamrnn.wire.refusal import DONE, GOING_AWAY, INTERNAL, NOT_A_MESSAGE, POLICY, PROTOCOL, RESTART, TAKEN_OVER

if TYPE_CHECKING:
    from streamrnn.server.app import Server

log = logging.getLogger("streamrnn.server")

CLOSE_TIMEOUT_NS = 2_000_000_000
"""How long a client may take to close the TCP connection after the websocket's close."""
NS_PER_MS = 1_000_000

SHAKING, OPEN, CLOSING, ENDED = range(4)
"""A connection's life: before the websocket; while it is open; after our close, while theirs is awaited; and when
nothing is read any more, until the other side has closed the TCP connection."""


class Line(asyncio.Protocol):
    """Speaks to one client; what the client says is for the other half, `connection.Connection`."""

    __slots__ = (
        *("_begun_ns", "_heard_ns", "_is_plain", "_is_waiting", "_life", "_peer", "_pinged_ns"),
        *("_pump", "_server", "_transport"),
    )

    def __init__(self, server: Server) -> None:
        self._server = server
        self._pump = server.pump
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._peer: Party | None = None
        self._life = SHAKING
        self._is_plain = False  # open, and the next byte begins a message
        self._is_waiting = False  # for its turn in the backlog
        self._heard_ns = 0
        self._pinged_ns = 0
        self._begun_ns = 0  # when the message that is not whole yet began, or 0

    def _forget_input(self) -> None:
        """Drop what has come and is not read."""
        raise NotImplementedError

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
            if len(messages) == 1:
                self._transport.write(header(first_byte, len(messages[0])) + messages[0])
            else:
                self._transport.write(b"".join([header(first_byte, len(message)) + message for message in messages]))

    def pause_writing(self) -> None:
        """More than `max_outbox_bytes` are unsent: drop the slow reader, nobody waits for it."""
        self._pump.hub.tally.n_slow_readers += 1
        log.warning("a slow reader is dropped: %d bytes unsent", self._transport.get_write_buffer_size())
        self._transport.abort()

    # ---- closing, silence

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
        is_pinged = self._pinged_ns > self._heard_ns
        if is_pinged and now_ns - self._pinged_ns >= limits.ping_timeout_ms * NS_PER_MS:
            log.info("a connection is dropped: its ping was not answered")
            peer.close(INTERNAL, now_ns)
            self.deliver(peer)
            return
        if not is_pinged and now_ns - self._heard_ns >= limits.ping_interval_ms * NS_PER_MS:
            self._pinged_ns = now_ns
            self._transport.write(PING_FRAME)
        self._put_due(now_ns)

    def _put_due(self, now_ns: int) -> None:
        """Look again when silence has lasted too long, or a message that is under way has."""
        limits = self._server.limits
        if self._pinged_ns > self._heard_ns:
            silent_ns = self._pinged_ns + limits.ping_timeout_ms * NS_PER_MS
        else:
            silent_ns = self._heard_ns + limits.ping_interval_ms * NS_PER_MS
        late_ns = (self._begun_ns or now_ns) + limits.message_timeout_ms * NS_PER_MS
        self._server.timers.put(self, min(silent_ns, late_ns))

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()
