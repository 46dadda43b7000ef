"""One non-blocking socket of the blocking shell, and the bell that wakes who waits for it."""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from contextlib import suppress

from websockets.uri import WebSocketURI

from streamrnn_client.losses import ConnectError
from streamrnn_client.options import Options
from streamrnn_client.pending import no_answer

READ_BYTES = 1 << 18
WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Bell:
    """A pair of sockets: `ring` on one end lets a `select` on the other return."""

    def __init__(self) -> None:
        self.end, self._ringer = socket.socketpair()
        for end in (self.end, self._ringer):
            end.setblocking(False)

    def ring(self) -> None:
        """Wake who waits."""
        with suppress(OSError):
            self._ringer.send(b"!")

    def hear(self) -> None:
        """It has been heard."""
        with suppress(OSError):
            self.end.recv(4096)

    def close(self) -> None:
        """Of no more use."""
        self.end.close()
        self._ringer.close()


class Socket:
    """What is `unsent` it did not take yet. `is_let_go`: to be closed by whoever waits for it."""

    def __init__(self, raw: socket.socket, bell: Bell) -> None:
        self.unsent = b""
        self.is_let_go = False
        self._raw = raw
        self._bell = bell
        raw.setblocking(False)
        self._watched = selectors.EVENT_READ
        self._selector = selectors.DefaultSelector()
        self._selector.register(raw, self._watched)
        self._selector.register(bell.end, selectors.EVENT_READ)

    def write(self, data: bytes) -> OSError | None:
        """Send it behind what is unsent, as far as there is room; returns what went wrong."""
        self.unsent += data
        try:
            while self.unsent:
                self.unsent = self.unsent[self._raw.send(self.unsent) :]
        except WOULD_BLOCK:
            return None
        except OSError as fault:
            self.unsent = b""
            return fault
        return None

    def read(self) -> tuple[bytes, str | None]:
        """What has arrived; and if no more will, why."""
        try:
            data = self._raw.recv(READ_BYTES)
        except WOULD_BLOCK:
            return b"", None
        except OSError as fault:
            return b"", f"the connection broke: {fault}"
        return data, None if data else "the connection ended without a closing handshake"

    def may_hold_more(self, data: bytes) -> bool:
        """There may be more than these bytes at hand."""
        return len(data) >= READ_BYTES or isinstance(self._raw, ssl.SSLSocket)

    def watch(self) -> None:
        """Before `select`: wait for room as well where something is unsent."""
        watched = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.unsent else 0)
        if watched != self._watched:
            self._watched = watched
            self._selector.modify(self._raw, watched)

    def select(self, seconds: float) -> None:
        """Wait until bytes may be read or written, or the bell rings."""
        ready = self._selector.select(seconds)
        if any(key.fileobj is self._bell.end for key, _ in ready):
            self._bell.hear()

    def close(self) -> None:
        """Of no more use."""
        self._selector.close()
        self._raw.close()


def dialled(address: WebSocketURI, options: Options) -> socket.socket:
    """A TCP or TLS socket to the server, with the time of both bounded.

    Raises:
        ConnectError: none could be made.
        WaitTimeoutError: not in time.
    """
    seconds = options.connect_timeout_s
    end_s = time.monotonic() + seconds
    raw = None
    try:
        raw = socket.create_connection((address.host, address.port), seconds)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not address.secure:
            return raw
        raw.settimeout(max(0.001, end_s - time.monotonic()))
        secure = options.ssl or ssl.create_default_context()
        return secure.wrap_socket(raw, server_hostname=address.host)
    except OSError as error:
        if raw is not None:
            raw.close()
        if isinstance(error, TimeoutError):
            raise no_answer("connect", seconds) from error
        raise ConnectError(f"expected a server at {address.host}:{address.port}: {error}") from error
