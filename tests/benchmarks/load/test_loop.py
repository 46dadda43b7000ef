"""What is sent decodes to what was meant, and every answer counts for the frame that it answers."""

from __future__ import annotations

import time

import numpy as np
import pytest

from benchmarks.load import loop
from benchmarks.load.board import (
    ANSWERED,
    DROPPED,
    IS_SENDING,
    N_CODES,
    N_OTHER,
    N_STRAY,
    REFUSED,
    UNDER_WAY,
    UNSENT,
    buffer_size,
)
from benchmarks.load.figures import codes_of, figures_of
from benchmarks.load.packets import base_rows, frames_of
from benchmarks.load.plan import Load
from benchmarks.load.run import Played
from benchmarks.load.sockets import LoadError
from streamrnn.wire import messages as m
from tests.benchmarks.load.desk import desk_of, server_frame


def output(handle, seq, n=1):
    """Outputs whose values tell the handle and the seq."""
    return m.Output(handle, seq, np.array([[handle, seq + i] for i in range(n)], "<f4").tobytes(), n)


def queue_full(handle, seq):
    return m.Error("queue_full", "frame", True, "full", of="frame", handle=handle, seq=seq)


def gap(handle, seq, expected):
    return m.Error("bad_seq", "frame", False, "gap", of="frame", handle=handle, seq=seq, expected_seq=expected)


# ---- sending


def test_frames_of_a_session_decode_to_what_was_meant():
    with desk_of(n_sessions=3, n_connections=2, seed=5) as desk:
        desk.send_due(2)
        first, second = desk.messages(0), desk.messages(1)
    assert [(x.handle, x.seq, x.n) for x in first] == [(0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1)]
    assert [(x.handle, x.seq) for x in second] == [(0, 0), (0, 1)]
    base = base_rows(3, 3, 5)
    for session, messages in enumerate((first[:2], first[2:], second)):
        xs = [np.frombuffer(x.payload, "<f4") for x in messages]
        np.testing.assert_array_equal(xs, frames_of(base[session], 2))


@pytest.mark.parametrize("seq", [0, 127, 128, 65535, 65536, 2**24 + 5, 2**31 - 3])
def test_a_seq_of_any_size_stands_in_its_place(seq):
    with desk_of() as desk:
        desk.board.next_seq[0] = seq
        desk.send_due(2)
        assert [x.seq for x in desk.messages()] == [seq, seq + 1]


def test_columns_hold_one_frame_of_every_session_of_the_connection():
    with desk_of(n_sessions=300, batch="columns", seed=1) as desk:
        desk.board.next_seq[7] = 70_000
        desk.send_due(1)
        (message,) = desk.messages()
    assert message.handles == list(range(300))
    assert message.seqs == [70_000 if i == 7 else 0 for i in range(300)]
    base = base_rows(300, 3, 1)
    expected = [frames_of(row, 256)[seq % 256] for row, seq in zip(base, message.seqs, strict=True)]
    np.testing.assert_array_equal(np.frombuffer(message.payload, "<f4").reshape(300, 3), expected)


def test_a_chunk_holds_frames_in_a_row():
    with desk_of(batch="chunk:5", seed=2) as desk:
        desk.send_due(2)
        messages = desk.messages()
    assert [(x.seq, x.n) for x in messages] == [(0, 5), (5, 5)]
    got = np.concatenate([np.frombuffer(x.payload, "<f4").reshape(5, 3) for x in messages])
    np.testing.assert_array_equal(got, frames_of(base_rows(1, 3, 2)[0], 10))


def test_the_raw_dialect_sends_nothing_but_values():
    with desk_of(dialect="raw", n_sessions=2, n_connections=2, seed=3) as desk:
        desk.send_due(2)
        for connection, base in enumerate(base_rows(2, 3, 3)):
            xs = [np.frombuffer(payload, "<f4") for payload in desk.read(connection)]
            np.testing.assert_array_equal(xs, frames_of(base, 2))


def test_what_the_socket_does_not_take_is_sent_later_and_whole():
    with desk_of(batch="columns", n_sessions=4096, duration_s=1.0) as desk:
        desk.send_due(20)
        assert desk.board.is_blocked[0]
        seqs = []
        while len(seqs) < 20:
            seqs += [message.seqs[0] for message in desk.messages()]
            loop.flush(desk.board, 0)
        assert seqs == list(range(20)) and not desk.board.is_blocked[0]
        assert desk.board.was_blocked[0] == 0 and desk.board.was_blocked[19] == 1


# ---- answers


