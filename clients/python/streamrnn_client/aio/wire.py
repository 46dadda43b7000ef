"""The asyncio shell under sessions: it dials, looks at the clock, and wakes who waits. All of it in one event loop."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Sequence
from typing import Any

from streamrnn_client.aio.socket import Socket
from streamrnn_client.errors import StreamrnnClientError
from streamrnn_client.hooks import hook_of
from streamrnn_client.line import Line, Told
from streamrnn_client.losses import ConnectError
from streamrnn_client.pending import Pending, no_answer


class Wire:
    """A line and the socket that it has at the moment."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.dialogue = line.dialogue
        self.options = line.options
        self.loop = asyncio.get_running_loop()
        self.writable = asyncio.Event()
        self.writable.set()
        self._socket: Socket | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0
        self._ending: asyncio.TimerHandle | None = None
        self._sends_soon = False

    # ---- what sessions use

    async def settled(self, pending: Pending, of: str, timeout_s: float | None) -> Any:
        """Send, wait, and return the answer."""
        await self.settle_all([pending], of, timeout_s)
        return pending.result()

    async def wait_for(self, pending: Pending, of: str, timeout_s: float | None) -> None:
        """Send, and wait until it is settled."""
        self.send()
        await self.wait(pending, of, timeout_s)

    async def settle_all(self, pendings: Sequence[Pending], of: str, timeout_s: float | None) -> None:
        """Send, and wait until all are settled."""
        self.send()
        for pending in pendings:
            await self.wait(pending, of, timeout_s)

    async def wait(self, pending: Pending, of: str, timeout_s: float | None) -> None:
        """Until it is settled. Abandons what it waits for when it is cancelled or runs out of time."""
        seconds = self.options.timeout_s(of, timeout_s)
        if not pending.done:
            settled = self.loop.create_future()

            def wake() -> None:
                if not settled.done():
                    settled.set_result(None)

            pending.waiter = wake
            late = self.loop.call_later(seconds, wake)
            try:
                await settled
            finally:
                late.cancel()
                if not pending.done:
                    self.dialogue.abandon(pending)
        if not pending.done:
            raise no_answer(of, seconds, pending)

    def send(self) -> None:
        """Give the socket whatever is to be sent; close it when it is of no more use."""
        self._sends_soon = False
        socket = self._socket
        if socket is not None and socket.is_open:
            socket.write(self.line.data_to_send())
            if self.line.over is not None and self._ending is None:
                self._ending = self.loop.call_later(self.options.close_timeout_s, socket.drop)
            if self.line.hang_up:
                if self.line.over is None:
                    socket.drop()
                else:
                    socket.close()
        if self.line.is_down:
            self._plan()

    def send_soon(self) -> None:
        """As `send`, but once for all that ask in the same turn of the loop."""
        if not self._sends_soon:
            self._sends_soon = True
            self.loop.call_soon(self.send)

    # ---- what clients use

    async def dial(self) -> StreamrnnClientError | None:
        """Make a connection and shake hands; returns why that could not be."""
        address, seconds = self.line.address, self.options.connect_timeout_s
        secure = (self.options.ssl or ssl.create_default_context()) if address.secure else None
        link = self.line.dial(self.loop.time())
        socket = self._socket = Socket(self, link)
        error: StreamrnnClientError | None = None
        try:
            async with asyncio.timeout(seconds):
                await self.loop.create_connection(lambda: socket, address.host, address.port, ssl=secure)
                await socket.shook
        except TimeoutError as late:
            error = no_answer("connect", seconds)
            error.__cause__ = late
        except OSError as fault:
            error = ConnectError(f"expected a server at {address.host}:{address.port}: {fault}")
            error.__cause__ = fault
        finally:
            if not link.handshake_done:
                socket.drop()
        if error is not None:
            self._told(self.line.failed(error, self.loop.time()))
        self._plan()
        return link.error

    async def hang_up(self, error: StreamrnnClientError) -> None:
        """End it all in order, within `close_timeout_s`; whatever is pending fails with `error`."""
        self._told(self.line.close(error))
        if self._dialling is not None:
            self._dialling.cancel()
        self.send()
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None and self._socket.was_open:
            await asyncio.shield(self._socket.gone)

    # ---- what the socket calls

    def received(self, socket: Socket, data: bytes) -> None:
        """Bytes arrived."""
        if socket is self._socket:
            self._told(self.line.receive_data(data, self.loop.time()))
            self.send()

    def ended(self, socket: Socket, reason: str) -> None:
        """No more will arrive."""
        if socket is self._socket:
            self._told(self.line.receive_eof(reason, self.loop.time()))
            self.writable.set()
            if self._ending is not None and not socket.is_open:
                self._ending.cancel()
            self.send()

    # ---- pieces

    def _told(self, told: Sequence[Told]) -> None:
        for event in told:
            if isinstance(event, Pending):
                if event.waiter is not None:
                    event.waiter()
            else:
                hook = hook_of(event, self.options)
                if hook is not None:
                    self.loop.call_soon(hook)
        if self._socket is not None:
            self._socket.look()
        self._plan()

    def _plan(self) -> None:
        """See to it that `_tend` is called when something is due; too early does no harm."""
        due_s = self.line.deadline_s
        if self._timer is not None:
            if self._timer_s <= due_s and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer_s = max(due_s, self.loop.time())  # kept here: uvloop's handle of what is due at once has no `when`
        self._timer = None if due_s == math.inf else self.loop.call_at(self._timer_s, self._tend)

    def _tend(self) -> None:
        self._timer = None
        now_s = self.loop.time()
        self._told(self.line.tend(now_s))
        self.send()
        if self.line.over is not None and self._dialling is not None:
            self._dialling.cancel()
        if self._dialling is None and self.line.wants_dial(now_s):
            self._dialling = self.loop.create_task(self._dial_again())
        self._plan()

    async def _dial_again(self) -> None:
        try:
            await self.dial()
        finally:
            self._dialling = None
            self._plan()
