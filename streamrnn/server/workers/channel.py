"""The private line between the supervisor and one worker: a socket pair, which nobody else can reach.

Lines of JSON. Down go the worker's options, once, and then questions for pages; up come `Ready`, once, and the pages in
the order of the questions. Its end tells either side that the other is gone, however it went: so a worker never
outlives its supervisor, and there is no file that could be left behind.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

MAX_LINE_BYTES = 16 * 1024 * 1024


class Ask(msgspec.Struct, tag="ask"):
    """A question of the supervisor: the page that the worker would answer with on its port."""

    path: str


class Ready(msgspec.Struct, tag="ready"):
    """The worker takes frames."""


class Page(msgspec.Struct, tag="page"):
    """The worker's answer."""

    status: int
    body: str


class WorkerGoneError(Exception):
    """The worker ended before it answered."""


_UP = msgspec.json.Decoder(Ready | Page)


def line_of(message: object) -> bytes:
    """A message as a line of bytes."""
    return msgspec.json.encode(message) + b"\n"


class Channel:
    """The supervisor's end.

    Args:
        reader, writer: of the socket.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._asked: deque[asyncio.Future[Page]] = deque()
        self._is_over = False

    async def listen(self, on_ready: Callable[[], object]) -> None:
        """Take what the worker says until it is gone; `on_ready` is called when it takes frames."""
        try:
            while line := await self._reader.readline():
                message = _UP.decode(line)
                if isinstance(message, Ready):
                    on_ready()
                else:
                    self._answer(message)
        except (OSError, ValueError):  # ValueError: a line that is too long, or none of ours (msgspec's are ones)
            pass
        finally:
            self.close()

    async def ask(self, path: str) -> Page:
        """The worker's answer for a page.

        Raises:
            WorkerGoneError: it ended before.
        """
        if self._is_over:
            raise WorkerGoneError
        answer: asyncio.Future[Page] = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        self._writer.write(line_of(Ask(path)))
        return await answer

    def close(self) -> None:
        """Let go of the line, which ends the worker; closing again does nothing."""
        self._is_over = True
        self._writer.close()
        while self._asked:
            answer = self._asked.popleft()
            if not answer.done():
                answer.set_exception(WorkerGoneError())

    def _answer(self, page: Page) -> None:
        answer = self._asked.popleft()
        if not answer.done():  # nobody waits any more for one that took too long
            answer.set_result(page)
