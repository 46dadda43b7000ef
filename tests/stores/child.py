"""A process of its own at a store, to be killed or raced: `child.py save|save_own:OWNER|claim|open PLACE [N]`.

It says on stdout what it has done, a line each, and waits for a line on stdin before it starts.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
import types
from itertools import count
from pathlib import Path

if __name__ == "__main__":
    # The package itself would load the kernels, which takes longer than all that is done here.
    house = types.ModuleType("streamrnn")
    house.__path__ = [str(Path(__file__).resolve().parents[2] / "streamrnn")]
    sys.modules["streamrnn"] = house

from streamrnn.stores.sqlite import SqliteStore
from streamrnn.stores.store import Store, Stored
from streamrnn.stores.valkey import ValkeyStore

N_SESSIONS = 8


def sealed(session_id: str, n: int) -> bytes:
    """A snapshot of 1 to 60 KB that tells of which save it is, and whether it is whole."""
    body = f"{session_id} {n} ".encode() + random.randbytes(random.randrange(1000, 60_000))
    return body + hashlib.sha256(body).digest()


def save_of(snapshot: bytes, session_id: str) -> int:
    """Which save a snapshot is of; it must be whole, and of that session."""
    body, digest = snapshot[:-32], snapshot[-32:]
    assert hashlib.sha256(body).digest() == digest
    of, n, _ = body.split(b" ", 2)
    assert of.decode() == session_id
    return int(n)


def say(n: int) -> None:
    """One whole line, at once."""
    os.write(1, b"%d\n" % n)


def save(store: Store, n_saves: int) -> None:
    """Save all sessions again and again, going on from what is there; after `n_saves` die as by `kill -9`."""
    last = store.load("s0")
    first = last.next_seq + 1 if last else 0
    for n in count(first):
        store.save([Stored(f"s{i}", 0, n, sealed(f"s{i}", n)) for i in range(N_SESSIONS)], float(n))
        say(n)
        if n - first + 1 == n_saves:
            os.kill(os.getpid(), signal.SIGKILL)


def save_own(store: Store, n_saves: int, owner: str) -> None:
    """Save sessions that nobody else has, as one of several servers over one store."""
    for n in range(n_saves):
        store.save([Stored(f"{owner}-s{i}", 0, n, sealed(f"{owner}-s{i}", n)) for i in range(N_SESSIONS)], float(n))
        say(n)


def claim(store: Store, n_claims: int) -> None:
    """Claim one session again and again."""
    for n in range(n_claims):
        claimed = store.claim("s0", float(n))
        assert claimed is not None
        say(claimed.epoch)


def main() -> None:
    """Do one of the above."""
    (verb, _, owner), place, n = sys.argv[1].partition(":"), sys.argv[2], int(sys.argv[3])
    sys.stdin.readline()
    made: Store = ValkeyStore(place, timeout_s=60) if "://" in place else SqliteStore(place, busy_timeout_s=60)
    with made as store:
        if verb == "save_own":
            save_own(store, n, owner)
        else:
            {"save": save, "claim": claim, "open": lambda store, n: store.save([Stored(f"s{n}", 0, 0, b"")], 0.0)}[
                verb
            ](store, n)


if __name__ == "__main__":
    main()
