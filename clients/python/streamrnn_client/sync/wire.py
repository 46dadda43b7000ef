"""A non-blocking socket under a link, shared by threads: one of those that wait reads and writes for all."""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from websockets.uri import WebSocketURI

from streamrnn_client.errors import ConnectError, StreamrnnClientError
from streamrnn_client.link import Link
from streamrnn_client.messages import GoAway
from streamrnn_client.options import Options
from streamrnn_client.pending import Pending, no_answer
from streamrnn_client.table import Event

READ_BYTES = 1 << 18
KEEP_S = 1.0
LOOK_S = 0.001
WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """Link and socket are touched only while `lock` is held; who waits for the socket lets go of it meanwhile.

    The thread that calls sends and reads by itself, so a step costs no thread switch. A thread of ours looks after the
    socket every `KEEP_S` when nobody waits: it answers pings and hears `go_away`. All methods want `lock` held.
    """

    def __init__(self, address: WebSocketURI, options: Options) -> None:
        self.lock = threading.Condition(threading.Lock())
        self.link = Link(address, options, time.monotonic())
        self._options = options
        self._unsent = b""
        self._waited_for = False
        self._read_s = 0.0
        self._over_s: float | None = None
        self._closed = threading.Event()
        self._socket = _connected(address, options)
        self._bell, self._ringer = socket.socketpair()
        for end in (self._socket, self._bell, self._ringer):
            end.setblocking(False)
        self._watched = selectors.EVENT_READ
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, self._watched)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._keeper = threading.Thread(target=self._keep, name="streamrnn-client", daemon=True)

    def shake(self) -> None:
        """Make the websocket handshake.

        Raises:
            HandshakeError: the peer is no streamrnn server, or not ready.
            WaitTimeoutError: not within `connect_timeout_s`.
        """
        self.send()
        seconds = self._options.connect_timeout_s
        self.wait(lambda: self.link.handshake_done or self.link.over, seconds)
        over = self.link.dialogue.table.over
        if over is None and self.link.handshake_done:
            self._keeper.start()
            return
        self.shut()
        raise no_answer("connect", seconds) if over is None else over.again()

    def settled(self, pending: Pending, of: str, timeout_s: float | None) -> Any:
        """Send, wait, and return the answer. Abandons what it waits for when it is interrupted or out of time."""
        self.settle_all([pending], of, timeout_s)
        return pending.result()

    def settle_all(self, pendings: Sequence[Pending], of: str, timeout_s: float | None) -> None:
        """Send, and wait until all are settled."""
        self.send()
        seconds = self._options.timeout_s(of, timeout_s)
        try:
            if not self.wait(lambda: all(pending.done for pending in pendings), seconds):
                raise no_answer(of, seconds, pendings[0])
        finally:
            for pending in pendings:
                if not pending.done:
                    self.link.dialogue.abandon(pending)

    def send(self) -> None:
        """Give the socket what the link wants to send. What it does not take now is sent by whoever waits."""
        self._flush()
        if self._unsent:
            self.ring()

    def wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `done`, reading and writing meanwhile; False if that took too long."""
        end_s = time.monotonic() + timeout_s
        while not done():
            left_s = end_s - time.monotonic()
            if left_s <= 0 or self._closed.is_set():
                return done()
            if self._waited_for:
                self.lock.wait(left_s)
                continue
            self._waited_for = True
            try:
                self._select(min(left_s, KEEP_S, max(0.0, self.link.deadline_s - time.monotonic())))
                self.pump()
            finally:
                self._waited_for = False
                self._release()
                self.lock.notify_all()
        return True

    def pump(self) -> None:
        """Read what has arrived and send what is due, without waiting."""
        if self._closed.is_set():
            return
        self._read()
        now_s = time.monotonic()
        self.tell(self.link.tend(now_s))
        self._flush()
        if self.link.over and self._over_s is None:
            self._over_s = now_s
        lingered = self._over_s is not None and now_s - self._over_s > self._options.close_timeout_s
        if self.link.hang_up or lingered:
            self.shut()

    def look(self) -> None:
        """As `pump`, but only send while another thread is at it, or within `LOOK_S` of the last time."""
        if self._waited_for or time.monotonic() - self._read_s < LOOK_S:
            self.send()
        else:
            self.pump()

    def hang_up(self, error: StreamrnnClientError) -> None:
        """End the connection in order, within `close_timeout_s`; whatever is pending fails with `error`."""
        self.tell(self.link.close(error))
        self.send()
        self.ring()
        self.lock.notify_all()
        self.wait(lambda: self.closed, self._options.close_timeout_s)
        if not self.closed:
            self.shut()

    def tell(self, events: Sequence[Event]) -> None:
        """Who waits looks by itself whether it is done; the hook is called by a thread that holds no lock."""
        for event in events:
            if isinstance(event, GoAway) and self._options.on_go_away is not None:
                seconds = event.deadline_ms / 1000
                threading.Thread(target=self._options.on_go_away, args=(seconds,), daemon=True).start()

    def ring(self) -> None:
        """Let the thread that waits for the socket look again."""
        if self._waited_for:
            with suppress(OSError):
                self._ringer.send(b"!")

    def shut(self) -> None:
        """Give the socket up; nothing more arrives."""
        self.tell(self.link.receive_eof("the connection was closed"))
        self._closed.set()
        self.ring()
        if not self._waited_for:
            self._release()
        self.lock.notify_all()

    @property
    def closed(self) -> bool:
        """The socket has been given up."""
        return self._closed.is_set()

    def join(self) -> None:
        """Wait until the thread of ours has ended. Does not want `lock`."""
        if self._keeper.is_alive() and threading.current_thread() is not self._keeper:
            self._keeper.join(KEEP_S)

    def _flush(self) -> None:
        self._unsent += self.link.data_to_send()
        try:
            while self._unsent and not self._closed.is_set():
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except WOULD_BLOCK:
            return
        except OSError as error:
            self._unsent = b""
            self._read()  # it may hold the reason why the server hung up
            self.tell(self.link.receive_eof(f"the connection broke: {error}"))

    def _read(self) -> None:
        self._read_s = time.monotonic()
        try:
            while not self._closed.is_set():
                data = self._socket.recv(READ_BYTES)
                if not data:
                    self.tell(self.link.receive_eof())
                    return
                self.tell(self.link.receive_data(data, time.monotonic()))
                if len(data) < READ_BYTES and not isinstance(self._socket, ssl.SSLSocket):
                    return
        except WOULD_BLOCK:
            return
        except OSError as error:
            self.tell(self.link.receive_eof(f"the connection broke: {error}"))

    def _select(self, seconds: float) -> None:
        watched = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        if watched != self._watched:
            self._watched = watched
            self._selector.modify(self._socket, watched)
        self.lock.release()
        try:
            ready = self._selector.select(seconds)
        finally:
            self.lock.acquire()
        if any(key.fileobj is self._bell for key, _ in ready):
            with suppress(OSError):
                self._bell.recv(4096)

    def _keep(self) -> None:
        while not self._closed.wait(KEEP_S):
            with self.lock:
                if not self._waited_for:
                    self.pump()

    def _release(self) -> None:
        if self._closed.is_set():
            self._selector.close()
            for end in (self._socket, self._bell, self._ringer):
                end.close()


def _connected(address: WebSocketURI, options: Options) -> socket.socket:
    """A TCP or TLS socket to the server, with the time of both bounded."""
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
