"""Frames of one connection as `picows` cuts and unmasks them, without its handshake, its answers and its closing.

`picows` parses, answers and closes in one class that owns a socket. Here that class is given a wire that leads nowhere,
so that nothing is said which is not ours: whatever it tries to send is a fault that it has found. What it does not
judge (reserved bits, the order of fragments, the sum of their sizes) is left to the caller.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from picows import WSAutoPingStrategy, WSFrame, WSListener, WSMsgType, WSTransport
from picows.picows import WSProtocol  # type: ignore[attr-defined]

log = logging.getLogger("streamrnn.server")

Take = Callable[[int, bytes], None]
"""Takes one frame: its first byte (FIN, reserved bits, opcode) and its unmasked payload."""
Straight = Callable[[bytes, bool, int], None]
"""Takes a message, whether it is text, and the time in ns: `Peer.receive`."""

BUFFER_BYTES = 8192
"""What one connection's buffer starts with. `picows` doubles it for a longer frame and never gives it back."""
MAX_KEPT_BYTES = 65536
"""A frame longer than this has the parser replaced once it is empty, so that its buffer is freed."""
PORTION_BYTES = 8192
"""Bytes to be parsed at once: 1,300 empty frames, a millisecond or two whatever they are."""
OPENING = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
"""A handshake of ours, which takes `picows` to the frames; the client's own has been answered before."""
FIRST_BYTES = {kind: 0x80 | kind.value for kind in WSMsgType}
BINARY, TEXT = WSMsgType.BINARY, WSMsgType.TEXT


class Plug:
    """A socket that is none."""

    def fileno(self) -> int:
        """No descriptor: a write to it fails, and never reaches another connection."""
        return -1

    def setsockopt(self, *option: int) -> None:
        """Nothing."""

    def getsockopt(self, *option: int) -> int:
        """Nothing is set."""
        return 0


class Quiet:
    """A logger that keeps to itself what a client does wrong, which its connection tells, but not what we do."""

    def isEnabledFor(self, level: int) -> bool:
        """Never."""
        return False

    def _drop(self, *words: object) -> None:
        pass

    debug = info = warning = error = log = _drop

    def exception(self, text: str, *words: object) -> None:
        """A bug of ours, or of `picows`; the connection is closed with 1011."""
        log.exception(text, *words)


PLUG, QUIET = Plug(), Quiet()


class Wire:
    """Where `picows` believes to write. It writes once to accept, and then only to close because of a fault.

    Attributes:
        fault: the close code and the reason of the first fault, or None.
    """

    def __init__(self) -> None:
        self.fault: tuple[int, str] | None = None

    def get_extra_info(self, name: str) -> object:
        """No addresses and no TLS."""
        return PLUG if name == "socket" else None

    def get_write_buffer_size(self) -> int:
        """Never empty, so that `picows` hands over bytes and does not send them itself."""
        return 1

    def write(self, chunk: bytes) -> None:
        """Note a close frame; the answer to our own handshake is no news."""
        if chunk[0] == 0x88 and self.fault is None:
            self.fault = int.from_bytes(chunk[2:4], "big"), bytes(chunk[4:]).decode(errors="replace")

    def close(self) -> None:
        """The connection closes itself."""


class Listener(WSListener):
    """Hears whole frames, one call each, while `Parser.feed` runs.

    Attributes:
        straight: takes plain binary messages with the time, or None.
        now_ns: that time.
        take_message: takes other unfragmented messages.
        take_frame: takes all other frames.
        is_grown: a long frame came, so the buffer of `picows` is larger than it need be.
        is_empty: and now nothing is left in it.
    """

    def __init__(self, take_message: Callable[[bytes, bool], None], take_frame: Take) -> None:
        self.straight: Straight | None = None
        self.now_ns = 0
        self.take_message = take_message
        self.take_frame = take_frame
        self.is_grown = False
        self.is_empty = False

    def on_ws_frame(self, transport: object, frame: WSFrame) -> None:
        """Sort a frame; what this raises ends the connection with 1011."""
        kind = frame.msg_type
        payload = frame.get_payload_as_bytes()
        if frame.fin and (kind is BINARY or kind is TEXT) and not (frame.rsv1 or frame.rsv2 or frame.rsv3):
            if kind is BINARY and self.straight is not None:
                self.straight(payload, False, self.now_ns)
            else:
                self.take_message(payload, kind is TEXT)
        else:
            first = FIRST_BYTES[kind] if frame.fin else kind.value
            first |= frame.rsv1 << 6 | frame.rsv2 << 5 | frame.rsv3 << 4
            self.take_frame(first, payload)
        if self.is_grown or len(payload) > MAX_KEPT_BYTES:
            self.is_grown = True
            self.is_empty = frame.tail_size == 0


class Parser:
    """Cuts the bytes of one client into frames. Must be made in the loop's thread.

    Args:
        take_message, take_frame: see `Listener`.
        max_size: largest payload in bytes.

    Attributes:
        listener: what `picows` calls.
        get_space: what is free of its buffer, to be written to from its beginning; take `PORTION_BYTES` of it.
    """

    __slots__ = ("_max_size", "_update", "_wire", "get_space", "listener")

    def __init__(self, take_message: Callable[[bytes, bool], None], take_frame: Take, max_size: int) -> None:
        self.listener = Listener(take_message, take_frame)
        self._max_size = max_size
        self._begin()

    def _begin(self) -> None:
        self._wire = Wire()
        self.listener.is_grown = self.listener.is_empty = False
        never = (False, 1, 1, WSAutoPingStrategy.PING_WHEN_IDLE, False)
        inner: Any = WSProtocol(
            *(None, None, False, lambda asked: self.listener, QUIET, True, None),
            *(*never, self._max_size, None, BUFFER_BYTES),
        )
        inner.connection_made(self._wire)
        self.get_space: Callable[[int], memoryview] = inner.get_buffer
        self._update: Callable[[int], None] = inner.buffer_updated
        self.get_space(0)[: len(OPENING)] = OPENING
        self._update(len(OPENING))

    def feed(self, n_bytes: int, now_ns: int = 0) -> tuple[int, str] | None:
        """Take what was written to the space. Returns the code and reason of a fault, after which it must rest.

        What came before the fault has been taken.
        """
        self.listener.now_ns = now_ns
        self._update(n_bytes)
        if self._wire.fault is not None:
            return self._wire.fault
        if self.listener.is_empty:
            self._begin()
        return None


def sender_of(transport: asyncio.Transport) -> Callable[[Any, bytes], None]:
    """Return a function that writes one message of at most `MAX_SENT_BYTES`, past the loop where nothing waits."""
    make: Any = WSTransport
    send: Callable[[Any, bytes], None] = make(False, transport, QUIET, asyncio.get_running_loop()).send
    return send


MAX_SENT_BYTES = 8192
"""For a longer one `picows` lends its own buffer to the loop's transport, which may write it when it has changed."""
