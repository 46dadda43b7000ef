"""The socket of the asyncio shell: the loop calls it, and it wakes who waits. All of it runs in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from streamrnn_client.errors import StreamrnnClientError
from streamrnn_client.link import Link
from streamrnn_client.pending import Pending, no_answer
from streamrnn_client.table import Event


class Wire(asyncio.Protocol):
    """A link and its transport. `shook` is done when the handshake is, `gone` when the socket is closed."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.loop = asyncio.get_running_loop()
        self.shook = self.loop.create_future()
        self.gone = self.loop.create_future()
        self.writable = asyncio.Event()
        self.writable.set()
        self._options = link.options
        self._transport: asyncio.Transport | None = None
        self._tending: asyncio.TimerHandle | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._sends_soon = False

    # ---- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop has a socket for us."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.send()

    def data_received(self, data: bytes) -> None:
        """The loop has bytes for us."""
        self._notify(self.link.receive_data(data, self.loop.time()))
        self.send()

    def eof_received(self) -> bool:
        """The server will send no more."""
        self._notify(self.link.receive_eof())
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._notify(self.link.receive_eof(f"the connection broke: {exc}" if exc else "the connection was cut"))
        for timer in (self._tending, self._ending):
            if timer is not None:
                timer.cancel()
        self.writable.set()
        if not self.gone.done():
            self.gone.set_result(None)

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """The socket takes bytes again."""
        self.writable.set()

    # ---- what sessions use

    async def settled(self, pending: Pending, of: str, timeout_s: float | None) -> Any:
        """Send, wait, and return the answer."""
        await self.settle_all([pending], of, timeout_s)
        return pending.result()

    async def settle_all(self, pendings: Sequence[Pending], of: str, timeout_s: float | None) -> None:
        """Send, and wait until all are settled."""
        self.send()
        for pending in pendings:
            await self.wait(pending, of, timeout_s)

    async def wait(self, pending: Pending, of: str, timeout_s: float | None) -> None:
        """Until it is settled. Abandons what it waits for when it is cancelled or runs out of time."""
        seconds = self._options.timeout_s(of, timeout_s)
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
                    self.link.dialogue.abandon(pending)
        if not pending.done:
            raise no_answer(of, seconds, pending)

    def send(self) -> None:
        """Give the socket whatever is to be sent; close it when the link is over."""
        self._sends_soon = False
        if self._transport is None or self._transport.is_closing():
            return
        data = self.link.data_to_send()
        if data:
            self._transport.write(data)
        if self.link.over and self._ending is None:
            self._ending = self.loop.call_later(self._options.close_timeout_s, self._transport.abort)
        if self.link.hang_up:
            self._transport.close()

    def send_soon(self) -> None:
        """As `send`, but once for all that ask in the same turn of the loop."""
        if not self._sends_soon:
            self._sends_soon = True
            self.loop.call_soon(self.send)

    def _notify(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Pending):
                if event.waiter is not None:
                    event.waiter()
            elif self._options.on_go_away is not None:
                self.loop.call_soon(self._options.on_go_away, event.deadline_ms / 1000)
        if (self.link.handshake_done or self.link.over) and not self.shook.done():
            self.shook.set_result(None)

    async def hang_up(self, error: StreamrnnClientError) -> None:
        """End the connection in order, within `close_timeout_s`; whatever is pending fails with `error`."""
        self._notify(self.link.close(error))
        self.send()
        await asyncio.shield(self.gone)

    def tend(self) -> None:
        """Look after a silent server, from now on."""
        self._notify(self.link.tend(self.loop.time()))
        self.send()
        if not self.link.over:
            self._tending = self.loop.call_at(self.link.deadline_s, self.tend)

    def drop(self) -> None:
        """Give the socket up at once."""
        if self._transport is not None:
            self._transport.abort()
