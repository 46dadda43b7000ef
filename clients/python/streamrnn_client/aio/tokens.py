"""The tokens that a session generates, as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Self

from streamrnn_client.aio.wire import Wire
from streamrnn_client.drawing import Drawing, Token
from streamrnn_client.ledger import Ledger
from streamrnn_client.pending import Draw, no_answer


class Tokens(AsyncIterator[Token]):
    """Made by `Session.generate`; `async for` over it. Not a generator, so that it is gone as soon as it is left."""

    def __init__(
        self,
        wire: Wire,
        ledger: Ledger,
        n: int,
        draw: Draw,
        begin: Callable[[], Awaitable[None]],
        timeout_s: float | None,
    ) -> None:
        self._wire = wire
        self._ledger = ledger
        self._asked = (n, draw)
        self._begin = begin
        self._timeout_s = timeout_s
        self._wake = asyncio.Event()
        self._drawing: Drawing | None = None
        self._arrived: Iterator[Token] = iter(())
        self._is_closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Token:
        """The next token.

        Raises:
            WaitTimeoutError: none in time.
            StreamrnnClientError: the session could not generate, or has ended.
        """
        if self._is_closed:
            raise StopAsyncIteration
        if self._drawing is None:
            await self._begin()
            self._drawing = Drawing(self._wire.dialogue, self._ledger, *self._asked, self._wake.set)
            self._wire.send()
        while True:
            for token in self._arrived:
                return token
            self._wire.send_soon()
            if self._drawing.over:
                raise StopAsyncIteration
            await self._until_ready(self._drawing)
            self._arrived = self._drawing.collect()

    def close(self) -> None:
        """No more is wanted; what is under way is read and dropped, and others may send frames again."""
        self._is_closed = True
        if self._drawing is not None:
            self._drawing.close()

    async def _until_ready(self, drawing: Drawing) -> None:
        seconds = self._wire.options.timeout_s("step", self._timeout_s)
        due_s = self._wire.loop.time() + seconds
        while not drawing.ready:
            self._wake.clear()
            try:
                async with asyncio.timeout_at(due_s):
                    await self._wake.wait()
            except TimeoutError:
                head = drawing.head
                self.close()
                raise no_answer("step", seconds, head) from None
