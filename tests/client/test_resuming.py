"""The core against a server that is cut off and crashes anywhere: every frame is answered once, in order, rightly."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from streamrnn_client.dialogue import Dialogue
from streamrnn_client.ledger import Ledger
from streamrnn_client.losses import ConnectionLostError, SessionLostError
from streamrnn_client.options import Options
from streamrnn_client.pending import Pending, PendingAsk, PendingFrames

from tests.client.fake_server import MODEL
from tests.client.groups import Groups
from tests.client.resuming_server import ResumingServer

QUEUE = 4
State = tuple[int, float]


@dataclass
class Truth:
    """What a session would be without any network: its state, and every state it has been in."""

    state: State
    is_copy: bool
    states: list[State] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.states.append(self.state)

    def become(self, state: State) -> None:
        self.state = state
        self.states.append(state)

    def step(self, value: float) -> State:
        seq, total = self.state
        self.become((seq + 1, ResumingServer.stepped(total, value)))
        return seq, self.state[1]


class Resuming(RuleBasedStateMachine):
    """Calls, arrivals, ticks, checkpoints, cuts, crashes and reconnections in any order."""

    stores = True
    max_replay_bytes = 1 << 24

    def __init__(self) -> None:
        super().__init__()
        self.dialogue = Dialogue(Options(max_replay_bytes=self.max_replay_bytes))
        self.server = ResumingServer(self.dialogue.codec, QUEUE, stores=self.stores)
        self.truths: dict[int, Truth] = {}
        self.ledgers: list[Ledger] = []
        self.frames_sent: list[tuple[PendingFrames, Ledger, list[State]]] = []
        self.asked: list[tuple[PendingAsk, Ledger | None]] = []
        self.n_settled: dict[int, int] = {}
        self.kept: list[Pending] = []
        self.groups = Groups(self.dialogue)
        self.group_wants: list[list[State]] = []

    # ---- carrying

    def sent(self) -> None:
        out = self.dialogue.take_outbox()
        assert self.dialogue.is_attached or not out
        self.server.inbox.extend(out)

    def told(self, events: list[object]) -> None:
        for event in events:
            if isinstance(event, Pending):
                self.kept.append(event)
                self.n_settled[id(event)] = self.n_settled.get(id(event), 0) + 1
                if isinstance(event.value, Ledger):
                    self.opened(event.value)
        self.sent()

    def opened(self, ledger: Ledger) -> None:
        session = self.server.all_sessions.get(ledger.opened.session_id)
        is_copy = ledger.opened.resumed
        total = 0.0
        if is_copy:
            assert session is not None
            total = session.total if session.next_seq == ledger.next_seq else session.answered[ledger.next_seq - 1]
        self.truths[id(ledger)] = Truth((ledger.next_seq, total), is_copy)
        self.ledgers.append(ledger)

    def live(self) -> list[Ledger]:
        return [ledger for ledger in self.ledgers if ledger.live]

    # ---- calls

    @initialize()
    def two_sessions(self) -> None:
        for _ in range(2):
            self.asked.append((self.dialogue.open(MODEL), None))
        self.sent()
        self.quiesce()

    @rule()
    def open(self) -> None:
        if len(self.ledgers) < 5:
            self.asked.append((self.dialogue.open(MODEL), None))
            self.sent()

    @precondition(lambda self: self.live())
    @rule(data=st.data(), values=st.lists(st.integers(0, 99).map(float), min_size=1, max_size=3))
    def frames(self, data: st.DataObject, values: list[float]) -> None:
        ledger = data.draw(st.sampled_from(self.live()))
        if ledger.n_unanswered + len(values) <= QUEUE:
            pending = self.dialogue.frames(ledger, [struct.pack("<f", value) for value in values])
            self.frames_sent.append((pending, ledger, [self.truths[id(ledger)].step(value) for value in values]))
            self.sent()

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def step_many(self, data: st.DataObject) -> None:
        ledgers = [ledger for ledger in self.live() if ledger.n_unanswered < QUEUE]
        if ledgers:
            pendings = self.dialogue.frames_of_many(ledgers, [struct.pack("<f", 7.0)] * len(ledgers))
            for pending, ledger in zip(pendings, ledgers, strict=True):
                self.frames_sent.append((pending, ledger, [self.truths[id(ledger)].step(7.0)]))
            self.sent()

    @precondition(lambda self: self.live())
    @rule(n=st.integers(1, 3), n_left_out=st.sampled_from([0, 0, 0, 1]))
    def group(self, n: int, n_left_out: int) -> None:
        for i in range(n):
            ledgers = [ledger for ledger in self.live() if ledger.n_unanswered < QUEUE][n_left_out:]
            if ledgers:
                values = [float(i + 10 * j) for j in range(len(ledgers))]
                self.groups.send(ledgers, values)
                truths = [self.truths[id(ledger)] for ledger in ledgers]
                self.group_wants.append([truth.step(x) for truth, x in zip(truths, values, strict=True)])
                self.sent()

    @rule()
    def tick_columnar(self) -> None:
        self.server.tick_columnar()

    @precondition(lambda self: self.dialogue.is_attached)
    @rule(
        n=st.integers(2, 5),
        n_under_way=st.integers(1, 3),
        n_first=st.sampled_from([9, 9, 9, 1, -1]),
        is_turned=st.booleans(),
        is_saved=st.booleans(),
    )
    def rounds_in_step(self, n: int, n_under_way: int, n_first: int, is_turned: bool, is_saved: bool) -> None:
        """A group as it goes in the ordinary way; what is under way at the end stays so.

        The first `n_first` sessions are answered before the others, and in the last round without them.
        """
        self.quiesce()
        for i in range(n):
            self.group(n_under_way if i == 0 else 1, 0)
            while self.server.inbox:
                self.server.take_one()
            handles = sorted(self.server.sessions, reverse=is_turned)
            self.server.tick_columnar(handles[:n_first])
            if n_first < 0 or i < n - 1:
                self.server.tick_columnar(handles[n_first:])
            for handle in list(self.server.sessions) if is_saved and i == 1 else []:
                self.server.checkpoint(handle)
            if i < n - 1:
                while self.server.outbox:
                    self.told([*self.dialogue.receive(self.server.outbox.popleft())])

    @precondition(lambda self: self.live())
    @rule(data=st.data(), verb=st.sampled_from(["reset", "reset", "flush", "snapshot", "snapshot", "fork", "close"]))
    def ask(self, data: st.DataObject, verb: str) -> None:
        ledger = data.draw(st.sampled_from(self.live()))
        if verb in ("fork", "close") and len(self.ledgers) > 5:
            return
        if verb == "reset":
            truth = self.truths[id(ledger)]
            truth.become((truth.state[0], 0.0))
        self.asked.append((getattr(self.dialogue, verb)(ledger), ledger))
        self.sent()

    @precondition(lambda self: self.snapshots())
    @rule(data=st.data())
    def rollback(self, data: st.DataObject) -> None:
        ledger, payload = data.draw(st.sampled_from(self.snapshots()))
        self.truths[id(ledger)].become(struct.unpack("<qf", payload))
        self.asked.append((self.dialogue.rollback(ledger, payload), ledger))
        self.sent()

    def snapshots(self) -> list[tuple[Ledger, bytes]]:
        return [
            (ledger, ask.value)
            for ask, ledger in self.asked
            if ask.of == "snapshot" and ask.value is not None and ledger is not None and ledger.live
        ]

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

    @precondition(lambda self: self.server.sessions)
    @rule(data=st.data())
    def checkpoint(self, data: st.DataObject) -> None:
        self.server.checkpoint(data.draw(st.sampled_from(sorted(self.server.sessions))))

    @precondition(lambda self: self.server.outbox)
    @rule(n=st.integers(1, 6))
    def reach_client(self, n: int) -> None:
        for _ in range(min(n, len(self.server.outbox))):
            self.told([*self.dialogue.receive(self.server.outbox.popleft())])

    @precondition(lambda self: self.dialogue.is_attached)
    @rule(is_crash=st.booleans(), is_read=st.booleans())
    def cut(self, is_crash: bool, is_read: bool) -> None:
        while is_read and self.server.inbox:
            self.server.take_one()
        self.told([*self.dialogue.lose(ConnectionLostError("cut"))])
        if is_crash:
            self.server.crash()
        else:
            self.server.cut()

    @precondition(lambda self: not self.dialogue.is_attached)
    @rule()
    def attach(self) -> None:
        self.dialogue.attach()
        self.sent()

    @precondition(lambda self: self.dialogue.is_attached)
    @rule()
    def drain(self) -> None:
        self.server.stop()
        while self.server.outbox:
            self.reach_client(100)
        self.told([*self.dialogue.lose(ConnectionLostError("stopped", close_code=1012))])
        self.server.cut()

    @rule(data=st.data(), saves=st.booleans(), takes=st.booleans(), resets=st.booleans())
    def settle(self, data: st.DataObject, saves: bool, takes: bool, resets: bool) -> None:
        """All that is under way arrives; perhaps a session is saved then, its state taken, or reset behind that."""
        self.quiesce()
        if self.live():
            ledger = data.draw(st.sampled_from(self.live()))
            if takes:
                self.asked.append((self.dialogue.snapshot(ledger), ledger))
            if saves:
                self.server.checkpoint(ledger.handle)
            if resets:
                self.truths[id(ledger)].become((self.truths[id(ledger)].state[0], 0.0))
                self.asked.append((self.dialogue.reset(ledger), ledger))
            self.sent()
            self.quiesce()

    # ---- what must hold

    @invariant()
    def nothing_is_settled_twice(self) -> None:
        assert self.dialogue.table.over is None
        for pending in [*(frames for frames, *_ in self.frames_sent), *(ask for ask, _ in self.asked)]:
            assert self.n_settled.get(id(pending), 0) == pending.done
        self.groups.check_settled(self.n_settled)

    def quiesce(self) -> None:
        self.dialogue.attach()
        self.sent()
        while self.server.inbox or self.server.outbox or any(s.queue for s in self.server.sessions.values()):
            while self.server.inbox:
                self.server.take_one()
            for handle in list(self.server.sessions):
                self.server.tick(handle, 1000)
            while self.server.outbox:
                self.told([*self.dialogue.receive(self.server.outbox.popleft())])

    def teardown(self) -> None:
        self.quiesce()
        assert self.dialogue.is_resumed
        for pending, ledger, want in self.frames_sent:
            assert pending.done
            self.check_frames(pending, ledger, want)
        for batch, wants in zip(self.groups.sent, self.group_wants, strict=True):
            assert batch.batch.done
            for (ledger, _, seq, total, part), state in zip(batch.rows(), wants, strict=True):
                if part is None:
                    assert (seq, total) == state
                else:
                    self.check_frames(part, ledger, [state])
        for ask, owner in self.asked:
            assert ask.done
            self.check_ask(ask, owner)
        for ledger in self.live():
            truth = self.truths[id(ledger)]
            session = self.server.sessions[ledger.handle]
            assert (session.next_seq, session.total) == truth.state
            assert (ledger.next_seq, ledger.answered_seq, ledger.n_unanswered) == (
                truth.state[0],
                truth.state[0] - 1,
                0,
            )

    def check_frames(self, pending: PendingFrames, ledger: Ledger, want: list[State]) -> None:
        if pending.error is not None:
            self.check_lost(ledger)
            return
        assert [pending.seq + i for i in range(pending.n)] == [seq for seq, _ in want]
        for i, (_, total) in enumerate(want):
            if pending.skip_of(i) is None:
                assert struct.unpack("<f", pending.value[i])[0] == total

    def check_ask(self, ask: PendingAsk, ledger: Ledger | None) -> None:
        if ask.error is not None:
            assert ledger is not None
            self.check_lost(ledger)
        elif ask.of == "snapshot":
            assert struct.unpack("<qf", ask.value) in self.truths[id(ledger)].states
        elif ask.of == "fork" and ask.value.live:
            assert self.truths[id(ask.value)].states[0] in self.truths[id(ledger)].states

    def check_lost(self, ledger: Ledger) -> None:
        """Only what was never here can be lost."""
        assert isinstance(ledger.ended, SessionLostError), ledger.ended
        assert self.truths[id(ledger)].is_copy, str(ledger.ended)


class Forgetful(Resuming):
    """A server without a store."""

    stores = False


class Short(Resuming):
    """A client with no room to keep what is answered: sessions may be lost, but what is answered is right."""

    max_replay_bytes = 1

    def check_lost(self, ledger: Ledger) -> None:
        assert isinstance(ledger.ended, SessionLostError)


TestResuming = Resuming.TestCase
TestResuming.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestForgetful = Forgetful.TestCase
TestForgetful.settings = settings(max_examples=30, stateful_step_count=60, deadline=None)
TestShort = Short.TestCase
TestShort.settings = settings(max_examples=30, stateful_step_count=60, deadline=None)
