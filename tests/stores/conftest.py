"""The stores that the contract is tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamrnn.stores import MemoryStore, SqliteStore, Store
from streamrnn.stores.valkey import ValkeyStore
from tests.stores.servers import Server

TIMEOUT_S = 60.0
"""Of a store of which no test expects that it times out."""


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """A server for all tests of a worker that leave it running."""
    with Server() as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The same, empty."""
    shared_server.ask("FLUSHALL")
    return shared_server


MAKERS: dict[str, Callable[[pytest.FixtureRequest], Store]] = {
    "memory": lambda request: MemoryStore(),
    "sqlite": lambda request: SqliteStore(request.getfixturevalue("path")),
    "valkey": lambda request: ValkeyStore(request.getfixturevalue("server").url, timeout_s=TIMEOUT_S),
}


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty store of each kind."""
    with MAKERS[request.param](request) as made:
        yield made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a SQLite store may be made."""
    return tmp_path / "sessions.db"
