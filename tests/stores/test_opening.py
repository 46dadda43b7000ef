"""A line of text opens a store, and says what it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from streamrnn.errors import OptionError
from streamrnn.stores import MemoryStore, SqliteStore, Stored, open_store
from streamrnn.stores.valkey import ValkeyStore

A = Stored("a", 0, 10, b"state of a")


@pytest.mark.parametrize("url", ["redis://h", "rediss://h", "unix:///s", "valkey://h", "valkeys://h", "REDIS://h:1/2"])
def test_a_url_of_a_server_is_a_valkey_store_that_connects_later(url):
    with open_store(url) as store:
        assert isinstance(store, ValkeyStore)


def test_memory_is_a_store_of_its_own():
    with open_store("memory:") as one, open_store("memory:") as other:
        assert isinstance(one, MemoryStore)
        one.save([A], 1.0)
        assert other.session_ids() == []


def test_a_path_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for n, place in enumerate(["s0", "sqlite:s1", f"sqlite:{tmp_path}/s2", "./memory:", Path("redis:")]):
        with open_store(place) as store:
            assert isinstance(store, SqliteStore)
            store.save([A], float(n))
    assert {file.name for file in tmp_path.iterdir()} == {"s0", "s1", "s2", "memory:", "redis:"}


@pytest.mark.parametrize("url", ["", "sqlite:", "sqlite:///s", "memory://", "http://u:secret@h/", "S3://secret"])
def test_what_is_none_of_these_is_refused(url):
    with pytest.raises(OptionError, match="sqlite:PATH") as refused:
        open_store(url)
    assert "secret" not in str(refused.value)


def test_without_redis_py_there_are_the_others_and_a_hint(monkeypatch):
    monkeypatch.delitem(sys.modules, "streamrnn.stores.valkey", raising=False)
    monkeypatch.delitem(sys.modules, "streamrnn.stores.link", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(OptionError, match=r"pip install 'streamrnn\[valkey\]'"):
        open_store("redis://h")


def test_the_package_does_not_import_redis_py():
    code = "import sys, streamrnn.stores as s; s.open_store('memory:'); assert 'redis' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