def test_outputs_are_counted_and_kept():
    with desk_of(n_captured=4, n_sessions=2) as desk:
        desk.send_due(4)
        desk.answer(output(1, 0), output(0, 0, 3), output(1, 1), now_ns=77)
        board = desk.board
        assert board.seqs[:4].tolist() == [ANSWERED, ANSWERED, ANSWERED, 3]
        assert board.done_ns[:4].tolist() == [77, 77, 77, 0]
        assert board.gauges[UNDER_WAY] == 3 and board.gauges[N_STRAY] == 0
        np.testing.assert_array_equal(board.captured[0, :3], [[0, 0], [0, 1], [0, 2]])
        np.testing.assert_array_equal(board.captured[1, :2], [[1, 0], [1, 1]])
        assert np.isnan(board.captured[1, 2:]).all()


def test_an_output_of_no_frame_under_way_is_a_stray():
    with desk_of() as desk:
        desk.send_due(2)
        desk.answer(output(0, 0), output(0, 0), output(0, 5))
        assert desk.board.gauges[N_STRAY] == 2
        desk.answer(output(0, 1))
        assert desk.board.gauges[UNDER_WAY] == 0


def test_columns_are_done_with_their_last_frame():
    with desk_of(n_captured=2, n_sessions=3, batch="columns") as desk:
        desk.send_due(2)
        payload = np.arange(4, dtype="<f4").tobytes()
        desk.answer(m.Outputs([2, 0], [0, 0], payload), now_ns=5)
        assert desk.board.done_ns[0] == 0 and desk.board.n_left[0] == 1
        desk.answer(output(1, 0), now_ns=6)
        assert desk.board.done_ns[:2].tolist() == [6, 0]
        np.testing.assert_array_equal(desk.board.captured[:, 0], [[2, 3], [1, 0], [0, 1]])


def test_a_refusal_turns_the_seq_back_once():
    with desk_of(n_sessions=1) as desk:
        desk.send_due(5)  # 0 1 2 3 4
        desk.board.gauges[IS_SENDING] = 0
        desk.answer(queue_full(0, 2))
        desk.messages()
        desk.send_due(2)  # 2 3 again, as messages 5 and 6
        assert [x.seq for x in desk.messages()][-2:] == [2, 3]
        # What was under way behind the refused frame comes back as gaps, and must not turn the seq back again.
        desk.answer(gap(0, 3, 2), gap(0, 4, 2), output(0, 0, 2), output(0, 2, 2))
        board = desk.board
        assert board.next_seq[0] == 4 and board.gauges[UNDER_WAY] == 0 and board.gauges[N_STRAY] == 0
        assert board.seqs[:7].tolist() == [ANSWERED, ANSWERED, REFUSED, REFUSED, REFUSED, ANSWERED, ANSWERED]
        assert board.n_bad[:7].tolist() == [0, 0, 1, 1, 1, 0, 0]
        assert _codes(desk) == {"queue_full": 1, "bad_seq": 2}


def test_a_frame_refused_twice_is_two_messages():
    with desk_of() as desk:
        desk.board.gauges[IS_SENDING] = 0
        for _ in range(2):
            desk.send_due(1)
            desk.answer(queue_full(0, 0))
        desk.send_due(1)
        desk.answer(output(0, 0))
        assert desk.board.seqs[:3].tolist() == [REFUSED, REFUSED, ANSWERED]


def test_one_session_of_a_batch_is_refused_alone():
    with desk_of(n_sessions=3, batch="columns") as desk:
        desk.board.gauges[IS_SENDING] = 0
        desk.send_due(1)
        desk.answer(queue_full(1, 0), m.Outputs([0, 2], [0, 0], bytes(16)))
        desk.send_due(1)
        assert [x.seqs for x in desk.messages()] == [[0, 0, 0], [1, 0, 1]]
        assert desk.board.n_bad[0] == 1 and desk.board.gauges[UNDER_WAY] == 1


def test_skipped_frames_are_answers_without_outputs():
    with desk_of() as desk:
        desk.send_due(4)
        desk.answer(m.Skipped(0, 0, 3, is_stepped=False), output(0, 3))
        assert desk.board.seqs[:4].tolist() == [DROPPED] * 3 + [ANSWERED]
        assert desk.board.gauges[UNDER_WAY] == 0


def test_other_messages_and_unknown_handles_are_counted():
    with desk_of() as desk:
        desk.send_due(1)
        desk.answer(m.GoAway(5), m.Ack(0, "checkpoint", 3), output(9, 0), m.Error("internal", "connection", False, "x"))
        assert desk.board.gauges[N_OTHER] == 4 and _codes(desk) == {"internal": 1}


