"""Where snapshots outlive the process: one protocol, kept by memory, by a SQLite file, or by a Valkey server.

The last is `streamrnn.stores.valkey.ValkeyStore`, which needs redis-py; `open_store` finds it by its URL.
"""

from streamrnn.stores.memory import MemoryStore
from streamrnn.stores.opening import open_store
from streamrnn.stores.sqlite import SqliteStore
from streamrnn.stores.store import Store, Stored

__all__ = ["MemoryStore", "SqliteStore", "Store", "Stored", "open_store"]
