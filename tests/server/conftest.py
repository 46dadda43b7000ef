"""A real server on a loopback port, in the loop of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import uvloop

from streamrnn.kernels.warmup import warmup
from streamrnn.limits import Limits
from streamrnn.server import transports
from streamrnn.server.app import Server
from tests.serving.house import MODELS

LIMITS = Limits(max_sessions=64, max_queue_frames=64, max_chunk_frames=128, max_message_bytes=100_000, drain_ms=1000)


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """Run every test on both loops: they differ in when they write and how they close."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session", autouse=True)
def warm_kernels() -> None:
    """Load the kernels once, so that no test waits for them inside a loop."""
    warmup()


BOTH = (
    *("app", "attacks", "connection", "cuts", "garbage", "http", "slices", "speech", "spoken_digits", "transports"),
)
"""Modules of this folder whose tests run on every transport."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is about sockets on every transport, and the rest on the default."""
    if metafunc.module.__name__.rpartition(".test_")[2] in BOTH:
        metafunc.parametrize("transport", transports.TRANSPORTS, indirect=True)


@pytest.fixture(autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The transport of every server of the test that names none."""
    name: str = getattr(request, "param", transports.DEFAULT)
    monkeypatch.setattr(transports, "DEFAULT", name)
    return name


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Any]]:
    """Return a function that starts a server; it is stopped after the test."""
    async with AsyncExitStack() as stack:

        async def start(**limits: int) -> Server:
            merged = {name: getattr(LIMITS, name) for name in LIMITS.__dataclass_fields__} | {"drain_ms": 200} | limits
            return await stack.enter_async_context(Server(MODELS, port=0, limits=Limits(**merged)))

        yield start


@pytest.fixture
async def server(serve: Callable[..., Any]) -> Server:
    """A server with small limits."""
    started: Server = await serve()
    return started
