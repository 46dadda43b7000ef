"""Where snapshots outlive the process: one protocol, kept by memory or by a SQLite file."""

from streamrnn.stores.memory import MemoryStore
from streamrnn.stores.sqlite import SqliteStore
from streamrnn.stores.store import Store, Stored

__all__ = ["MemoryStore", "SqliteStore", "Store", "Stored"]
