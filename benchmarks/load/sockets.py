"""Connections and sessions of a run, opened in groups before the clock starts."""

from __future__ import annotations

import resource
import select
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from benchmarks.load.packets import CODEC, masked
from streamrnn.wire import messages as m

GROUP_SIZE = 64
"""Connections opened at once: below the backlog of any server, else the kernel waits a second to try again."""
TIMEOUT_S = 30.0


class LoadError(Exception):
    """A run cannot begin or go on; says what was expected."""


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Read `ws://HOST:PORT/PATH`.

        Raises:
            LoadError: it is no such URL.
        """
        parts = urlsplit(url)
        if parts.scheme != "ws" or not parts.hostname or not parts.port:
            raise LoadError(f"expected ws://HOST:PORT, got {url!r}")
        return cls(parts.hostname, parts.port, parts.path or "/")


class Reader:
    """Whole websocket messages of one connection, for the time before the loop."""

    def __init__(self, plug: socket.socket) -> None:
        self._plug = plug
        self._waiting = bytearray()

    def head(self) -> bytes:
        """The response to the handshake."""
        while (end := self._waiting.find(b"\r\n\r\n")) < 0:
            self._read()
        return self._cut(end + 4)

    def message(self) -> bytes:
        """The next message; pings are left out."""
        while True:
            opcode, payload = self._frame()
            if opcode in (1, 2):
                return payload
            if opcode == 8:
                raise LoadError(f"expected a message, got the close of the connection: {payload[2:].decode()!r}")

    def _frame(self) -> tuple[int, bytes]:
        opcode, n = self._cut(2)
        if n >= 126:
            n = int.from_bytes(self._cut(2 if n == 126 else 8), "big")
        return opcode & 0x0F, self._cut(n)

    def _cut(self, n: int) -> bytes:
        while len(self._waiting) < n:
            self._read()
        part = bytes(self._waiting[:n])
        del self._waiting[:n]
        return part

    def _read(self) -> None:
        chunk = self._plug.recv(65536)
        if not chunk:
            raise LoadError(f"expected an answer, got the end of the connection after {bytes(self._waiting)[:200]!r}")
        self._waiting += chunk


class Sockets:
    """Connected websockets, non-blocking and registered with one epoll; a context that closes them.

    Args:
        address: of the server.
        n: how many.
        protocol: the sub-protocol to ask for, or None.
        send_buffer_bytes: of each socket; 0: the system's.

    Raises:
        LoadError: the server does not take them.
    """

    def __init__(self, address: Address, n: int, protocol: str | None, send_buffer_bytes: int = 0) -> None:
        _raise_file_limit(n + 64)
        self._address = address
        self._protocol = protocol
        self._send_buffer_bytes = send_buffer_bytes
        self.plugs: list[socket.socket] = []
        self.epoll = select.epoll()
        for start in range(0, n, GROUP_SIZE):
            self._open_group(min(GROUP_SIZE, n - start))
        self.readers = [Reader(plug) for plug in self.plugs]

    def __enter__(self) -> Sockets:
        return self

    def __exit__(self, *_: object) -> None:
        self.epoll.close()
        for plug in self.plugs:
            plug.close()

    @property
    def fds(self) -> list[int]:
        """Their file descriptors."""
        return [plug.fileno() for plug in self.plugs]

    def arm(self) -> None:
        """Make them ready for the loop: no call blocks any more."""
        for plug in self.plugs:
            plug.setblocking(False)
            self.epoll.register(plug.fileno(), select.EPOLLIN)

    def _open_group(self, n: int) -> None:
        address = self._address
        asked = f"Sec-WebSocket-Protocol: {self._protocol}\r\n" if self._protocol else ""
        hello = (
            f"GET {address.path} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{asked}\r\n"
        ).encode()
        plugs = [_connected(address) for _ in range(n)]
        for plug in plugs:
            if self._send_buffer_bytes:
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer_bytes)
            plug.sendall(hello)
        self.plugs += plugs
        for plug in plugs:
            head = Reader(plug).head()
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                raise LoadError(f"expected status 101, got {head[:200]!r}")


def _connected(address: Address) -> socket.socket:
    try:
        plug = socket.create_connection((address.host, address.port), TIMEOUT_S)
    except OSError as fault:
        raise LoadError(f"expected a server at {address.host}:{address.port}: {fault}") from None
    plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return plug


def _raise_file_limit(n: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < n:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(n, hard) if hard > 0 else n, hard))


def open_sessions(sockets: Sockets, counts: Sequence[int], model: str, options: dict[str, Any]) -> m.Opened:
    """Open sessions with handles 0, 1, ... on each connection; what the server says of the last one.

    Args:
        sockets: those of the run.
        counts: how many sessions each connection gets.
        model: its name on the server.
        options: further fields of `open`.

    Raises:
        LoadError: one is refused; says why.
    """
    opened = None
    for start in range(0, len(counts), GROUP_SIZE):
        group = range(start, min(start + GROUP_SIZE, len(counts)))
        for c in group:
            sockets.plugs[c].sendall(b"".join(_open_bytes(counts[c], model, options)))
        for c in group:
            for _ in range(counts[c]):
                opened = _opened(sockets.readers[c])
    if opened is None:
        raise LoadError("expected at least one session")
    return opened


def _open_bytes(n: int, model: str, options: dict[str, Any]) -> Iterator[bytes]:
    for handle in range(n):
        yield masked(CODEC.encode(m.Open(handle, model, **options)))


def _opened(reader: Reader) -> m.Opened:
    reply = CODEC.decode_server(reader.message(), False)
    if not isinstance(reply, m.Opened):
        raise LoadError(f"expected a session to be opened, got {reply}")
    return reply
