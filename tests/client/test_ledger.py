"""Numbering of one session: a refused frame turns it back, and what was in flight behind it does not do so again."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamrnn_client import messages as m
from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import FrameError, MalformedError, SequenceError, SessionClosedError, StreamrnnClientError
from streamrnn_client.ledger import Ledger
from streamrnn_client.options import Options
from streamrnn_client.pending import Mark, Pending, PendingFrames

from tests.client.fake_server import MODEL, FakeServer

PORT = m.Port(1)


def fresh() -> Ledger:
    return Ledger(m.Opened(0, "s", "sum", "00", 0, False, PORT, PORT))


def refused(seq: int, expected: int | None = None) -> StreamrnnClientError:
    kind = FrameError if expected is None else SequenceError
    return kind("no", handle=0, seq=seq, expected_seq=expected)


def answered(ledger: Ledger, seq: int, *outputs: bytes) -> list[Pending]:
    settled: list[Pending] = []
    ledger.answer(seq, [*outputs], settled)
    return settled


def test_a_refused_frame_turns_the_numbering_back() -> None:
    ledger = fresh()
    zero, one, two = (ledger.take(b"x") for _ in range(3))
    assert (two.seq, ledger.next_seq) == (2, 3)
    assert ledger.refuse(refused(1)) is one
    assert ledger.next_seq == 1
    assert (zero.done, two.done, two.doomed) == (False, False, True)


def test_what_was_in_flight_behind_it_does_not_turn_it_back_again() -> None:
    ledger = fresh()
    ledger.take(b"bad")
    behind = ledger.take(b"x")
    ledger.refuse(refused(0))
    again, more = ledger.take(b"good"), ledger.take(b"x")
    assert (again.seq, more.seq, ledger.next_seq) == (0, 1, 2)
    assert ledger.refuse(refused(1, expected=0)) is behind, "the older of the two that bear this seq"
    assert ledger.next_seq == 2
    assert answered(ledger, 0, b"y0", b"y1") == [again, more]
    assert ledger.n_unanswered == 0


def test_an_output_goes_past_what_is_doomed() -> None:
    """The error of a doomed frame may come late; it still finds it."""
    ledger = fresh()
    ledger.take(b"bad")
    behind = ledger.take(b"x")
    ledger.refuse(refused(0))
    again = ledger.take(b"goodgood", 2)
    assert answered(ledger, 0, b"y0", b"y1") == [again]
    assert again.value == [b"y0", b"y1"]
    assert ledger.refuse(refused(1, expected=0)) is behind
    assert ledger.next_seq == 2


def test_refused_twice() -> None:
    ledger = fresh()
    pendings = [ledger.take(b"x") for _ in range(3)]
    ledger.refuse(refused(0))
    second = [ledger.take(b"x") for _ in range(3)]
    for seq in (1, 2):
        assert ledger.refuse(refused(seq, expected=0)) is pendings[seq]
    assert ledger.next_seq == 3
    ledger.refuse(refused(0))
    assert ledger.next_seq == 0
    third = ledger.take(b"x")
    for seq in (1, 2):
        assert ledger.refuse(refused(seq, expected=0)) is second[seq]
    assert ledger.next_seq == 1
    assert answered(ledger, 0, b"y") == [third]


def test_a_duplicate_is_the_later_of_the_two() -> None:
    ledger = fresh()
    first = ledger.take(b"x")
    ledger.next_seq = 0
    twice = ledger.take(b"x")
    assert ledger.refuse(refused(0, expected=1)) is twice
    assert ledger.next_seq == 1
    assert answered(ledger, 0, b"y") == [first]


def test_a_chunk_may_be_answered_in_parts_and_refused_only_as_a_whole() -> None:
    ledger = fresh()
    chunk, single = ledger.take(b"xxx", 3), ledger.take(b"x")
    assert answered(ledger, 0, b"a") == []
    assert ledger.n_unanswered == 3
    for seq in (0, 1, 2):
        with pytest.raises(MalformedError):
            ledger.refuse(refused(seq))
    assert answered(ledger, 1, b"b", b"c", b"d") == [chunk, single]
    assert (chunk.value, single.value) == ([b"a", b"b", b"c"], [b"d"])
    assert ledger.n_answered == 4


@pytest.mark.parametrize("seq", [1, 5])
def test_an_output_that_is_not_due(seq: int) -> None:
    ledger = fresh()
    ledger.take(b"x")
    with pytest.raises(MalformedError, match="not due"):
        answered(ledger, seq, b"y")


def test_outputs_that_are_not_due_do_not_hide_those_before_them() -> None:
    ledger = fresh()
    first, second = ledger.take(b"x"), ledger.take(b"xx", 2)
    settled: list[Pending] = []
    with pytest.raises(MalformedError, match="seq 3"):
        ledger.answer(0, [b"a", b"b", b"c", b"d"], settled)
    assert settled == [first, second]
    assert second.value == [b"b", b"c"]


def test_what_is_told_of_a_repeated_output_is_passed_over_with_it() -> None:
    ledger = fresh()
    ledger.take(b"x")
    answered(ledger, 0, b"a")
    later = ledger.take(b"xx", 2)
    ledger.answer(0, [b"a", b"b"], [], Mark(filled=3))
    ledger.answer(2, [b"c"], [], Mark(filled=5))
    assert (ledger.n_repeated, later.value, later.marks) == (1, [b"b", b"c"], {1: Mark(filled=5)})


def test_each_of_several_skipped_frames_is_marked_over_the_bounds_of_messages() -> None:
    ledger = fresh()
    ledger.take(b"x")
    answered(ledger, 0, b"a")
    two, three = ledger.take(b"xx", 2), ledger.take(b"xxx", 3)
    skip = Mark(is_stepped=True)
    ledger.answer(0, [b""] * 4, [], skip)
    assert (two.marks, three.marks) == ({0: skip, 1: skip}, {0: skip})
    assert (ledger.n_repeated, ledger.n_skipped, ledger.n_answered) == (1, 3, 1)
    assert answered(ledger, 4, b"d", b"e") == [three]
    assert three.value == [b"", b"d", b"e"]


def test_the_end_fails_what_is_unanswered_and_grants_a_close() -> None:
    ledger = fresh()
    frames, flush, close = ledger.take(b"x"), ledger.ask(m.Flush(0)), ledger.ask(m.Close(0))
    assert not ledger.live
    with pytest.raises(SessionClosedError):
        ledger.check_live()
    error = FrameError("the end")
    assert ledger.end(error) == [frames, flush, close]
    assert (type(frames.error), type(flush.error), close.error, close.value) == (FrameError, FrameError, None, 1)
    assert frames.error is not flush.error
    assert frames.error is not error


ACTION = st.one_of(
    st.tuples(st.just("send"), st.lists(st.sampled_from([1.0, 2.0, 3.0, float("nan")]), min_size=1, max_size=2)),
    st.tuples(st.sampled_from(["server", "client", "tick"]), st.integers(1, 3)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTION, max_size=40))
def test_the_numbering_is_right_whatever_is_refused_and_when(actions: list[tuple[str, list[float] | int]]) -> None:
    """Frames good and bad, a queue of three, messages that move as the test likes: in the end both sides agree."""
    dialogue = Dialogue(Options(check=False))
    server = FakeServer(dialogue.codec, max_queue_frames=3)
    opening = dialogue.open(MODEL)
    pendings: list[PendingFrames] = []

    def move(what: str, n: int) -> None:
        server.inbox.extend(dialogue.outbox)
        dialogue.outbox.clear()
        for _ in range(n):
            if what == "server" and server.inbox:
                server.take_one()
            elif what == "client" and server.outbox:
                dialogue.receive(server.outbox.popleft())
            elif what == "tick" and server.sessions:
                server.tick(0, 1)

    def settle() -> None:
        for what in ("server", "tick", "client"):
            move(what, 1000)

    settle()
    ledger = opening.result()
    for what, arg in actions:
        if isinstance(arg, int):
            move(what, arg)
        else:
            pendings.append(dialogue.frames(ledger, [struct.pack("<f", value) for value in arg]))
    settle()
    assert ledger.next_seq == server.sessions[0].next_seq
    assert ledger.n_unanswered == 0
    good = [pending for pending in pendings if pending.error is None]
    assert [pending.seq + i for pending in good for i in range(pending.n)] == list(range(ledger.next_seq))
    sent = [value for pending in good for value in struct.unpack(f"<{pending.n}f", pending.kept.payload)]
    assert sent == list(server.sessions[0].accepted.values())
