"""A store in one SQLite file: durable when a call returns, and open to several processes at once."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Self

from streamrnn.errors import OptionError, StoreFileError, UsageError
from streamrnn.stores.file import open_file, store_error
from streamrnn.stores.store import Stored, check_id, check_owners

_INSERT = """
    INSERT INTO session (session_id, epoch, next_seq, floor_seq, saved_s, snapshot) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (session_id) DO NOTHING
"""
_SAVE = """
    INSERT INTO session (session_id, epoch, next_seq, floor_seq, saved_s, snapshot) VALUES {rows}
    ON CONFLICT (session_id) DO UPDATE SET
        epoch = excluded.epoch, next_seq = excluded.next_seq, floor_seq = excluded.floor_seq,
        saved_s = excluded.saved_s, snapshot = excluded.snapshot
    WHERE (excluded.epoch, excluded.next_seq) >= (session.epoch, session.floor_seq)
    RETURNING session_id
"""
_ROWS_A_STATEMENT = 256
"""Rows that one statement saves: each statement lets other threads run, and thousands of small ones would make the one
that steps frames change hands as often."""
_LOAD = "SELECT session_id, epoch, next_seq, snapshot FROM session WHERE session_id = ?"
_CLAIM = "UPDATE session SET epoch = ?, floor_seq = 0, saved_s = ? WHERE session_id = ?"


def _row(record: Stored, now_s: float) -> tuple[object, ...]:
    return record.session_id, record.epoch, record.next_seq, record.next_seq, now_s, record.snapshot


class SqliteStore:
    """Keeps records in a file. A `Store`.

    What a call has written survives the process and the power supply (WAL, `synchronous=FULL`). The file belongs on a
    local disk: SQLite's locks do not hold on network file systems. Do not carry an open store across `os.fork`.

    Args:
        path: made where there is no file, readable by its owner alone.
        busy_timeout_s: how long a call waits while another process writes, s.

    Raises:
        StoreFileError: the file is no database, one of something else, damaged, or of a later release.
        StoreError: it cannot be made, opened or locked.
    """

    def __init__(self, path: str | os.PathLike[str], busy_timeout_s: float = 5.0) -> None:
        self.path = Path(path).absolute()  # a name that SQLite gives a meaning, such as :memory:, is a file here
        self._lock = Lock()
        self._db: sqlite3.Connection | None = open_file(self.path, busy_timeout_s)

    @contextlib.contextmanager
    def _reading(self, operation: str) -> Iterator[sqlite3.Connection]:
        """The database, ours alone in this process; faults leave as StoreError."""
        with self._lock:
            if self._db is None:
                raise UsageError(f"{operation}: the store is closed")
            try:
                yield self._db
            except sqlite3.Error as fault:
                raise store_error(self.path, operation, fault) from fault

    @contextlib.contextmanager
    def _writing(self, operation: str) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start, so that what it reads stays true."""
        with self._reading(operation) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # SQLite itself has gone back after some faults
                    with contextlib.suppress(sqlite3.Error):
                        db.execute("ROLLBACK")
                raise

    def _find(self, db: sqlite3.Connection, session_id: str) -> Stored | None:
        row = db.execute(_LOAD, (session_id,)).fetchone()
        try:
            return Stored(*row) if row else None
        except OptionError as fault:
            message = f"store {self.path.name}: a row is damaged: {fault.message}"
            raise StoreFileError(message, operation="load", cause="row") from fault

    def save(self, records: Sequence[Stored], now_s: float) -> list[str]:
        """Keep the records in one transaction; see `Store.save`."""
        is_plain = len({record.session_id for record in records}) == len(records)
        n_rows = _ROWS_A_STATEMENT if is_plain else 1  # one that stands twice is judged twice
        fenced = []
        with self._writing("save") as db:
            for start in range(0, len(records), n_rows):
                part = records[start : start + n_rows]
                statement = _SAVE.format(rows=", ".join(["(?, ?, ?, ?, ?, ?)"] * len(part)))
                values = [value for record in part for value in _row(record, now_s)]
                written = {session_id for (session_id,) in db.execute(statement, values).fetchall()}
                fenced += [record.session_id for record in part if record.session_id not in written]
        return fenced

    def insert(self, record: Stored, now_s: float) -> bool:
        """Keep a record where there is none; see `Store.insert`."""
        with self._writing("insert") as db:
            return db.execute(_INSERT, _row(record, now_s)).rowcount > 0

    def load(self, session_id: str) -> Stored | None:
        """The record of a session, or None."""
        check_id(session_id)
        with self._reading("load") as db:
            return self._find(db, session_id)

    def claim(
        self, session_id: str, now_s: float, *, held_epoch: int | None = None, least_epoch: int = 0
    ) -> Stored | None:
        """Become the owner of a stored session; see `Store.claim`."""
        check_id(session_id)
        with self._writing("claim") as db:
            old = self._find(db, session_id)
            if old is None or (held_epoch is not None and old.epoch != held_epoch):
                return None
            claimed = replace(old, epoch=max(old.epoch + 1, least_epoch))
            db.execute(_CLAIM, (claimed.epoch, now_s, session_id))
        return claimed

    def delete(self, owners: Iterable[tuple[str, int]]) -> None:
        """Forget sessions, all in one transaction; see `Store.delete`."""
        doomed = check_owners(owners)
        with self._writing("delete") as db:
            db.executemany("DELETE FROM session WHERE session_id = ? AND epoch <= ?", doomed)

    def expire(self, older_than_s: float) -> int:
        """Forget every session that was last saved or claimed before that time; returns how many."""
        with self._writing("expire") as db:
            return db.execute("DELETE FROM session WHERE saved_s < ?", (older_than_s,)).rowcount

    def session_ids(self) -> list[str]:
        """The ids of all sessions that are kept, sorted."""
        with self._reading("session_ids") as db:
            return [session_id for (session_id,) in db.execute("SELECT session_id FROM session ORDER BY session_id")]

    def close(self) -> None:
        """Let the file go; closing again does nothing."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