def test_raw_answers_belong_to_the_oldest_frame():
    with desk_of(n_captured=2, dialect="raw") as desk:
        desk.send_due(2)
        desk.feed(server_frame(np.array([1, 2], "<f4").tobytes()), now_ns=3)
        assert desk.board.done_ns[:2].tolist() == [3, 0]
        np.testing.assert_array_equal(desk.board.captured[0, 0], [1, 2])


def test_an_answer_may_come_byte_by_byte_and_behind_a_ping():
    with desk_of() as desk:
        desk.send_due(1)
        desk.messages()
        for byte in server_frame(b"hello", 9) + server_frame(desk_bytes(output(0, 0))):
            desk.feed(bytes([byte]))
        assert desk.board.seqs[0] == ANSWERED
        loop.flush(desk.board, 0)
        assert desk.ends[0].recv(100)[:11] == b"\x8a\x85" + bytes(4) + b"hello"


def desk_bytes(message):
    from benchmarks.load.packets import CODEC

    return CODEC.encode(message)


def test_a_message_in_parts_is_refused():
    with desk_of() as desk, pytest.raises(ValueError, match="whole messages"):
        desk.feed(b"\x02\x01x")


def test_a_lost_connection_is_noted():
    with desk_of() as desk:
        desk.ends[0].close()
        loop.receive(desk.board, 0)
        assert desk.board.is_lost[0] == 1


def _codes(desk):
    return codes_of(Played(desk.load, desk.board, 0, 0, 0.0, 1.0))


# ---- the clock


def test_a_stalled_server_shows_in_all_frames_that_were_due_meanwhile():
    """No coordinated omission: frames that one late answer holds up count from when each was meant to leave."""
    with desk_of(loop="open", hz=100.0, duration_s=0.1) as desk:
        board, now_ns = desk.board, time.monotonic_ns()
        n = len(board.due_ns)
        board.due_ns[:] += now_ns - 10**9
        start_ns = now_ns - 10**9
        desk.send_due()
        seqs = [x.seq for x in desk.messages()]
        assert seqs == list(range(n)) and n == 10
        desk.ends[0].sendall(b"".join(server_frame(desk_bytes(output(0, seq))) for seq in seqs))
        board.gauges[IS_SENDING] = 0
        loop.play(board, now_ns + 60 * 10**9)
        latency = board.done_ns - board.due_ns
        np.testing.assert_array_equal(np.diff(latency), -np.diff(board.due_ns))
        assert latency.min() >= 10**9 - 10**8
        figures = figures_of(Played(desk.load, board, start_ns, now_ns, 0.0, 1.0))
        assert figures["frames"]["answered"] == n and figures["n_deadline_misses"] == n
        assert figures["generator"]["is_late"], "it sent a second late, and must say so"


def test_a_message_too_late_is_left_out_and_takes_no_seq():
    with desk_of(loop="open", hz=100.0, duration_s=0.1, options={"give_up_ns": 10**8}) as desk:
        board, now_ns = desk.board, time.monotonic_ns()
        board.due_ns[:4] = now_ns - 10**9
        board.due_ns[4:] = now_ns
        loop.call_due(board, now_ns)
        assert [x.seq for x in desk.messages()] == list(range(6))
        assert board.seqs[:5].tolist() == [UNSENT] * 4 + [0]


def test_no_more_than_asked_is_left_unanswered():
    with desk_of(options={"max_unanswered": 3}) as desk:
        desk.board.gauges[IS_SENDING] = 0
        desk.send_due(5)
        assert len(desk.messages()) == 3
        desk.answer(output(0, 0))
        loop.flush(desk.board, 0)
        assert [x.seq for x in desk.messages()] == [3]


def test_a_closed_loop_sends_the_next_when_one_is_answered():
    with desk_of(n_sessions=2) as desk:
        loop.start_closed(desk.board, 2)
        assert len(desk.messages()) == 4
        desk.answer(output(1, 0))
        loop.flush(desk.board, 0)
        assert [(x.handle, x.seq) for x in desk.messages()] == [(1, 2)]
        assert desk.board.gauges[N_CODES] == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"n_connections": 2},
        {"batch": "chunk:x"},
        {"batch": "chunk"},
        {"batch": "rows"},
        {"hz": 0.0},
        {"dialect": "raw", "n_sessions": 2},
    ],
)
def test_what_cannot_be_run_is_refused(fields):
    with pytest.raises(LoadError, match="expected"):
        Load(**fields)


def test_a_message_fits_its_buffers_however_many_connections_there_are():
    for n_connections in (1, 128, 3000, 16384):
        for packet_bytes in (300, 40_000, 1 << 20):
            assert buffer_size(n_connections, packet_bytes) >= 4 * packet_bytes
    assert 16384 * buffer_size(16384, 300) <= 1 << 28
