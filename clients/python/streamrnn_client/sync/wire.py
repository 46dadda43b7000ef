"""The blocking shell under sessions, shared by threads: one of those that wait reads and writes for all."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from streamrnn_client.errors import StreamrnnClientError
from streamrnn_client.hooks import hook_of
from streamrnn_client.line import Line, Told
from streamrnn_client.losses import ConnectError, WaitTimeoutError
from streamrnn_client.pending import Pending, no_answer
from streamrnn_client.sync.caller import Caller
from streamrnn_client.sync.socket import Bell, Socket, dialled

KEEP_S = 1.0
LOOK_S = 0.001


class Wire:
    """Line and socket are touched only while `lock` is held; who waits for the socket lets go of it meanwhile.

    The thread that calls sends and reads by itself, so a step costs no thread switch. A thread of ours, the keeper,
    looks after the socket every `KEEP_S` when nobody waits: it answers pings and hears `go_away`. It alone dials after
    a loss, with the lock let go: whose call runs out of time meanwhile is told so. All methods want `lock` held.
    """

    def __init__(self, line: Line) -> None:
        self.lock = threading.Condition(threading.Lock())
        self.line = line
        self.dialogue = line.dialogue
        self.options = line.options
        self._socket: Socket | None = None
        self._bell = Bell()
        self._caller = Caller()
        self._waited_for = False
        self._read_s = 0.0
        self._over_s: float | None = None
        self._closed = threading.Event()
        self._stirred = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="streamrnn-client", daemon=True)

    # ---- what sessions use

    def settled(self, pending: Pending, of: str, timeout_s: float | None) -> Any:
        """Send, wait, and return the answer. Abandons what it waits for when it is interrupted or out of time."""
        self.settle_all([pending], of, timeout_s)
        return pending.result()

    def settle_all(self, pendings: Sequence[Pending], of: str, timeout_s: float | None) -> None:
        """Send, and wait until all are settled."""
        self.send()
        seconds = self.options.timeout_s(of, timeout_s)
        try:
            if not self.wait(lambda: all(pending.done for pending in pendings), seconds):
                raise no_answer(of, seconds, pendings[0])
        finally:
            for pending in pendings:
                if not pending.done:
                    self.dialogue.abandon(pending)

    def send(self) -> None:
        """Give the socket what the line wants to send. What it does not take now is sent by whoever waits."""
        self._flush()
        if self.line.is_down:
            self._stirred.set()
        elif self._socket is not None and self._socket.unsent:
            self._ring()

    def wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `done`, reading and writing meanwhile; False if that took too long."""
        end_s = time.monotonic() + timeout_s
        while not done():
            left_s = end_s - time.monotonic()
            if left_s <= 0 or self._closed.is_set():
                return done()
            if self._waited_for or self._socket is None:
                self.lock.wait(left_s)
                continue
            self._waited_for = True
            try:
                self._select(min(left_s, KEEP_S, max(0.0, self.line.deadline_s - time.monotonic())))
                self.pump()
            finally:
                self._waited_for = False
                self._release()
                self.lock.notify_all()
        return True

    def look(self) -> None:
        """As `pump`, but only send while another thread is at it, or within `LOOK_S` of the last time."""
        if self._waited_for or time.monotonic() - self._read_s < LOOK_S:
            self.send()
        else:
            self.pump()

    # ---- what clients use

    def dial(self) -> StreamrnnClientError | None:
        """Make a connection and shake hands; returns why that could not be. The lock is let go meanwhile."""
        address, seconds = self.line.address, self.options.connect_timeout_s
        end_s = time.monotonic() + seconds
        link = self.line.dial(time.monotonic())
        error: StreamrnnClientError | None = None
        self._let_go()
        self.lock.release()
        try:
            raw = dialled(address, self.options)
        except (ConnectError, WaitTimeoutError) as failure:
            raw, error = None, failure
        finally:
            self.lock.acquire()
        while self._waited_for:  # for the socket before, which it will close
            self.lock.wait(KEEP_S)
        if raw is not None and self._closed.is_set():
            raw.close()
        elif raw is not None:
            self._release()
            self._socket = Socket(raw, self._bell)
            self.lock.notify_all()
            self.send()
            self.wait(lambda: link.handshake_done or link.over, max(0.0, end_s - time.monotonic()))
            if not (link.handshake_done or link.over):
                error = no_answer("connect", seconds)
        if error is not None:
            self._tell(self.line.failed(error, time.monotonic()))
        if link.over:
            self._let_go()
        if link.handshake_done and not self._keeper.is_alive() and not self._closed.is_set():
            self._keeper.start()
        return link.error

    def hang_up(self, error: StreamrnnClientError) -> None:
        """End it all in order, within `close_timeout_s`; whatever is pending fails with `error`."""
        self._tell(self.line.close(error))
        self.send()
        self._ring()
        self.lock.notify_all()
        if self._socket is None or self.line.hang_up:
            self.shut()
        self.wait(lambda: self.closed, self.options.close_timeout_s)
        if not self.closed:
            self.shut()

    @property
    def closed(self) -> bool:
        """Nothing more arrives, ever."""
        return self._closed.is_set()

    def shut(self) -> None:
        """Give it all up; nothing more arrives."""
        self._tell(self.line.receive_eof("the connection was closed", time.monotonic()))
        self._closed.set()
        self._stirred.set()
        self._let_go()
        self._caller.stop()
        self.lock.notify_all()

    def join(self) -> None:
        """Wait until the thread of ours has ended. Does not want `lock`."""
        if self._keeper.is_alive() and threading.current_thread() is not self._keeper:
            self._keeper.join(KEEP_S)

    # ---- the socket

    def pump(self) -> None:
        """Read what has arrived and send what is due, without waiting."""
        if self._closed.is_set():
            return
        self._read()
        now_s = time.monotonic()
        self._tell(self.line.tend(now_s))
        self._flush()
        if self.line.over is not None:
            self._over_s = self._over_s or now_s
            if self.line.hang_up or now_s - self._over_s > self.options.close_timeout_s:
                self.shut()
        elif self.line.hang_up:
            self._let_go()

    def _flush(self) -> None:
        if self._socket is None or self._socket.is_let_go:
            return
        fault = self._socket.write(self.line.data_to_send())
        if fault is not None:
            self._read()  # it may hold the reason why the server hung up
            self._tell(self.line.receive_eof(f"the connection broke: {fault}", time.monotonic()))
            self._stirred.set()

    def _read(self) -> None:
        self._read_s = time.monotonic()
        while self._socket is not None and not self._socket.is_let_go and not self._closed.is_set():
            data, fault = self._socket.read()
            if data:
                self._tell(self.line.receive_data(data, time.monotonic()))
            if fault is not None:
                self._tell(self.line.receive_eof(fault, time.monotonic()))
            if not data or fault is not None or not self._socket.may_hold_more(data):
                return

    def _select(self, seconds: float) -> None:
        socket = self._socket
        assert socket is not None
        socket.watch()
        self.lock.release()
        try:
            socket.select(seconds)
        finally:
            self.lock.acquire()

    def _tell(self, told: Sequence[Told]) -> None:
        """Who waits looks by itself whether it is done; hooks are called by a thread that holds no lock."""
        for event in told:
            hook = hook_of(event, self.options)
            if hook is not None:
                self._caller.call(hook)

    def _ring(self) -> None:
        """Let the thread that waits for the socket look again."""
        if self._waited_for:
            self._bell.ring()

    def _let_go(self) -> None:
        """The socket is of no more use. Who waits for it closes it, else it is closed now."""
        if self._socket is not None:
            self._socket.is_let_go = True
        self._ring()
        self._stirred.set()
        if not self._waited_for:
            self._release()

    def _release(self) -> None:
        if self._socket is not None and self._socket.is_let_go:
            self._socket.close()
            self._socket = None
        if self._closed.is_set() and self._socket is None:
            self._bell.close()

    # ---- the keeper

    def _keep(self) -> None:
        while not self._closed.is_set():
            with self.lock:
                due_s = KEEP_S if self._socket is not None else self.line.deadline_s - time.monotonic()
            self._stirred.wait(None if due_s == math.inf else max(0.0, min(due_s, KEEP_S)))
            self._stirred.clear()
            with self.lock:
                if not self._waited_for:
                    self.pump()
                    self.lock.notify_all()
                if not self._closed.is_set() and self.line.wants_dial(time.monotonic()):
                    self.dial()
                    self.lock.notify_all()
