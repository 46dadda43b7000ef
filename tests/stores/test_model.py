"""Any order of calls does in every store what it does in a dictionary of tuples; it may be closed in between."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streamrnn.stores import MemoryStore, SqliteStore, Store, Stored
from streamrnn.stores.valkey import ValkeyStore
from tests.stores.conftest import TIMEOUT_S
from tests.stores.servers import Server

IDS = st.sampled_from(["a", "b", "ü", "nul\0"])
COUNTS = st.integers(0, 3)
TIMES = st.integers(0, 5).map(float)
RECORDS = st.builds(Stored, IDS, COUNTS, COUNTS, st.binary(max_size=20))


class InMemory(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, list[Any]] = {}  # id -> [epoch, next_seq, snapshot, saved_s, saved under which epoch]
        self.store = self.make()

    def make(self) -> Store:
        return MemoryStore()

    def teardown(self) -> None:
        self.store.close()

    @rule(records=st.lists(RECORDS, max_size=4), now_s=TIMES)
    def save(self, records, now_s):
        fenced = []
        for r in records:
            epoch, next_seq, _, _, saved_epoch = self.model.get(r.session_id, (0, 0, b"", 0.0, 0))
            if r.epoch < epoch or (r.epoch == saved_epoch and r.next_seq < next_seq):
                fenced.append(r.session_id)
            else:
                self.model[r.session_id] = [r.epoch, r.next_seq, r.snapshot, now_s, r.epoch]
        assert self.store.save(records, now_s) == fenced

    @rule(session_id=IDS, now_s=TIMES, held_epoch=st.none() | COUNTS)
    def claim(self, session_id, now_s, held_epoch):
        claimed = self.store.claim(session_id, now_s, held_epoch=held_epoch)
        kept = self.model.get(session_id)
        if kept is None or held_epoch not in (None, kept[0]):
            assert claimed is None
        else:
            kept[0], kept[3] = kept[0] + 1, now_s
            assert claimed == Stored(session_id, *kept[:3])

    @rule(owners=st.lists(st.tuples(IDS, COUNTS)))
    def delete(self, owners):
        self.store.delete(owners)
        for session_id, epoch in owners:
            if session_id in self.model and self.model[session_id][0] <= epoch:
                del self.model[session_id]

    @rule(older_than_s=TIMES)
    def expire(self, older_than_s):
        doomed = [session_id for session_id, kept in self.model.items() if kept[3] < older_than_s]
        assert self.store.expire(older_than_s) == len(doomed)
        for session_id in doomed:
            del self.model[session_id]

    @invariant()
    def they_agree(self):
        assert self.store.session_ids() == sorted(self.model)
        for session_id, kept in self.model.items():
            assert self.store.load(session_id) == Stored(session_id, *kept[:3])


class InAFile(InMemory):
    def make(self) -> Store:
        self.folder = tempfile.TemporaryDirectory()
        return SqliteStore(Path(self.folder.name) / "sessions.db")

    @rule()
    def reopen(self):
        self.store.close()
        self.store = SqliteStore(Path(self.folder.name) / "sessions.db")

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


class OnAServer(InMemory):
    server: Server

    def make(self) -> Store:
        self.server.ask("FLUSHALL")
        return ValkeyStore(self.server.url, timeout_s=TIMEOUT_S)

    @rule()
    def reopen(self):
        self.store.close()
        self.store = ValkeyStore(self.server.url, timeout_s=TIMEOUT_S)

    @rule()
    def forget_the_scripts(self):
        self.server.ask("SCRIPT", "FLUSH")


@pytest.fixture(scope="module")
def on_a_server(shared_server):
    OnAServer.server = shared_server


TestMemoryStore = InMemory.TestCase
TestSqliteStore = InAFile.TestCase
TestSqliteStore.settings = settings(max_examples=max(settings().max_examples // 4, 25), stateful_step_count=30)
TestValkeyStore = pytest.mark.usefixtures("on_a_server")(OnAServer.TestCase)
TestValkeyStore.settings = TestSqliteStore.settings
