"""The supervisor's own port: three pages over plain HTTP, for those who watch all workers at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

MAX_HEAD_BYTES = 8192
HEAD_TIMEOUT_S = 5.0
MAX_VISITORS = 64
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """What a page says."""

    status: HTTPStatus
    body: str
    kind: str = TEXT


Page = Callable[[], Awaitable[Answer]]


class Admin:
    """Answers GET for a few paths, one answer a connection.

    Args:
        pages: by path.
    """

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = pages
        self._n_visitors = 0
        self._listener: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen; returns the port.

        Raises:
            OSError: it cannot be bound.
        """
        self._listener = await asyncio.start_server(self._visit, host, port, limit=MAX_HEAD_BYTES)
        bound: int = self._listener.sockets[0].getsockname()[1]
        return bound

    def close(self) -> None:
        """Take no connection any more."""
        if self._listener is not None:
            self._listener.close()

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._n_visitors += 1
        try:
            if self._n_visitors <= MAX_VISITORS:
                writer.write(_written(await self._answer(reader)))
                await asyncio.wait_for(writer.drain(), HEAD_TIMEOUT_S)
        except OSError:  # a timeout, too
            pass
        finally:
            self._n_visitors -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_TIMEOUT_S)
            method, path, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
        except (asyncio.LimitOverrunError, asyncio.IncompleteReadError, ValueError):
            return Answer(HTTPStatus.BAD_REQUEST, "expected an HTTP/1.1 request without a body\n")
        page = self._pages.get(path.partition("?")[0])
        if page is None:
            return Answer(HTTPStatus.NOT_FOUND, f"expected one of {', '.join(self._pages)}\n")
        if method != "GET":
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, "expected GET\n")
        return await page()


def _written(answer: Answer) -> bytes:
    body = answer.body.encode()
    head = [
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
        "Connection: close",
        f"Content-Length: {len(body)}",
        f"Content-Type: {answer.kind}",
        "Cache-Control: no-store",
    ]
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
        head.append("Allow: GET")
    return "\r\n".join([*head, "", ""]).encode() + body
