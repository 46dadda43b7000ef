"""A client that may say anything: raw bytes out, and what came back in words that can be compared."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from streamrnn.limits import Limits
from streamrnn.wire import messages as m
from streamrnn.wire.codec import JSON, MSGPACK, Codec

CODEC, JSON_CODEC = Codec(MSGPACK, Limits()), Codec(JSON, Limits())
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
PATIENCE_S = 10.0
"""How long an answer is waited for."""


def handshake(protocol: str = MSGPACK) -> bytes:
    """The bytes of an opening handshake."""
    return (
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    ).encode()


def masked(payload: bytes, first: int = 0x80 | BINARY, n_bytes: int | None = None, mask: int = 0x80) -> bytes:
    """One websocket frame of a client; the masking key is zero, which costs the attacker nothing.

    Args:
        payload: of the frame.
        first: its first byte: FIN, reserved bits and opcode.
        n_bytes: the size that is declared, by default the true one.
        mask: 0 leaves the frame unmasked.
    """
    n = len(payload) if n_bytes is None else n_bytes
    if n < 126:
        size = bytes([mask | n])
    elif n < 65536:
        size = struct.pack("!BH", mask | 126, n)
    else:
        size = struct.pack("!BQ", mask | 127, n)
    return bytes([first]) + size + (bytes(4) if mask else b"") + payload


class Wire:
    """One TCP connection to the server.

    Args:
        port: of the server.
        protocol: sub-protocol of the handshake; None: none is made.
        inbox_bytes: of the socket's receive buffer; None: the system's own choice.

    Attributes:
        is_deaf: pings are not answered.
    """

    def __init__(self, port: int, protocol: str | None = MSGPACK, inbox_bytes: int | None = None) -> None:
        self.plug = socket.socket()
        if inbox_bytes is not None:
            self.plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, inbox_bytes)
        self.plug.settimeout(PATIENCE_S)
        self.plug.connect(("127.0.0.1", port))
        self.plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = bytearray()
        self._decode = (JSON_CODEC if protocol == JSON else CODEC).decode_server
        self._is_text = protocol == JSON
        self.is_deaf = False
        if protocol is not None:
            self.send(handshake(protocol))
            head = self.head()
            if head != "HTTP 101":
                raise ConnectionRefusedError(head)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *fault: object) -> None:
        self.plug.close()

    def send(self, chunk: bytes) -> None:
        """Send bytes; a server that has dropped us is no fault here, it is seen when we read."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            self.plug.sendall(chunk)

    def say(self, *messages: m.ClientMessage) -> None:
        """Send messages in one write."""
        codec, first = (JSON_CODEC, 0x80 | TEXT) if self._is_text else (CODEC, 0x80 | BINARY)
        self.send(b"".join(masked(codec.encode(message), first) for message in messages))

    def head(self) -> str:
        """Read an HTTP response's head: `HTTP 503`, or how the connection ended."""
        while (end := self._rest.find(b"\r\n\r\n")) < 0:
            if (fault := self._read()) is not None:
                return fault
        status = self._rest[:end].split(b" ", 2)[1].decode()
        del self._rest[: end + 4]
        return f"HTTP {status}"

    def read_some(self) -> list[tuple[int, bytes]]:
        """Read once; the whole websocket frames that have come: opcode and payload.

        Raises:
            ConnectionError: the connection is over.
        """
        fault = self._read()
        if fault is not None and fault != "silence":
            raise ConnectionError(fault)
        return list(self._frames())

    def hear(self, is_last: Callable[[Any], bool], wait_s: float = PATIENCE_S) -> Counter[str]:
        """Read messages up to the one that `is_last`, or the end; count them, the end included."""
        seen: Counter[str] = Counter()
        deadline = time.monotonic() + wait_s
        while True:
            for opcode, payload in self._frames():
                if opcode in (TEXT, BINARY):
                    message = self._decode(payload, opcode == TEXT)
                    seen[word_of(message)] += 1
                    if is_last(message):
                        return seen
                elif opcode == CLOSE:
                    seen[f"close {int.from_bytes(payload[:2], 'big')}"] += 1
                    return seen
                elif opcode == PONG:
                    seen["pong"] += 1
                elif self.is_deaf:
                    seen["ping"] += 1
                else:
                    self.send(masked(payload, 0x80 | PONG))
            self.plug.settimeout(max(0.001, deadline - time.monotonic()))
            if (fault := self._read()) is not None:
                seen[fault] += 1
                return seen

    def answer(self) -> Any:
        """The next message.

        Raises:
            ConnectionError: none came.
        """
        found: list[Any] = []

        def take(message: Any) -> bool:
            found.append(message)
            return True

        seen = self.hear(take)
        if not found:
            raise ConnectionError(told(seen))
        return found[0]

    def hear_end(self, wait_s: float = PATIENCE_S) -> Counter[str]:
        """Count all that comes until the end of the connection."""
        return self.hear(lambda _: False, wait_s)

    def _read(self) -> str | None:
        """Read once; None, or how the connection ended."""
        try:
            chunk = self.plug.recv(1 << 18)
        except (TimeoutError, BlockingIOError):
            return "silence"
        except ConnectionError:
            return "reset"
        if not chunk:
            return "end"
        self._rest += chunk
        return None

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        rest, start, n_bytes = self._rest, 0, len(self._rest)
        try:
            while n_bytes - start >= 2:
                size, body = rest[start + 1], start + 2
                if size >= 126:
                    body += 2 if size == 126 else 8
                    if n_bytes < body:
                        return
                    size = int.from_bytes(rest[start + 2 : body], "big")
                if n_bytes < body + size:
                    return
                opcode, payload = rest[start] & 15, bytes(rest[body : body + size])
                start = body + size
                yield opcode, payload
        finally:
            del rest[:start]


def word_of(message: Any) -> str:
    """A message of the server in a word or two."""
    if isinstance(message, m.Error):
        return message.code
    return type(message).__name__.lower()


def told(seen: Counter[str]) -> str:
    """What was seen as one line, such as `opened, error x 3, close 1007`."""
    return ", ".join(word if n == 1 else f"{word} x {n}" for word, n in seen.items()) or "nothing"
