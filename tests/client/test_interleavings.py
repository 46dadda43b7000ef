"""The core against a server that answers in any legal order: each thing is settled once, rightly, and well numbered."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import (
    DrainingError,
    FrameError,
    InternalError,
    QueueFullError,
    SequenceError,
    SessionClosedError,
    SessionExistsError,
    StreamrnnClientError,
    UnknownModelError,
)
from streamrnn_client.ledger import Ledger
from streamrnn_client.options import Options
from streamrnn_client.pending import Pending, PendingAsk, PendingFrames

from tests.client.fake_server import MODEL, FakeServer
from tests.client.groups import Groups

VALUE = st.integers(-8, 8).map(float)
BAD = float("nan")
REFUSALS = (FrameError, SequenceError, QueueFullError)
ENDINGS = (SessionClosedError, InternalError, DrainingError)


def as_bytes(values: list[float]) -> list[bytes]:
    return [struct.pack("<f", value) for value in values]


class Interleavings(RuleBasedStateMachine):
    """Calls, arrivals at the server, its ticks and arrivals at the client in any order."""

    encoding = "msgpack"

    def __init__(self) -> None:
        super().__init__()
        self.dialogue = Dialogue(Options(encoding=self.encoding, check=False, reconnect=False))
        self.server = FakeServer(self.dialogue.codec)
        self.ledgers: list[Ledger] = []
        self.asked: list[Pending] = []
        self.owners: dict[int, Ledger] = {}
        self.n_settled: dict[int, int] = {}
        self.kept: list[Pending] = []
        self.groups = Groups(self.dialogue)

    def sent(self, *pendings: Pending, ledger: Ledger | None = None) -> None:
        self.asked += pendings
        if ledger is not None:
            self.owners.update({id(pending): ledger for pending in pendings})
        self.server.inbox.extend(self.dialogue.outbox)
        self.dialogue.outbox.clear()

    def live(self) -> list[Ledger]:
        return [ledger for ledger in self.ledgers if ledger.live]

    # ---- calls

    @initialize()
    def two_sessions(self) -> None:
        for _ in range(2):
            self.sent(self.dialogue.open(MODEL))
        self.quiesce()

    @rule(name=st.sampled_from([None, None, "same"]), model=st.sampled_from([MODEL, MODEL, MODEL, "other"]))
    def open(self, name: str | None, model: str) -> None:
        if self.dialogue.table.going_away is not None:
            with pytest.raises(DrainingError):
                self.dialogue.open(model, name)
        else:
            self.sent(self.dialogue.open(model, name))

    @precondition(lambda self: self.live())
    @rule(data=st.data(), values=st.lists(st.one_of(VALUE, VALUE, VALUE, st.just(BAD)), min_size=1, max_size=3))
    def frames(self, data: st.DataObject, values: list[float]) -> None:
        ledger = data.draw(st.sampled_from(self.live()))
        self.sent(self.dialogue.frames(ledger, as_bytes(values)), ledger=ledger)

    @precondition(lambda self: self.live())
    @rule(data=st.data(), bad=st.booleans())
    def step_many(self, data: st.DataObject, bad: bool) -> None:
        ledgers = data.draw(st.lists(st.sampled_from(self.live()), min_size=1, max_size=4))
        values = [BAD if bad and i == 0 else float(i) for i in range(len(ledgers))]
        for pending, ledger in zip(self.dialogue.frames_of_many(ledgers, as_bytes(values)), ledgers, strict=True):
            self.sent(pending, ledger=ledger)

    @precondition(lambda self: self.live())
    @rule(data=st.data(), bad=st.sampled_from([False, False, False, True]), n=st.integers(1, 3), is_all=st.booleans())
    def group(self, data: st.DataObject, bad: bool, n: int, is_all: bool) -> None:
        """Some rounds of a group; of all sessions more often than of some, so that they may stay in step."""
        ledgers = self.live()
        if not is_all:
            ledgers = data.draw(st.lists(st.sampled_from(ledgers), min_size=1, max_size=4, unique_by=id))
        for _ in range(n):
            self.groups.send(ledgers, [BAD if bad and i == 0 else float(i) for i in range(len(ledgers))])
            self.sent()

    @rule(
        n=st.integers(2, 5),
        n_under_way=st.integers(1, 3),
        n_first=st.sampled_from([9, 9, 9, 1, -1]),
        is_turned=st.booleans(),
        bad_at=st.integers(-8, 5),
    )
    def rounds_in_step(self, n: int, n_under_way: int, n_first: int, is_turned: bool, bad_at: int) -> None:
        """A group as it goes in the ordinary way, but for a bad frame; what is under way at the end stays so.

        The first `n_first` sessions are answered before the others, and in the last round without them.
        """
        self.quiesce()
        ledgers = self.live()
        for i in range(n if ledgers else 0):
            for j in range(n_under_way if i == 0 else 1):
                self.groups.send(
                    ledgers, [BAD if i + j == bad_at and k == 1 else float(k) for k in range(len(ledgers))]
                )
            self.sent()
            while self.server.inbox:
                self.server.take_one()
            handles = sorted(self.server.sessions, reverse=is_turned)
            self.server.tick_columnar(handles[:n_first])
            if n_first < 0 or i < n - 1:
                self.server.tick_columnar(handles[n_first:])
            while i < n - 1 and self.server.outbox:
                self.arrive(self.server.outbox.popleft())

    @precondition(lambda self: self.live())
    @rule(data=st.data(), verb=st.sampled_from(["reset", "flush", "snapshot", "close", "fork"]))
    def ask(self, data: st.DataObject, verb: str) -> None:
        ledger = data.draw(st.sampled_from(self.live()))
        if verb == "fork" and self.dialogue.table.going_away is not None:
            with pytest.raises(DrainingError):
                self.dialogue.fork(ledger)
        else:
            self.sent(getattr(self.dialogue, verb)(ledger), ledger=ledger)

    @precondition(lambda self: self.snapshots() and self.dialogue.table.going_away is None)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        self.sent(self.dialogue.restore(data.draw(st.sampled_from(self.snapshots()))))

    def snapshots(self) -> list[bytes]:
        return [p.value for p in self.asked if isinstance(p.value, bytes)]

    @precondition(lambda self: any(not pending.done for pending in self.asked))
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        self.dialogue.abandon(data.draw(st.sampled_from([p for p in self.asked if not p.done])))
        self.sent()

    # ---- what moves

    @precondition(lambda self: self.server.inbox)
    @rule(n=st.integers(1, 6))
    def reach_server(self, n: int) -> None:
        for _ in range(min(n, len(self.server.inbox))):
            self.server.take_one()

    @precondition(lambda self: self.server.sessions)
    @rule(data=st.data(), n=st.integers(1, 4))
    def tick(self, data: st.DataObject, n: int) -> None:
        self.server.tick(data.draw(st.sampled_from(sorted(self.server.sessions))), n)

    @rule()
    def tick_columnar(self) -> None:
        self.server.tick_columnar()

    @precondition(lambda self: self.server.outbox)
    @rule(n=st.integers(1, 6))
    def reach_client(self, n: int) -> None:
        for _ in range(min(n, len(self.server.outbox))):
            self.arrive(self.server.outbox.popleft())

    def arrive(self, payload: bytes) -> None:
        for event in self.dialogue.receive(payload):
            if not isinstance(event, Pending):
                continue
            assert event.done
            self.kept.append(event)  # so that no id comes back
            self.n_settled[id(event)] = self.n_settled.get(id(event), 0) + 1
            if isinstance(event.value, Ledger):
                self.ledgers.append(event.value)
        self.sent()

    @precondition(lambda self: self.server.sessions)
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        self.server.kill(data.draw(st.sampled_from(sorted(self.server.sessions))))

    @precondition(lambda self: not self.server.is_draining and len(self.asked) > 20)
    @rule()
    def drain(self) -> None:
        self.server.drain()

    # ---- what must hold

    @invariant()
    def nothing_is_lost_or_settled_twice(self) -> None:
        assert self.dialogue.table.over is None
        for pending in self.asked:
            assert self.n_settled.get(id(pending), 0) == pending.done
        self.groups.check_settled(self.n_settled)

    def teardown(self) -> None:
        self.quiesce()
        for pending in self.asked:
            assert pending.done
            if isinstance(pending, PendingFrames):
                self.check_frames(pending)
            else:
                assert isinstance(pending, PendingAsk)
                self.check_ask(pending)
        for batch in self.groups.sent:
            assert batch.batch.done
            for ledger, value, seq, total, part in batch.rows():
                if part is not None:
                    self.owners[id(part)] = ledger
                    self.check_frames(part)
                else:
                    session = self.server.all_sessions[ledger.opened.session_id]
                    assert (session.accepted[seq], session.answered[seq]) == (value, total)
        for ledger in self.live():
            assert ledger.n_unanswered == 0
            assert ledger.next_seq == self.server.sessions[ledger.handle].next_seq
            pending = self.dialogue.frames(ledger, as_bytes([1.0]))
            self.sent(pending, ledger=ledger)
            self.quiesce()
            assert pending.error is None, "a session must take the next frame whatever was refused before"

    def quiesce(self) -> None:
        while self.server.inbox or self.server.outbox or any(s.queue for s in self.server.sessions.values()):
            while self.server.inbox:
                self.server.take_one()
            for handle in list(self.server.sessions):
                self.server.tick(handle, 1000)
            while self.server.outbox:
                self.arrive(self.server.outbox.popleft())

    def check_frames(self, pending: PendingFrames) -> None:
        ledger = self.owners[id(pending)]
        session = self.server.all_sessions[ledger.opened.session_id]
        values = [*struct.unpack(f"<{pending.n}f", pending.kept.payload)]
        seqs = range(pending.seq, pending.seq + pending.n)
        if pending.error is None:
            assert [session.accepted[seq] for seq in seqs] == values
            assert [struct.unpack("<f", y)[0] for y in pending.value] == [session.answered[seq] for seq in seqs]
        elif isinstance(pending.error, REFUSALS):
            assert pending.error.seq == pending.seq
            assert pending.error.scope == "frame"
            assert isinstance(pending.error, FrameError) == any(value != value for value in values)
        else:
            assert isinstance(pending.error, ENDINGS)
            assert ledger.ended is not None

    def check_ask(self, pending: PendingAsk) -> None:
        error: StreamrnnClientError | None = pending.error
        if error is not None:
            assert isinstance(error, (*ENDINGS, SessionExistsError, UnknownModelError))
            if pending.of == "close":
                raise AssertionError("a session that ended before it could be closed is closed")
        elif pending.of in ("open", "restore", "fork"):
            value: Any = pending.value
            assert isinstance(value, Ledger)
            if pending.abandoned and value.ended is None:
                raise AssertionError("a session for which nobody waited must be closed")


class JsonInterleavings(Interleavings):
    encoding = "json"


TestMsgpack = Interleavings.TestCase
TestMsgpack.settings = settings(max_examples=25, stateful_step_count=50, deadline=None)
TestJson = JsonInterleavings.TestCase
TestJson.settings = settings(max_examples=10, stateful_step_count=50, deadline=None)
