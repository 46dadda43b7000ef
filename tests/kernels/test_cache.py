"""The cache of compiled kernels: cold, warm, read-only, damaged, absent, not private. Tried on one tiny kernel."""

from __future__ import annotations

import logging
import os
import runpy
import stat
from typing import NamedTuple

import pytest

from streamrnn.kernels import cache, jit

KERNEL = """
from streamrnn.kernels import jit

@jit.entry("int64(int64)")
def triple(a):
    return 3 * a
"""


class Start(NamedTuple):
    """What a start found: compiled, loaded, and the log."""

    n_compiled: int
    n_loaded: int
    log: str


@pytest.fixture
def forget():
    """The entries and the findings of other tests come back."""
    n_entries = len(jit.ENTRIES)
    yield
    del jit.ENTRIES[n_entries:]
    cache.usable_directory.cache_clear()
    cache.source_stamp.cache_clear()


@pytest.fixture
def start(tmp_path, monkeypatch, caplog, forget):
    """Compiles or loads the kernel as a new process would, with its cache at a given place."""
    source = tmp_path / "tiny.py"
    source.write_text(KERNEL)

    def run(directory):
        monkeypatch.setenv("STREAMRNN_CACHE_DIR", str(directory))
        cache.usable_directory.cache_clear()
        cache.source_stamp.cache_clear()
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "streamrnn"):
            triple = runpy.run_path(str(source))["triple"]
            triple.compile("int64(int64)")
        assert triple(14) == 42
        n_compiled, n_loaded = (sum(counts.values()) for counts in (triple.stats.cache_misses, triple.stats.cache_hits))
        return Start(n_compiled, n_loaded, "\n".join(record.message for record in caplog.records))

    return run


def test_cold_then_warm(start, tmp_path):
    place = tmp_path / "deep" / "cache"
    assert start(place) == (1, 0, "")
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert start(place) == (0, 1, "")


def test_another_width_is_another_entry(start, tmp_path, monkeypatch):
    place = tmp_path / "cache"
    start(place)
    monkeypatch.setattr(cache, "WIDTH", 3)
    assert start(place) == (1, 0, "")
    assert start(place) == (0, 1, "")
    monkeypatch.undo()
    assert start(place) == (0, 1, "")


def test_another_source_is_another_entry(start, tmp_path, monkeypatch):
    place = tmp_path / "cache"
    start(place)
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "cache.py"))  # the sources stand beside it
    assert start(place) == (1, 0, "")


def test_a_read_only_directory_is_read(start, tmp_path):
    place = tmp_path / "cache"
    start(place)
    for path in (*place.iterdir(), place):
        path.chmod(0o500 if path.is_dir() else 0o400)
    found = start(place)
    place.chmod(0o700)
    assert found == (0, 1, "")


def test_a_directory_that_cannot_be_written_is_one_log_line(start, tmp_path, monkeypatch):
    """Permissions do not stop root, so the write itself is made to fail."""

    def fail(*args, **options):
        raise PermissionError(13, "read-only file system")

    monkeypatch.setattr("os.open", fail)
    found = start(tmp_path / "cache")
    assert (found.n_compiled, found.n_loaded) == (1, 0)
    assert found.log.count("the compiled kernel was not kept") == 1


def flipped(whole):
    """One bit of the machine code is wrong; a pickle would not notice."""
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]


@pytest.mark.parametrize(
    "damage", [lambda whole: b"", lambda whole: whole[: len(whole) // 2], lambda whole: b"\xff" * 99, flipped]
)
def test_a_damaged_entry_is_a_miss_and_is_replaced(start, tmp_path, damage):
    place = tmp_path / "cache"
    start(place)
    (entry,) = place.iterdir()
    entry.write_bytes(damage(entry.read_bytes()))
    found = start(place)
    assert (found.n_compiled, found.n_loaded) == (1, 0)
    assert found.log.count("is ignored") == found.log.count("is damaged") == 1
    assert start(place) == (0, 1, "")


def test_an_entry_under_the_name_of_another_is_a_miss(start, tmp_path, monkeypatch):
    place = tmp_path / "cache"
    start(place)
    (entry,) = place.iterdir()
    monkeypatch.setattr(cache, "WIDTH", 3)
    start(place)
    (other,) = set(place.iterdir()) - {entry}
    other.write_bytes(entry.read_bytes())
    found = start(place)
    assert (found.n_compiled, found.n_loaded) == (1, 0)
    assert found.log.count("is damaged") == 1


def test_a_start_that_saves_amid_the_save_of_another_takes_nothing_from_it(tmp_path, monkeypatch, forget):
    """Whatever file the one is about to move into place, the other's whole save happens just before."""
    monkeypatch.setenv("STREAMRNN_CACHE_DIR", str(tmp_path / "cache"))
    cache.usable_directory.cache_clear()
    files, move = cache.kernel_cache(flipped)._cache_file, os.replace

    def move_late(*paths):
        monkeypatch.setattr(os, "replace", move)
        files.save("one CPU", "its code")
        move(*paths)

    monkeypatch.setattr(os, "replace", move_late)
    files.save("another CPU", "other code")
    assert files.load("one CPU") == "its code"
    assert files.load("another CPU") == "other code"
    assert files.load("a third") is None


def test_a_failed_write_leaves_nothing_behind(start, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("os.replace", fail)
    place = tmp_path / "cache"
    assert start(place).log.count("the compiled kernel was not kept") == 1
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/cache"])
def test_a_place_that_is_no_directory(start, tmp_path, name):
    (tmp_path / "file").write_text("")
    found = start(tmp_path / name)
    assert (found.n_compiled, found.n_loaded) == (1, 0)
    assert found.log.count("compiled in memory only: no cache directory") == 1


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
@pytest.mark.parametrize("mode", [0o770, 0o720, 0o702, 0o777])
def test_a_directory_that_others_may_write_is_refused(start, tmp_path, mode):
    """Its entries are pickles: whoever writes them runs code in our process."""
    place = tmp_path / "cache"
    start(place)
    place.chmod(mode)
    found = start(place)
    assert (found.n_compiled, found.n_loaded) == (1, 0)
    assert found.log.count("others may write the cache directory") == 1


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_an_entry_that_others_may_write_is_a_miss_and_is_replaced(start, tmp_path):
    place = tmp_path / "cache"
    start(place)
    (entry,) = place.iterdir()
    entry.chmod(0o666)
    found = start(place)
    assert (found.n_compiled, found.n_loaded) == (1, 0)
    assert found.log.count("others may write") == 1
    assert start(place) == (0, 1, "")


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_no_umask_makes_an_entry_that_others_may_write(start, tmp_path):
    umask = os.umask(0)
    try:
        start(tmp_path / "cache")
    finally:
        os.umask(umask)
    assert start(tmp_path / "cache") == (0, 1, "")


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_in_a_folder_for_all_only_a_private_directory_is_used(start, tmp_path):
    """As in /tmp, where whoever comes first makes the directory."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    assert start(shared / "mine") == (1, 0, "")
    assert start(shared / "mine") == (0, 1, "")
    assert "others may write the cache directory" in start(shared).log
    assert list(shared.iterdir()) == [shared / "mine"]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(start, tmp_path):
    place = tmp_path / "cache"
    start(place)
    os.chown(place, 65534, 65534)
    found = start(place)
    assert (found.n_compiled, found.n_loaded) == (1, 0)
    assert found.log.count("others may write the cache directory") == 1


def test_without_a_word_it_is_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("STREAMRNN_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_directory() == tmp_path / "streamrnn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_directory() == tmp_path / ".cache" / "streamrnn"
