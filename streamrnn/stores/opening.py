"""A store is opened by one line of text, as it stands in a command or in a file of settings."""

from __future__ import annotations

import os
import re

from streamrnn.errors import OptionError
from streamrnn.stores.memory import MemoryStore
from streamrnn.stores.sqlite import SqliteStore
from streamrnn.stores.store import Store

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SERVED = frozenset({"redis", "rediss", "unix", "valkey", "valkeys"})


def open_store(url: str | os.PathLike[str]) -> Store:
    """Open the store that a URL or a path names.

    Args:
        url: `redis://`, `rediss://`, `unix://`, `valkey://` and `valkeys://` are a `ValkeyStore`, `memory:` is a
            `MemoryStore`, `sqlite:PATH` and a plain path are a `SqliteStore`.

    Raises:
        OptionError: another scheme, no path, or a scheme that needs a package which is not there.
        StoreError: the file cannot be made, opened or locked. A server is not asked before the first call.
    """
    place = os.fspath(url)
    if not isinstance(url, str):
        return SqliteStore(place)
    found = _SCHEME.match(place)
    if found and found[1].lower() in _SERVED:
        return _open_served(place)
    path = place.removeprefix("sqlite:")
    if found or not path:
        scheme = f"{found[1]}://" if found else repr(place)
        raise OptionError(f"a store is redis://, rediss://, unix://, memory:, sqlite:PATH or a path, got {scheme}")
    return MemoryStore() if place == "memory:" else SqliteStore(path)


def _open_served(url: str) -> Store:
    try:
        from streamrnn.stores.valkey import ValkeyStore
    except ModuleNotFoundError as fault:
        if fault.name != "redis":
            raise
        raise OptionError("a store on a server needs redis-py: pip install 'streamrnn[valkey]'") from None
    return ValkeyStore(url)
