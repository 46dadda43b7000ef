"""A SQLite file is opened as a store, or refused with its reason; a file of something else is never written to."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from pathlib import Path

from streamrnn.errors import StoreError, StoreFileError

SCHEMA_VERSION = 1
"""In `PRAGMA user_version`; a store of a higher one is refused."""
APPLICATION_ID = 0x53524E4E
"""In `PRAGMA application_id`, "SRNN": tells our files from other databases."""
_CREATE = """
    CREATE TABLE session (
        session_id TEXT NOT NULL PRIMARY KEY,
        epoch INTEGER NOT NULL,
        next_seq INTEGER NOT NULL,
        floor_seq INTEGER NOT NULL,  -- lowest next_seq that its owner may save: the last one, 0 after a claim
        saved_s REAL NOT NULL,
        snapshot BLOB NOT NULL  -- last, so that the columns before it are read without it
    )
"""
_MARKS = """
    SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),
        (SELECT count(*) FROM sqlite_master)
"""
"""One statement, and so one moment: another process may be making the store."""
_UNUSABLE = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
"""Primary codes that no later try can mend; SQLITE_ERROR means that the tables are not ours."""
_RETRY_S = 0.01


def store_error(path: Path, operation: str, fault: sqlite3.Error | OSError) -> StoreError:
    """What to raise for a fault of SQLite or of the file system."""
    if isinstance(fault, OSError):
        cause, is_unusable = errno.errorcode.get(fault.errno or 0, "EIO"), False
    else:
        cause = getattr(fault, "sqlite_errorname", type(fault).__name__)
        is_unusable = getattr(fault, "sqlite_errorcode", 0) & 0xFF in _UNUSABLE
    kind = StoreFileError if is_unusable else StoreError
    return kind(f"store {path.name}: {operation} failed, {cause}: {fault}", operation=operation, cause=cause)


def open_file(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    """Open the store in the file, made where there is none, readable by its owner alone.

    Raises:
        StoreFileError: the file is no database, one of something else, or of a later schema.
        StoreError: it cannot be made, opened or locked.
    """
    try:
        _make(path)
        db = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
        try:
            _set_up(db, path, busy_timeout_s)
        except BaseException:
            db.close()
            raise
    except (sqlite3.Error, OSError) as fault:
        raise store_error(path, "open", fault) from fault
    return db


def _make(path: Path) -> None:
    """Make an empty file, which is an empty database. SQLite gives the log beside it the same mode.

    A file that is there is not opened: closing it would drop the locks that this process holds on it elsewhere.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _set_up(db: sqlite3.Connection, path: Path, busy_timeout_s: float) -> None:
    deadline_s = time.monotonic() + busy_timeout_s
    if not _is_ours(db, path):
        _create(db, path)
    db.execute("PRAGMA synchronous = FULL")
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as fault:
            # The busy timeout does not hold for this one: several first openers at once meet here.
            if fault.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline_s:
                raise
            time.sleep(_RETRY_S)


def _create(db: sqlite3.Connection, path: Path) -> None:
    db.execute("BEGIN IMMEDIATE")
    if not _is_ours(db, path):  # another process may have been first
        if path.stat().st_size:  # SQLite takes a file of a few bytes for an empty one, and would write over it
            raise StoreFileError(f"{path.name} is no database", operation="open", cause="foreign")
        db.execute(_CREATE)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT")


def _is_ours(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the database is a store; False if it is empty.

    Raises:
        StoreFileError: it is something else, or of a later schema.
    """
    application_id, version, n_tables = db.execute(_MARKS).fetchone()
    if (application_id, version, n_tables) == (0, 0, 0):
        return False
    if application_id != APPLICATION_ID:
        raise StoreFileError(f"{path.name} is a database of something else", operation="open", cause="foreign")
    if version != SCHEMA_VERSION:
        message = f"store {path.name} has schema {version}, this release reads {SCHEMA_VERSION}"
        raise StoreFileError(message, operation="open", cause="schema", expected=SCHEMA_VERSION, got=version)
    return True
