"""Servers over a store, and what may befall both."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from streamrnn.errors import StoreError
from streamrnn.limits import Limits
from streamrnn.server.app import Server
from streamrnn.stores import MemoryStore, SqliteStore, Store, Stored
from tests.server.conftest import LIMITS
from tests.serving.house import MODELS


def server_over(store: Store | None, **limits: int) -> Server:
    """A server over a store, if there is one, with checkpoints every 20 ms."""
    merged = {name: getattr(LIMITS, name) for name in LIMITS.__dataclass_fields__}
    merged |= {"drain_ms": 400, "checkpoint_ms": 20, "checkpoint_frames": 16} | limits
    return Server(MODELS, port=0, limits=Limits(**merged), store=store)


@contextlib.asynccontextmanager
async def mortal(path: Path, **limits: int) -> AsyncIterator[Server]:
    """A server over a file that is killed in the end: nothing is stepped, saved or said any more."""
    server = server_over(SqliteStore(path), **limits)
    await server.start()
    await server.ready.wait()
    try:
        yield server
    finally:
        kill(server)


def kill(server: Server) -> None:
    """Drop a server as a crash would, but for the file that it lets go."""
    keeper, server.pump.keeper = server.pump.keeper, None
    if keeper is None:
        return
    server._clock_timer.cancel()
    server.hub.tick = lambda now_ns: 0  # type: ignore[method-assign]
    server._listeners.close()
    for connection in list(server.connections):
        connection.abort()
    keeper._hand_back = lambda *args: None  # type: ignore[method-assign]
    keeper.stop()
    keeper.join(10)


class HangingStore(MemoryStore):
    """One whose saves do not return until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.is_asked = threading.Event()

    def save(self, records: Sequence[Stored], now_s: float) -> list[str]:
        """Block first."""
        self.is_asked.set()
        self.go_on.wait(60)
        return super().save(records, now_s)


class FullStore(MemoryStore):
    """One whose disk is full until `is_full` is taken back."""

    is_full = True

    def save(self, records: Sequence[Stored], now_s: float) -> list[str]:
        """Fail."""
        if self.is_full:
            raise StoreError("the disk is full", operation="save", cause="SQLITE_FULL")
        return super().save(records, now_s)


def seqs_in(path: Path) -> dict[str, int]:
    """Every stored session and its next seq."""
    with SqliteStore(path) as store:
        found: dict[str, Any] = {session_id: store.load(session_id) for session_id in store.session_ids()}
    return {session_id: stored.next_seq for session_id, stored in found.items()}
