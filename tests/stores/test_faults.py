"""Faults of the disk, made for real: each is a StoreError, and what was stored before is still there."""

from __future__ import annotations

import os
import resource
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamrnn.errors import StoreError, StoreFileError
from streamrnn.stores import SqliteStore, Stored

OLD = [Stored(f"s{n}", 0, 1, b"old") for n in range(4)]
NEW = [Stored(f"s{n}", 0, 2, bytes([n]) * 200_000) for n in range(4)]
NOBODY = 65534


@contextmanager
def full_disk(store):
    """No page more than there are."""
    n_pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {n_pages + 60}")  # room for the first of the new records
    yield "SQLITE_FULL"
    store._db.execute("PRAGMA max_page_count = 1000000")


@contextmanager
def failing_writes(store):
    """The kernel refuses writes beyond 300 KB of a file, with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        yield "SQLITE_IOERR_WRITE"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("fault", [full_disk, failing_writes])
def test_a_save_that_fails_half_way_leaves_the_old_state_and_may_be_repeated(path, fault):
    with SqliteStore(path) as store:
        store.save(OLD, 1.0)
        with fault(store) as cause:
            with pytest.raises(StoreError) as refused:
                store.save(NEW, 2.0)
            assert (refused.value.fields, refused.value.retryable) == ({"operation": "save", "cause": cause}, True)
            assert [store.load(old.session_id) for old in OLD] == OLD
        assert store.save(NEW, 2.0) == []
    with SqliteStore(path) as store:
        assert [store.load(new.session_id) for new in NEW] == NEW


@pytest.mark.parametrize("fault", [full_disk, failing_writes])
def test_a_store_that_is_opened_after_a_failed_save_holds_the_old_state(path, fault):
    with SqliteStore(path) as store:
        store.save(OLD, 1.0)
        with fault(store), pytest.raises(StoreError):
            store.save(NEW, 2.0)
    with SqliteStore(path) as store:
        assert [store.load(old.session_id) for old in OLD] == OLD


@pytest.fixture
def read_only_folder():
    """A folder that we may not write to; root, who may, becomes nobody for as long."""
    with tempfile.TemporaryDirectory() as name:
        with SqliteStore(Path(name) / "there.db") as store:
            store.save(OLD, 1.0)
        (Path(name) / "there.db").chmod(0o444)
        Path(name).chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(NOBODY)
        try:
            yield Path(name)
        finally:
            if is_root:
                os.seteuid(0)
            Path(name).chmod(0o755)


def test_a_folder_that_is_read_only_takes_no_store(read_only_folder):
    with pytest.raises(StoreError) as refused:
        SqliteStore(read_only_folder / "new.db")
    assert refused.value.fields == {"operation": "open", "cause": "EACCES"}
    with pytest.raises(StoreError) as refused:
        SqliteStore(read_only_folder / "there.db")
    assert refused.value.retryable


@pytest.mark.parametrize(
    ("name", "cause"), [("none/s.db", "ENOENT"), ("file/s.db", "ENOTDIR"), ("", "SQLITE_CANTOPEN")]
)
def test_a_path_that_cannot_be_a_file_is_refused(tmp_path, name, cause):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as refused:
        SqliteStore(tmp_path / name)
    assert refused.value.fields["cause"] == cause


@pytest.mark.parametrize("garbage", [b"garbage" * 1000, b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 8176, b"[a]"])
def test_a_file_that_is_no_database_is_refused_untouched(path, garbage):
    path.write_bytes(garbage)
    with pytest.raises(StoreFileError) as refused:
        SqliteStore(path)
    assert refused.value.fields["operation"] == "open"
    assert path.read_bytes() == garbage


def read_all(path):
    """The records of NEW in a file that may be damaged, or None where it was refused for good."""
    try:
        with SqliteStore(path) as store:
            return [store.load(new.session_id) for new in NEW]
    except StoreFileError as error:
        assert not error.retryable
        return None


def test_a_file_cut_short_is_an_error_and_not_another_state(path):
    with SqliteStore(path) as store:
        store.save(NEW, 1.0)
    whole = path.read_bytes()
    assert read_all(path) == NEW
    for n_bytes in (1, 99, 100, 511, 512, 4095, 4096, 8192, len(whole) // 2, len(whole) - 4096, len(whole) - 1):
        path.write_bytes(whole[:n_bytes])
        assert read_all(path) is None


def test_a_damaged_page_is_an_error_and_not_another_state(path):
    with SqliteStore(path) as store:
        store.save(NEW, 1.0)
    whole = path.read_bytes()
    for page in range(len(whole) // 4096):
        damaged = bytearray(whole)
        damaged[page * 4096 : page * 4096 + 64] = b"\xa5" * 64
        path.write_bytes(damaged)
        found = read_all(path)
        # Within a snapshot only its own seal tells; session and size are still those that were saved.
        assert found is None or [(r.session_id, len(r.snapshot)) for r in found] == [
            (r.session_id, 200_000) for r in NEW
        ]
