"""Processes that are killed, and processes that race: a store keeps whole saves, and one epoch for each claim."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streamrnn.stores import SqliteStore, Stored, open_store
from tests.stores import child
from tests.stores.child import N_SESSIONS, save_of

TIMEOUT_S = 120


def start(verb: str, place: Path | str, n: int = 0) -> subprocess.Popen[str]:
    """A child that waits for a line before it starts."""
    command = [sys.executable, child.__file__, verb, str(place), str(n)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def go(process):
    """Let it start."""
    process.stdin.write("go\n")
    process.stdin.flush()


def run(children: list[subprocess.Popen[str]]) -> list[list[int]]:
    """Let them all start at once; what each has said."""
    for process in children:
        go(process)
    return [[int(line) for line in process.communicate(timeout=TIMEOUT_S)[0].split()] for process in children]


def last_save(place):
    """The save that a store holds, all of it and nothing of another; -1 before the first."""
    with open_store(place) as store:
        records = [store.load(session_id) for session_id in store.session_ids()]
    saves = {save_of(record.snapshot, record.session_id) for record in records}
    assert saves == {record.next_seq for record in records}
    if not records:
        return -1
    (last,) = saves
    assert len(records) == N_SESSIONS
    return last


@pytest.fixture(params=["sqlite", "valkey"])
def place(request):
    """A path or a URL, of an empty store that processes can share."""
    if request.param == "sqlite":
        return request.getfixturevalue("path")
    return request.getfixturevalue("server").url


def test_a_kill_at_any_moment_leaves_whole_saves(place):
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(20):
        with start("save", place) as process:
            go(process)
            said = [int(process.stdout.readline()) for _ in range(rng.randrange(1, 30))]
            hashlib.sha256(bytes(rng.randrange(4_000_000)))  # some more of a save passes
            process.kill()
            said += [int(line) for line in process.stdout]
        assert said == list(range(said[0], said[-1] + 1)), "each child goes on where the file stands"
        assert last_save(place) in (said[-1], said[-1] + 1), "what was said is kept; one more may be, unsaid"


@pytest.fixture
def remains(path):
    """The file and the log of a process that was killed after ten saves; none of them is in the file yet."""
    assert run([start("save", path, 10)]) == [list(range(10))]
    return path, path.with_name(path.name + "-wal").read_bytes()


@pytest.fixture
def with_log(remains, tmp_path):
    """Makes a copy of the file, with another log."""

    def make(log: bytes) -> Path:
        copy = tmp_path / "copy" / "sessions.db"
        shutil.rmtree(copy.parent, ignore_errors=True)
        copy.parent.mkdir()
        shutil.copyfile(remains[0], copy)
        copy.with_name(copy.name + "-wal").write_bytes(log)
        return copy

    return make


def test_a_log_cut_short_leaves_an_earlier_save(remains, with_log):
    log = remains[1]
    cuts = [0, 1, 31, 32, *random.Random(0).sample(range(len(log)), 60), len(log) - 1, len(log)]
    found = [last_save(with_log(log[:cut])) for cut in sorted(cuts)]
    assert found == sorted(found)
    assert (found[0], found[-2], found[-1]) == (-1, 8, 9)


def test_a_log_with_a_flipped_bit_leaves_an_earlier_save(remains, with_log):
    rng = random.Random(0)
    for _ in range(40):
        log = bytearray(remains[1])
        log[rng.randrange(len(log))] ^= 1 << rng.randrange(8)
        assert -1 <= last_save(with_log(bytes(log))) <= 9


def test_two_processes_that_claim_at_once_get_different_epochs(place):
    with open_store(place) as store:
        store.save([Stored("s0", 0, 0, b"")], 0.0)
    epochs = run([start("claim", place, 200), start("claim", place, 200)])
    assert sorted(epochs[0] + epochs[1]) == list(range(1, 401))
    assert all(mine == sorted(mine) for mine in epochs)


def test_processes_that_save_at_once_all_get_their_turn(place):
    n_children, n_saves = 4, 50
    said = run([start(f"save_own:{i}", place, n_saves) for i in range(n_children)])
    assert said == [list(range(n_saves))] * n_children
    with open_store(place) as store:
        records = [store.load(f"{i}-s{n}") for i in range(n_children) for n in range(N_SESSIONS)]
    assert [save_of(record.snapshot, record.session_id) for record in records] == [n_saves - 1] * len(records)


def test_processes_that_make_one_file_at_once_share_it(tmp_path):
    for n in range(5):
        path = tmp_path / f"{n}.db"
        run([start("open", path, n) for n in range(5)])
        with SqliteStore(path) as store:
            assert store.session_ids() == [f"s{n}" for n in range(5)]
