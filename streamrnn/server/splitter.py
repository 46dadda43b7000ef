"""Cuts a client's bytes into whole websocket frames, and unmasks the plain ones.

A plain frame is a masked, unfragmented text or binary message without reserved bits: nearly all that clients send. It
needs none of the library's state machine, which costs six times as much. Whatever else comes (fragments, pings, closes,
faults) is passed on for the library, which stays the only judge of them (RFC 6455 section 5.2).
"""

from __future__ import annotations

from websockets.frames import apply_mask  # type: ignore[attr-defined]

PLAIN_TEXT = 0x81
PLAIN_BINARY = 0x82
PLAIN = (PLAIN_BINARY, PLAIN_TEXT)
FRAGMENT_STARTS = (0x01, 0x02)
LAST_FRAGMENT = 0x80
MASK = 0x80
SHORT_HEAD = 6
"""Bytes before the payload of the shortest frame that a client may send."""

Message = tuple[bool, bytes]
"""Whether it is text, and the payload."""


class Splitter:
    """Holds the bytes of one connection that are not a whole frame yet.

    Args:
        max_size: largest payload in bytes; a frame that declares more is for the library, before it has arrived.
    """

    __slots__ = ("_is_given_up", "_is_in_fragments", "_max_size", "_needed", "_rest")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._rest = bytearray()
        self._needed = 0
        self._is_in_fragments = False
        self._is_given_up = False

    def feed(self, chunk: bytes) -> list[Message | bytes]:
        """Return what is whole, in order: plain messages, and bytes for the library."""
        if self._is_given_up:
            return [chunk]
        if self._rest:
            self._rest += chunk
            if len(self._rest) < self._needed:
                return []
            chunk = bytes(self._rest)
            self._rest.clear()
        found: list[Message | bytes] = []
        start, n_bytes = 0, len(chunk)
        while start < n_bytes:
            # One loop without calls for a plain frame: this runs once a message.
            if n_bytes - start < SHORT_HEAD:
                if n_bytes - start >= 2 and not chunk[start + 1] & MASK:
                    return self._give_up(chunk, start, found)
                return self._keep(chunk, start, SHORT_HEAD, found)
            first, second = chunk[start], chunk[start + 1]
            size = second & 127
            body = start + (6 if size < 126 else 8 if size == 126 else 14)
            if size >= 126:
                if n_bytes < body:
                    return self._keep(chunk, start, body - start, found)
                size = int.from_bytes(chunk[start + 2 : body - 4], "big")
            if size > self._max_size or not second & MASK:
                return self._give_up(chunk, start, found)
            end = body + size
            if end > n_bytes:
                return self._keep(chunk, start, end - start, found)
            if first in PLAIN and not self._is_in_fragments:
                found.append((first == PLAIN_TEXT, apply_mask(chunk[body:end], chunk[body - 4 : body])))
            else:
                self._note_fragment(first)
                found.append(chunk[start:end])
            start = end
        return found

    def _keep(self, chunk: bytes, start: int, needed: int, found: list[Message | bytes]) -> list[Message | bytes]:
        """Wait until the frame at `start` has `needed` bytes."""
        self._rest += chunk[start:]
        self._needed = needed
        return found

    def _note_fragment(self, first: int) -> None:
        if first in FRAGMENT_STARTS:
            self._is_in_fragments = True
        elif first == LAST_FRAGMENT:
            self._is_in_fragments = False

    def _give_up(self, chunk: bytes, start: int, found: list[Message | bytes]) -> list[Message | bytes]:
        """Leave this and all that follows to the library, which will end the connection."""
        self._is_given_up = True
        found.append(chunk[start:])
        return found
