"""What a lockstep keeps, what it hands out, and when: as much as the sessions alone would, and no more."""

from __future__ import annotations

import struct

import pytest
from streamrnn_client import messages as m
from streamrnn_client.batch import PendingBatch
from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import MalformedError
from streamrnn_client.ledger import Ledger
from streamrnn_client.lockstep import MAX_ROUNDS
from streamrnn_client.log import Log
from streamrnn_client.losses import BatchError, ConnectionLostError
from streamrnn_client.options import Options
from streamrnn_client.pending import Kept

from tests.client.fake_server import MODEL
from tests.client.groups import Groups
from tests.client.resuming_server import ResumingServer

N = 3


class Pair:
    """A dialogue and a server in memory, with some sessions."""

    def __init__(self, n: int = N, **options: int) -> None:
        self.dialogue = Dialogue(Options(**options))  # type: ignore[arg-type]
        self.server = ResumingServer(self.dialogue.codec, 64, ring=64)
        self.groups = Groups(self.dialogue)
        self.n_messages = 0
        for _ in range(n):
            self.dialogue.open(MODEL)
        self.carry()
        self.ledgers = list(self.dialogue.table.ledgers.values())

    def send(self, *values: float, ledgers: list[Ledger] | None = None) -> PendingBatch:
        return self.groups.send(self.ledgers if ledgers is None else ledgers, list(values)).batch

    def up(self) -> None:
        """The server reads."""
        self.server.inbox.extend(self.dialogue.take_outbox())
        self.n_messages = len(self.server.inbox)
        while self.server.inbox:
            self.server.take_one()

    def carry(self) -> None:
        """The server reads and answers, in columns, and the client reads."""
        while self.dialogue.outbox or self.server.outbox or any(s.queue for s in self.server.sessions.values()):
            self.up()
            self.server.tick_columnar()
            self.down()

    def down(self) -> None:
        while self.server.outbox:
            self.dialogue.receive(self.server.outbox.popleft())

    def n_kept(self, ledger: Ledger) -> int:
        """Frames in a session's own log."""
        return sum(entry.n for entry in ledger._log.entries if isinstance(entry, Kept))


def totals(batch: PendingBatch) -> tuple[float, ...]:
    return struct.unpack(f"<{batch.n}f", batch.value)


def test_a_round_is_one_message_each_way_and_touches_no_session() -> None:
    pair = Pair()
    first, second = pair.send(1, 2, 3), pair.send(4, 5, 6)
    assert [ledger.n_unanswered for ledger in pair.ledgers] == [2, 2, 2]
    assert pair.dialogue.table.n_unanswered == 6
    pair.up()
    assert pair.n_messages == 2
    pair.server.tick_columnar()
    pair.down()
    assert first.done and not second.done
    assert totals(first) == (18, 19, 20)
    assert {(le.next_seq, le.answered_seq, le.n_answered, le.n_unanswered) for le in pair.ledgers} == {(2, 0, 1, 1)}
    pair.carry()
    assert second.parts is None and second.done
    assert all(ledger.lockstep is not None and not ledger._log.entries for ledger in pair.ledgers)


def test_what_is_answered_is_handed_out_from_time_to_time() -> None:
    pair = Pair()
    for _ in range(MAX_ROUNDS - 1):
        pair.send(1, 2, 3)
        pair.carry()
    assert [pair.n_kept(ledger) for ledger in pair.ledgers] == [0] * N
    pair.send(1, 2, 3)
    pair.carry()
    assert [pair.n_kept(ledger) for ledger in pair.ledgers] == [MAX_ROUNDS] * N
    assert max(entry.n for entry in pair.ledgers[0]._log.entries if isinstance(entry, Kept)) == N
    kept = [entry.payload for entry in pair.ledgers[1]._log.entries if isinstance(entry, Kept)]
    assert b"".join(kept) == struct.pack("<f", 2) * MAX_ROUNDS
    assert all(ledger.lockstep is not None for ledger in pair.ledgers)


