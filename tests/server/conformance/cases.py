"""What one case is, and the bytes that a client sends in it."""

from __future__ import annotations

from dataclasses import dataclass

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = b"\x37\xfa\x21\x3d"

Frame = tuple[int, bytes]
"""Opcode and payload of what the server sends."""


@dataclass(frozen=True)
class Case:
    """One dialogue.

    Attributes:
        number: that of the same case in Autobahn's testsuite, where it has one.
        sent: what the client sends, a chunk each; None: nothing more, and it closes with 1000.
        echoed: the messages that come back, in order.
        answered: the pongs that come back, in order.
        code: with which the server closes; 1000 where it answers the client's own close.
        is_closed_by_client: whether `sent` has a close of its own.
        why: why something else is expected than Autobahn does.
    """

    number: str
    sent: tuple[bytes, ...]
    echoed: tuple[Frame, ...] = ()
    answered: tuple[bytes, ...] = ()
    code: int | None = 1000
    is_closed_by_client: bool = False
    why: str = ""


def frame(payload: bytes = b"", opcode: int = TEXT, *, fin: bool = True, reserved: int = 0) -> bytes:
    """One masked websocket frame."""
    n_bytes = len(payload)
    if n_bytes < 126:
        size = bytes([0x80 | n_bytes])
    elif n_bytes < 65536:
        size = b"\xfe" + n_bytes.to_bytes(2, "big")
    else:
        size = b"\xff" + n_bytes.to_bytes(8, "big")
    key = int.from_bytes((KEY * (n_bytes // 4 + 1))[:n_bytes], "big")
    masked = (int.from_bytes(payload, "big") ^ key).to_bytes(n_bytes, "big")
    return bytes([(0x80 if fin else 0) | reserved << 4 | opcode]) + size + KEY + masked


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """A close frame."""
    return frame(b"" if code is None else code.to_bytes(2, "big") + reason, CLOSE)


def fragments(payload: bytes, size: int, opcode: int = TEXT) -> list[bytes]:
    """A message in fragments of `size` bytes."""
    starts = range(0, max(len(payload), 1), size)
    return [frame(payload[at : at + size], CONTINUED if at else opcode, fin=at + size >= len(payload)) for at in starts]


def chopped(stream: bytes, size: int = 1) -> tuple[bytes, ...]:
    """The same bytes in chunks of `size`."""
    return tuple(stream[at : at + size] for at in range(0, len(stream), size))


def texts(*payloads: bytes) -> tuple[Frame, ...]:
    """Text messages that come back."""
    return tuple((TEXT, payload) for payload in payloads)


def binaries(*payloads: bytes) -> tuple[Frame, ...]:
    """Binary messages that come back."""
    return tuple((BINARY, payload) for payload in payloads)
