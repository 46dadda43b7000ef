"""Cuts a client's bytes into whole websocket messages, and judges them (RFC 6455 section 5).

The shell reads the commonest case by itself, one plain frame that is the whole chunk. All else comes here, one step at
a time, so that the caller can stop between two steps and go on later. A fault is raised once a frame's head shows it.
"""

from __future__ import annotations

from websockets.exceptions import ProtocolError
from websockets.frames import apply_mask  # type: ignore[attr-defined]

from streamrnn.errors import OversizedError

CONTINUED = 0
TEXT = 1
BINARY = 2
CLOSE = 8
PING = 9
PONG = 10
FIN = 0x80
RESERVED = 0x70
MASK = 0x80
PLAIN = (FIN | BINARY, FIN | TEXT)
OPCODES = frozenset({CONTINUED, TEXT, BINARY, CLOSE, PING, PONG})
MAX_CONTROL_BYTES = 125
"""RFC 6455 section 5.5."""
LARGE_BYTES = 4096
"""From here on a payload is unmasked through a view; below, a copy costs less than the view."""

Step = tuple[int, bytes]
"""An opcode and its payload; of a message in fragments the opcode of the first, with the payload of all."""
PART: Step = (CONTINUED, b"")
"""A fragment was taken, and its message is not whole yet."""


class Splitter:
    """Holds what has come of one connection and is not dealt with yet.

    Args:
        max_size: largest message in bytes, over all its fragments.
        max_fragments: most fragments of one message.
    """

    __slots__ = (
        "_at",
        "_chunk",
        "_max_fragments",
        "_max_size",
        "_n_fragments",
        "_needed",
        "_opcode",
        "_parts",
        "_rest",
    )

    def __init__(self, max_size: int, max_fragments: int) -> None:
        self._max_size = max_size
        self._max_fragments = max_fragments
        self._chunk = b""
        self._at = 0
        self._rest: bytearray | None = None
        self._needed = 0
        self._parts: bytearray | None = None
        self._opcode = 0
        self._n_fragments = 0

    @property
    def is_empty(self) -> bool:
        """Whether the next byte begins a message."""
        return self._parts is None and self._rest is None and self._at == len(self._chunk)

    @property
    def is_between(self) -> bool:
        """Whether no message in fragments is under way."""
        return self._parts is None

    @property
    def is_kept(self) -> bool:
        """Whether there may be another step without further bytes."""
        return self._at < len(self._chunk)

    def put(self, chunk: bytes) -> None:
        """Add what has come."""
        if self._rest is not None:
            self._rest += chunk
            if len(self._rest) < self._needed:
                return
            chunk, self._rest = bytes(self._rest), None
        elif self._at < len(self._chunk):
            chunk = self._chunk[self._at :] + chunk
        self._chunk, self._at = chunk, 0

    def step(self) -> Step | None:
        """Take one frame. Returns a whole message or control frame, `PART`, or None where more bytes are needed.

        Raises:
            ProtocolError: the frame breaks the protocol.
            OversizedError: the message is longer than the limit, or in too many fragments.
        """
        chunk, start = self._chunk, self._at
        n_bytes = len(chunk) - start
        if n_bytes >= 6 and chunk[start] in PLAIN and MASK <= chunk[start + 1] < MASK + 126 and self._parts is None:
            # A short message in one frame: what many frames in one chunk nearly always are.
            body = start + 6
            end = body + chunk[start + 1] - MASK
            if end <= len(chunk) and end - body <= self._max_size:
                self._at = end
                return chunk[start] & 15, apply_mask(chunk[body:end], chunk[start + 2 : body])
        if n_bytes < 2:
            self._wait(2)
            return None
        first, second = chunk[start], chunk[start + 1]
        opcode = first & 15
        if opcode not in OPCODES:
            raise ProtocolError("invalid opcode")
        if not second & MASK:
            raise ProtocolError("incorrect masking")
        size = second & 127
        body = start + 6
        if size >= 126:
            body += 2 if size == 126 else 8
            if n_bytes < body - start - 4:
                self._wait(body - start - 4)
                return None
            size = int.from_bytes(chunk[start + 2 : body - 4], "big")
        self._judge(first, opcode, size)
        end = body + size
        if end > len(chunk):
            self._wait(end - start)
            return None
        self._at = end
        masked = chunk[body:end] if size < LARGE_BYTES else memoryview(chunk)[body:end]
        payload = apply_mask(masked, chunk[body - 4 : body])
        if end == len(chunk):
            self._chunk, self._at = b"", 0
        if first & FIN and opcode:
            return opcode, payload
        return self._join(first, opcode, payload)

    def _judge(self, first: int, opcode: int, size: int) -> None:
        """Refuse a frame by its head alone.

        Raises:
            ProtocolError: it breaks the protocol.
            OversizedError: its message is longer than the limit, or in too many fragments.
        """
        parts = self._parts
        if opcode < CLOSE:
            n_before = 0 if parts is None else len(parts)
            if size > self._max_size - n_before:
                raise OversizedError(f"expected at most {self._max_size} bytes in a message")
        if first & RESERVED:
            raise ProtocolError("reserved bits must be 0")
        if opcode >= CLOSE:
            if size > MAX_CONTROL_BYTES:
                raise ProtocolError("control frame too long")
            if not first & FIN:
                raise ProtocolError("fragmented control frame")
        elif opcode == CONTINUED:
            if parts is None:
                raise ProtocolError("unexpected continuation frame")
            if self._n_fragments >= self._max_fragments:
                raise OversizedError(f"expected at most {self._max_fragments} fragments in a message")
        elif parts is not None:
            raise ProtocolError("expected a continuation frame")

    def _join(self, first: int, opcode: int, payload: bytes) -> Step:
        """Take a fragment."""
        if opcode != CONTINUED:
            self._parts, self._opcode, self._n_fragments = bytearray(payload), opcode, 1
            return PART
        assert self._parts is not None
        self._parts += payload
        self._n_fragments += 1
        if not first & FIN:
            return PART
        whole, self._parts = bytes(self._parts), None
        return self._opcode, whole

    def _wait(self, needed: int) -> None:
        """Wait until the frame that begins here has `needed` bytes."""
        if self._at < len(self._chunk):
            self._rest = bytearray(self._chunk[self._at :])
            self._needed = needed
            self._chunk, self._at = b"", 0


def is_utf8(payload: bytes) -> bool:
    """Whether it is (RFC 3629, without surrogates)."""
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
