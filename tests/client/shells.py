"""Both shells behind one asynchronous face, so that one test tells that they behave the same.

The blocking shell's calls run in a thread each; nothing is added to what they do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any

import streamrnn_client
from streamrnn_client import sync
from streamrnn_client.sync.group import Group, Sent

WRAPPED = (sync.Session, Group, Sent)
PLAIN = {"handle", "id", "model", "digest", "input", "output", "labels", "resumed", "max_queue_frames", "next_seq"} | {
    "n_unanswered",
    *("connected", "n_reconnects", "n_replayed_frames", "n_repeated_outputs", "durable", "durable_seq", "is_parked"),
    *("n_skipped", "n_forgotten_frames"),
    "ended",
    "over",
    "going_away",
    "_dialogue",
    "_ledger",
    "done",
}


class Shell:
    """`connect` as in `streamrnn_client`."""

    name = ""

    def connect(self, url: str | list[str], **options: Any) -> Any:
        raise NotImplementedError


class AioShell(Shell):
    """The asyncio shell as it is."""

    name = "asyncio"

    def connect(self, url: str | list[str], **options: Any) -> Any:
        return streamrnn_client.connect(url, **options)


class SyncShell(Shell):
    """The blocking shell, each call in a thread."""

    name = "blocking"

    def connect(self, url: str | list[str], **options: Any) -> Any:
        return _Entered(lambda: sync.connect(url, **options))


class _Entered:
    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __await__(self) -> Any:
        return self._made().__await__()

    async def _made(self) -> Any:
        return _Threaded(await asyncio.to_thread(self._make))

    async def __aenter__(self) -> Any:
        self._inner = await asyncio.to_thread(self._make)
        return _Threaded(self._inner)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._inner.close)


class _Threaded:
    """A blocking client or session whose methods are awaited."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        if name in PLAIN:
            return getattr(self.inner, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            plain = [[_bare(x) for x in a] if isinstance(a, list) else _bare(a) for a in args]
            result = await asyncio.to_thread(getattr(self.inner, name), *plain, **kwargs)
            return _Threaded(result) if isinstance(result, WRAPPED) else result

        return call

    async def stream(self, frames: Any, **options: Any) -> AsyncIterator[Any]:
        if hasattr(frames, "__aiter__"):
            frames = [x async for x in frames]
        outputs = self.inner.stream(frames, **options)
        while True:
            output = await asyncio.to_thread(next, outputs, None)
            if output is None:
                return
            yield output

    async def generate(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        tokens = self.inner.generate(*args, **options)
        while True:
            token = await asyncio.to_thread(next, tokens, None)
            if token is None:
                return
            yield token

    async def __aenter__(self) -> Any:
        self.inner.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.inner.__exit__, kind, error, trace)


def _bare(value: Any) -> Any:
    return value.inner if isinstance(value, _Threaded) else value
