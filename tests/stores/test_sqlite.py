"""The file: whose it is, which schema it has, who else may have it open, and what is refused untouched."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing

import pytest

from streamrnn.errors import StoreError, StoreFileError
from streamrnn.stores import SqliteStore, Stored, file
from streamrnn.stores.file import APPLICATION_ID, SCHEMA_VERSION

A = Stored("a", 0, 10, b"state of a")


@pytest.fixture
def database(path):
    """A database beside the store: somebody else who has the file open."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db


def test_a_file_is_there_again_when_it_is_opened_again(path):
    with SqliteStore(path) as store:
        store.save([A], 1.0)
    with SqliteStore(str(path)) as store:
        assert store.load("a") == A
        assert store.save([Stored("a", 0, 9, b"")], 2.0) == ["a"], "the fence stands too"


def test_its_files_are_readable_by_the_owner_alone(path):
    mask = os.umask(0)
    try:
        with SqliteStore(path) as store:
            store.save([A], 1.0)
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(mask)
    assert modes == {"sessions.db": 0o600, "sessions.db-wal": 0o600, "sessions.db-shm": 0o600}


def test_a_name_that_sqlite_gives_a_meaning_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "file:x?mode=memory"):
        with SqliteStore(name) as store:
            store.save([A], 1.0)
        with SqliteStore(name) as store:
            assert store.load("a") == A


def test_it_keeps_a_log_and_waits_for_the_disk(path, database):
    with SqliteStore(path) as store:
        assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_two_stores_of_one_file_see_each_other_and_fence(path):
    with SqliteStore(path) as one, SqliteStore(path) as other:
        one.save([A], 1.0)
        claimed = other.claim("a", 2.0)
        assert one.save([Stored("a", 0, 11, b"")], 3.0) == ["a"]
        assert one.load("a") == claimed


def test_a_writer_elsewhere_is_try_later_and_readers_go_on(path, database):
    with SqliteStore(path, busy_timeout_s=0) as store:
        store.save([A], 1.0)
        database.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as refused:
            store.claim("a", 2.0)
        assert (refused.value.code, refused.value.retryable) == ("store_failed", True)
        assert refused.value.fields == {"operation": "claim", "cause": "SQLITE_BUSY"}
        assert store.load("a") == A
        database.execute("ROLLBACK")
        assert store.claim("a", 2.0).epoch == 1


def test_a_change_to_the_log_waits_for_another_opener(path, database, monkeypatch):
    SqliteStore(path).close()
    database.execute("PRAGMA journal_mode = DELETE")
    database.execute("BEGIN IMMEDIATE")  # the busy timeout does not hold for this one
    waits = []
    monkeypatch.setattr(file.time, "sleep", lambda wait_s: waits.append(database.execute("ROLLBACK")))
    with SqliteStore(path, busy_timeout_s=60) as store:
        assert len(waits) == 1
        assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_empty_file_becomes_a_store(path):
    path.touch()
    with SqliteStore(path) as store:
        assert store.session_ids() == []


@pytest.mark.parametrize(
    "marks",
    [
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION + 1}",
        f"PRAGMA application_id = {APPLICATION_ID}",
        f"PRAGMA user_version = {SCHEMA_VERSION}",
        "CREATE TABLE session (session_id TEXT PRIMARY KEY)",
        "PRAGMA application_id = 1",
    ],
)
def test_a_database_of_others_or_of_a_later_release_is_refused_untouched(path, database, marks):
    database.executescript(marks)
    before = path.read_bytes()
    with pytest.raises(StoreFileError) as refused:
        SqliteStore(path)
    assert (refused.value.code, refused.value.retryable) == ("bad_store_file", False)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_refusal_names_both_schemas(path, database):
    database.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 7")
    with pytest.raises(StoreFileError, match="schema 7") as refused:
        SqliteStore(path)
    assert (refused.value.fields["expected"], refused.value.fields["got"]) == (SCHEMA_VERSION, 7)


def test_a_store_without_its_table_is_unusable(path, database):
    with SqliteStore(path) as store:
        database.execute("DROP TABLE session")
        with pytest.raises(StoreFileError):
            store.save([A], 1.0)


def test_a_row_of_other_values_is_unusable_and_stays(path, database):
    with SqliteStore(path) as store:
        store.save([A], 1.0)
        database.execute("UPDATE session SET snapshot = 'no bytes'")
        for call in (lambda: store.load("a"), lambda: store.claim("a", 2.0)):
            with pytest.raises(StoreFileError):
                call()
        assert database.execute("SELECT epoch FROM session").fetchone() == (0,)
