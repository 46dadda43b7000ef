"""Real servers for the client's tests, each in a thread with its own event loop; both shells behind one face."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from streamrnn.limits import Limits
from streamrnn.model.model import Model
from streamrnn.server.app import Server
from streamrnn.server.transports import TRANSPORTS
from tests.client.shells import AioShell, Shell, SyncShell
from tests.serving.small_models import gru_model, lstm_model, token_model

MODELS: dict[str, Model] = {
    "vad": lstm_model(),
    "gru": gru_model(),
    "text": token_model(),
    "abc": token_model(3, 3, labels="abc"),
}
READY_S = 60.0


class LocalServer:
    """A server on loopback. `call` runs a function in its loop."""

    def __init__(
        self, limits: Limits | None = None, models: dict[str, Model] | None = None, transport: str | None = None
    ) -> None:
        self._limits = limits
        self._transport = transport
        self._models = MODELS if models is None else models
        self._ready = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._thread.start()
        assert self._ready.wait(READY_S), "the server is not ready"
        if self._fault is not None:
            raise self._fault

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}"

    def call(self, function: Callable[[], object]) -> None:
        """Run it in the server's loop, without waiting for it."""
        self._loop.call_soon_threadsafe(function)

    def drain(self) -> None:
        """Begin a graceful stop."""
        self.call(self.server.begin_stop)

    def cut(self) -> None:
        """Drop every connection without a word."""

        def abort_all() -> None:
            for connection in list(self.server.connections):
                connection.abort()

        self.call(abort_all)

    def stop(self) -> None:
        """Stop at once."""
        if self._thread.is_alive():
            self.call(self.server.abort)
            self._thread.join(READY_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as fault:
            self._fault = fault
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.server = Server(self._models, port=0, limits=self._limits, transport=self._transport)
        await self.server.start()
        await self.server.ready.wait()
        self._ready.set()
        await self.server.stopped.wait()


@pytest.fixture(scope="session", params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    """Every transport, one after the other."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def server(transport: str) -> Iterator[LocalServer]:
    """One server for all tests that leave it as it was."""
    server = LocalServer(transport=transport)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def small_server(transport: str) -> Iterator[LocalServer]:
    """One with little room: three sessions of a model, four frames a queue, small messages."""
    limits = Limits(max_sessions=3, max_queue_frames=4, max_message_bytes=4096, max_chunk_frames=8)
    server = LocalServer(limits, transport=transport)
    yield server
    server.stop()


@pytest.fixture
def own_server(transport: str) -> Iterator[LocalServer]:
    """One that the test may stop or break."""
    server = LocalServer(Limits(drain_ms=1500), transport=transport)
    yield server
    server.stop()


@pytest.fixture(params=[AioShell, SyncShell], ids=["asyncio", "blocking"])
def shell(request: pytest.FixtureRequest) -> Shell:
    """Both shells, one after the other."""
    made: Shell = request.param()
    return made