def test_what_is_durable_for_all_is_let_go_of() -> None:
    pair = Pair()
    for _ in range(10):
        pair.send(1, 2, 3)
        pair.carry()
    for handle in list(pair.server.sessions)[1:]:
        pair.server.checkpoint(handle)
    pair.down()
    assert [ledger.durable_seq for ledger in pair.ledgers] == [-1, 9, 9]
    pair.send(1, 2, 3)
    pair.carry()
    pair.ledgers[0].alone()
    assert [pair.n_kept(ledger) for ledger in pair.ledgers] == [11, 2, 2], "a message goes as a whole"
    pair.send(1, 2, 3)
    pair.carry()
    for handle in pair.server.sessions:
        pair.server.checkpoint(handle)
    pair.down()
    pair.send(1, 2, 3)
    pair.carry()
    pair.ledgers[0].alone()
    assert [pair.n_kept(ledger) for ledger in pair.ledgers] == [1] * N
    assert [ledger.log.first_seq for ledger in pair.ledgers] == [12] * N
    assert [ledger.n_forgotten for ledger in pair.ledgers] == [0] * N


def test_no_more_is_kept_than_was_said() -> None:
    pair = Pair(max_replay_bytes=1000)
    for _ in range(400):
        pair.send(1, 2, 3)
        pair.carry()
    for ledger in pair.ledgers:
        assert ledger._log._n_bytes + ledger._log.reserve_bytes <= 1000
        assert 0 < ledger.n_forgotten < 400


@pytest.mark.parametrize("is_crash", [False, True])
def test_a_cut_amid_rounds_loses_nothing(is_crash: bool) -> None:
    pair = Pair()
    whole = Pair()
    batches = []
    for t in range(20):
        batches.append(pair.send(t, 2 * t, 3 * t))
        want = whole.send(t, 2 * t, 3 * t)
        whole.carry()
        if t in (5, 11):
            pair.up()
            pair.server.tick_columnar(list(pair.server.sessions)[:2])  # the third is behind
            if t == 11:
                pair.server.tick_columnar(list(pair.server.sessions)[2:])
            pair.down()
            pair.dialogue.lose(ConnectionLostError("cut"))
            pair.server.crash() if is_crash else pair.server.cut()
            pair.dialogue.attach()
        pair.carry()
        assert batches[-1].done
        got = batches[-1]
        rows = totals(got) if got.parts is None else tuple(struct.unpack("<f", p.value[0])[0] for p in got.parts)
        assert rows == totals(want)
        if got.parts is not None:
            assert [float(row[0]) for row in got.outputs()] == list(rows)
    assert (pair.dialogue.table.n_replayed > 0) == is_crash
    assert all(ledger.lockstep is not None for ledger in pair.ledgers), "they fall in again"


def test_an_answer_that_is_not_due_breaks_the_connection() -> None:
    pair = Pair()
    pair.send(1, 2, 3)
    pair.up()
    payload = struct.pack("<3f", 1, 2, 3)
    handles = tuple(ledger.handle for ledger in pair.ledgers)
    with pytest.raises(MalformedError):
        pair.dialogue.receive(pair.dialogue.codec.encode(m.Outputs(handles, (0, 0, 1), payload)))
    assert pair.ledgers[0].lockstep is None


def test_the_end_of_one_session_fails_its_part_alone() -> None:
    pair = Pair()
    batch = pair.send(1, 2, 3)
    pair.up()
    pair.server.kill(pair.ledgers[1].handle)
    pair.server.tick_columnar()
    pair.down()
    assert batch.done
    with pytest.raises(BatchError) as failed:
        batch.outputs()
    assert [error is None for error in failed.value.errors] == [True, False, True]
    assert [None if y is None else float(y[0]) for y in failed.value.outputs] == [18.0, None, 20.0]
    rest = [pair.ledgers[0], pair.ledgers[2]]
    again = pair.send(1, 3, ledgers=rest)
    pair.carry()
    assert again.parts is None and again.done


def test_frames_are_repeated_in_messages_that_the_server_takes() -> None:
    log = Log(0, 10_000, period_us=10)
    kept = Kept(0, 10, bytes(range(40)), 500)
    kept.is_answered = True
    waiting = Kept(10, 6, bytes(24), 600)
    log.append(kept)
    log.append(waiting)
    *pieces, last = log.behind(1, 4)
    assert [(p.seq, p.n, p.payload, p.time_us, p.is_answered) for p in pieces if isinstance(p, Kept)] == [
        (1, 4, bytes(range(4, 20)), 510, True),
        (5, 4, bytes(range(20, 36)), 550, True),
        (9, 1, bytes(range(36, 40)), 590, True),
    ]
    assert last is waiting
