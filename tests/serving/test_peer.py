"""One connection's dialogue: every message, every refusal, and what each of them leaves untouched."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from streamrnn.errors import OptionError
from streamrnn.limits import Limits
from streamrnn.wire import messages as m
from tests.serving.house import MODELS, Caller, frame, make_hub, offline, random_frames, values


@pytest.fixture
def caller():
    return Caller(make_hub())


def test_open_tells_what_the_client_needs(caller):
    reply = caller.open(5, "lstm", "s-1")
    assert reply == m.Opened(
        5,
        "s-1",
        "lstm",
        MODELS["lstm"].digest,
        0,
        False,
        m.Port(3, names=("in0", "in1", "in2")),
        m.Port(2),
        ("a", "b"),
        32,
        "token-" + "1".zfill(37),
        False,
        -1,
        60_000,
        120_000,
    )
    assert caller.open(6, "token").input == m.Port(1, "token", 7)


def test_frames_are_answered_in_order(caller):
    caller.open(1)
    xs = random_frames(9)
    assert caller.say(frame(1, 0, xs[:1]), frame(1, 1, xs[1:6]), frame(1, 6, xs[6:])) == []
    np.testing.assert_array_equal(values(caller.ticked(), 1, 2), offline("lstm", xs))


def test_outputs_of_one_session_leave_as_one_message(caller):
    caller.open(1)
    xs = random_frames(20)
    caller.say(frame(1, 0, xs))
    replies = caller.ticked()  # three ticks of at most 8 frames, taken at once
    assert [(reply.seq, reply.n) for reply in replies] == [(0, 20)]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (m.Frame(1, 3, b"", 1), "bad_frame"),
        (m.Frame(1, 3, b"\0" * 11, 1), "bad_frame"),
        (m.Frame(1, 3, b"\0" * 8, 1), "bad_frame"),
        (m.Frame(1, 3, b"\0" * 24, 1), "bad_frame"),
        (m.Frame(1, 3, b"\0" * 12, 2), "bad_frame"),
        (m.Frame(1, 3, np.array([1, np.nan, 1], np.float32).tobytes()), "bad_frame"),
        (m.Frame(1, 3, np.array([1, 1, 1, -np.inf, 0, 0], np.float32).tobytes(), 2), "bad_frame"),
        (m.Frame(1, 4, b"\0" * 12), "bad_seq"),
        (m.Frame(1, 3, b"\0" * 12 * 33, 33), "queue_full"),
    ],
)
def test_a_refused_frame_changes_nothing(caller, bad, code):
    caller.open(1)
    caller.open(2)
    xs, others = random_frames(6), random_frames(4, seed=9)
    caller.say(frame(1, 0, xs[:3]), frame(2, 0, others))
    before = caller.ticked()
    (reply,) = caller.say(bad)
    assert (reply.code, reply.scope, reply.of, reply.handle, reply.seq) == (code, "frame", "frame", 1, bad.seq)
    assert reply.expected_seq == (3 if code == "bad_seq" else None)
    assert reply.retryable == (code == "queue_full")
    caller.say(frame(1, 3, xs[3:]))
    replies = before + caller.ticked()
    np.testing.assert_array_equal(values(replies, 1, 2), offline("lstm", xs))
    np.testing.assert_array_equal(values(replies, 2, 2), offline("lstm", others))


@pytest.mark.parametrize("token", [-1.0, 7.0, 0.5, float("nan"), 1e30])
def test_a_token_out_of_range(caller, token):
    caller.open(1, "token")
    (reply,) = caller.say(frame(1, 0, np.array([[token]], np.float32)))
    assert (reply.code, reply.scope) == ("bad_frame", "frame")
    assert caller.say(frame(1, 0, np.array([[6.0]], np.float32))) == []
    assert [reply.seq for reply in caller.ticked()] == [0]


def test_what_was_pipelined_behind_a_refused_frame_names_the_expected_seq(caller):
    caller.open(1)
    xs = random_frames(4)
    bad = xs[1:2] * np.float32("nan")
    replies = caller.say(frame(1, 0, xs[:1]), frame(1, 1, bad), frame(1, 2, xs[2:3]), frame(1, 3, xs[3:]))
    assert [(reply.code, reply.seq, reply.expected_seq) for reply in replies] == [
        ("bad_frame", 1, None),
        ("bad_seq", 2, 1),
        ("bad_seq", 3, 1),
    ]
    caller.say(frame(1, 1, xs[1:]))
    np.testing.assert_array_equal(values(caller.ticked(), 1, 2), offline("lstm", xs))


def test_a_full_queue_takes_more_once_it_is_empty(caller):
    caller.open(1)
    xs = random_frames(40)
    (reply,) = caller.say(frame(1, 0, xs[:30]), frame(1, 30, xs[30:]))
    assert (reply.code, reply.retryable) == ("queue_full", True)
    replies = caller.ticked()
    caller.say(frame(1, 30, xs[30:]))
    np.testing.assert_array_equal(values(replies + caller.ticked(), 1, 2), offline("lstm", xs))


def test_columns_stand_each_alone(caller):
    for handle in (1, 2):
        caller.open(handle)
    caller.open(3, "token")
    xs = random_frames(6)
    table = np.stack([xs[0], xs[0], xs[0], xs[0] * np.nan, xs[1], xs[2]]).astype(np.float32)
    replies = caller.say(m.Frames([1, 9, 3, 2, 2, 1], [0, 0, 0, 0, 1, 1], table.tobytes()))
    assert [(r.code, r.of, r.handle, r.seq) for r in replies] == [
        ("unknown_session", "frames", 9, 0),
        ("bad_frame", "frames", 3, 0),
        ("bad_frame", "frames", 2, 0),
        ("bad_seq", "frames", 2, 1),
    ]
    expected = offline("lstm", np.stack([xs[0], xs[2]]))
    np.testing.assert_array_equal(values(caller.ticked(), 1, 2), expected)
    caller.say(frame(2, 0, xs[:1]))
    np.testing.assert_array_equal(values(caller.ticked(), 2, 2), offline("lstm", xs[:1]))


def test_columns_are_answered_in_columns(caller):
    for handle in (1, 2, 3):
        caller.open(handle)
    xs = random_frames(3)
    caller.say(m.Frames([1, 2, 3], [0, 0, 0], xs.tobytes()))
    (reply,) = caller.ticked()
    assert isinstance(reply, m.Outputs) and reply.handles == [1, 2, 3] and reply.seqs == [0, 0, 0]
    for i in range(3):
        np.testing.assert_array_equal(values([reply], i + 1, 2), offline("lstm", xs[i : i + 1]))


def test_one_who_never_sent_columns_gets_none(caller):
    for handle in (1, 2):
        caller.open(handle)
    xs = random_frames(1)
    caller.say(frame(1, 0, xs), frame(2, 0, xs))
    assert [type(reply) for reply in caller.ticked()] == [m.Output, m.Output]


def test_columns_of_an_uneven_payload(caller):
    caller.open(1)
    (reply,) = caller.say(m.Frames([1, 1], [0, 1], b"\0" * 25))
    assert (reply.code, reply.scope, reply.of, reply.handle) == ("bad_frame", "frame", "frames", None)
    assert caller.hub.n_pending == 0


def test_reset_comes_after_the_frames_before_it(caller):
    caller.open(1)
    xs = random_frames(6)
    replies = caller.say(frame(1, 0, xs[:4]), m.Reset(1), frame(1, 4, xs[4:]))
    assert replies[-1] == m.Ack(1, "reset", 3)
    ys = values(replies + caller.ticked(), 1, 2)
    np.testing.assert_array_equal(ys[:4], offline("lstm", xs[:4]))
    np.testing.assert_array_equal(ys[4:], offline("lstm", xs[4:]))


def test_flush_answers_all_that_was_sent(caller):
    caller.open(1)
    assert caller.say(m.Flush(1)) == [m.Ack(1, "flush", -1)]
    replies = caller.say(frame(1, 0, random_frames(12)), m.Flush(1))
    assert len(values(replies, 1, 2)) == 12
    assert replies[-1] == m.Ack(1, "flush", 11)


def test_snapshot_and_restore(caller):
    caller.open(1, "gru", "first")
    xs = random_frames(10)
    taken = caller.say(frame(1, 0, xs[:5]), m.Snapshot(1))[-1]
    assert isinstance(taken, m.Snapshotted) and taken.next_seq == 5
    other = Caller(make_hub())
    (reply,) = other.say(m.Restore(7, taken.payload, "second"))
    assert (reply.handle, reply.session_id, reply.model, reply.next_seq, reply.resumed) == (7, "second", "gru", 5, True)
    other.say(frame(7, 5, xs[5:]))
    np.testing.assert_array_equal(values(other.ticked(), 7, 5, first_seq=5), offline("gru", xs)[5:])


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
def test_a_damaged_snapshot_restores_nothing(caller, cut):
    caller.open(1)
    taken = caller.say(frame(1, 0, random_frames(2)), m.Snapshot(1))[-1]
    (reply,) = caller.say(m.Restore(2, taken.payload[:cut]))
    assert (reply.code, reply.scope, reply.of, reply.handle) == ("bad_snapshot", "session", "restore", 2)
    assert caller.hub.n_sessions == 1
    caller.open(2)


def test_a_fork_goes_its_own_way(caller):
    caller.open(1)
    xs, other = random_frames(8), random_frames(3, seed=4)
    replies = caller.say(frame(1, 0, xs[:5]), m.Fork(1, 2, "twin"))
    assert (replies[-1].handle, replies[-1].session_id, replies[-1].next_seq) == (2, "twin", 5)
    caller.say(frame(1, 5, xs[5:]), frame(2, 5, other))
    after = caller.ticked()
    np.testing.assert_array_equal(values(after, 1, 2, 5), offline("lstm", xs)[5:])
    np.testing.assert_array_equal(values(after, 2, 2, 5), offline("lstm", np.concatenate([xs[:5], other]))[5:])


def test_close_answers_what_was_sent_and_frees_the_handle(caller):
    caller.open(1, session_id="same")
    replies = caller.say(frame(1, 0, random_frames(3)), m.Close(1))
    assert len(values(replies, 1, 2)) == 3
    assert replies[-1] == m.Closed(1, "closed", 3)
    assert caller.open(1, session_id="same").next_seq == 0


LIVE = [
    m.Frame(9, 0, b"\0" * 12),
    m.Reset(9),
    m.Flush(9),
    m.Snapshot(9),
    m.Rollback(9, b""),
    m.Fork(9, 10),
    m.Close(9),
]


@pytest.mark.parametrize("message", LIVE, ids=lambda message: str(message.__struct_config__.tag))
def test_a_free_handle_is_no_session(caller, message):
    (reply,) = caller.say(message)
    told = message.new_handle if isinstance(message, m.Fork) else 9
    assert (reply.code, reply.scope, reply.handle) == ("unknown_session", "session", told)
    assert reply.of == message.__struct_config__.tag


def test_a_live_handle_cannot_be_opened_again(caller):
    caller.open(1)
    caller.open(2)
    taken = caller.say(m.Snapshot(1))[-1]
    for message in (m.Open(1, "gru"), m.Restore(1, taken.payload), m.Fork(2, 1), m.Fork(1, 1)):
        (reply,) = caller.say(message)
        told = message.new_handle if isinstance(message, m.Fork) else message.handle
        assert (reply.code, reply.scope, reply.handle) == ("session_exists", "session", told)
    assert caller.hub.n_sessions == 2


def test_a_session_id_is_taken_for_all_connections(caller):
    caller.open(1, session_id="s")
    other = Caller(caller.hub)
    (reply,) = other.say(m.Open(1, "lstm", "s"))
    assert (reply.code, reply.of) == ("session_exists", "open")
    assert caller.say(m.Flush(1)) == [m.Ack(1, "flush", -1)]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (m.Open(1, "nothing"), "unknown_model"),
        (m.Open(1, ""), "bad_option"),
        (m.Open(1, "x" * 129), "bad_option"),
        (m.Open(1, "lstm", ""), "bad_option"),
        (m.Open(1, "lstm", "x" * 129), "bad_option"),
        (m.Restore(1, b"", "x" * 129), "bad_option"),
    ],
)
def test_a_refused_open_leaves_the_handle_free(caller, message, code):
    (reply,) = caller.say(message)
    assert (reply.code, reply.scope, reply.handle) == (code, "session", 1)
    caller.open(1)


def test_no_slot_is_left():
    caller = Caller(make_hub(Limits(max_sessions=2)))
    caller.open(1)
    caller.open(2)
    (reply,) = caller.say(m.Open(3, "lstm"))
    assert (reply.code, reply.scope, reply.retryable) == ("at_capacity", "session", True)
    caller.say(m.Close(1))
    caller.open(3)


def test_too_many_sessions_on_one_connection():
    hub = make_hub(Limits(max_sessions=8, max_sessions_per_connection=2))
    caller = Caller(hub)
    caller.open(1)
    caller.open(2)
    for message in (m.Open(3, "lstm"), m.Fork(1, 3)):
        assert [reply.code for reply in caller.say(message)] == ["at_capacity"]
    Caller(hub).open(1)


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"{}", b"\x91" * 5000])
def test_what_is_no_message_ends_the_connection_and_no_other(caller, payload):
    caller.open(1)
    other = Caller(caller.hub)
    other.open(1)
    caller.peer.receive(payload, False, 0)
    (reply,) = caller.heard()
    assert (reply.code, reply.scope) == ("malformed", "connection")
    assert caller.peer.close_code == 1007
    assert (caller.hub.n_sessions, caller.hub.roster.n_parked) == (2, 1), "it can be resumed"
    assert caller.say(m.Flush(1)) == []
    assert other.say(m.Flush(1)) == [m.Ack(1, "flush", -1)]


def test_text_where_binary_is_due(caller):
    caller.peer.receive(caller.codec.encode(m.Open(1, "lstm")), True, 0)
    assert [reply.code for reply in caller.heard()] == ["malformed"]
    assert caller.peer.close_code == 1003


def test_a_session_closed_underneath_is_told(caller):
    caller.open(1, session_id="s")
    caller.hub.engine.session("s").close()
    error, closed = caller.say(frame(1, 0, random_frames(1)))
    assert (error.code, error.scope, error.handle) == ("session_closed", "session", 1)
    assert closed == m.Closed(1, "error", 0)
    caller.open(1, session_id="s")


@pytest.mark.parametrize("columnar", [False, True])
def test_a_bug_ends_the_session_that_met_it_and_is_not_shown(caller, monkeypatch, caplog, columnar):
    caller.open(1)
    caller.open(2)

    def broken(*args, **kwargs):
        raise ZeroDivisionError("a secret")

    with monkeypatch.context() as patch, caplog.at_level(logging.CRITICAL):
        patch.setattr(caller.hub.engine, "push", broken)
        xs = random_frames(1)
        replies = caller.say(m.Frames([1], [0], xs.tobytes()) if columnar else frame(1, 0, xs))
    error, closed = replies
    assert (error.code, error.scope, error.handle) == ("internal", "session", 1)
    assert "secret" not in error.message
    assert closed == m.Closed(1, "error", 0)
    assert caller.say(m.Flush(2)) == [m.Ack(2, "flush", -1)]


def test_a_bug_is_logged(caller, monkeypatch, caplog):
    monkeypatch.setattr(caller.hub.engine, "open", lambda *args, **kwargs: 1 / 0)
    (reply,) = caller.say(m.Open(1, "lstm"))
    assert (reply.code, reply.scope) == ("internal", "session")
    assert "ZeroDivisionError" in caplog.text


def test_errors_are_counted(caller):
    caller.say(m.Open(1, "nothing"), m.Close(1), m.Close(1))
    assert caller.hub.tally.errors == {"unknown_model": 1, "unknown_session": 2}


def test_an_error_of_our_own_is_never_raised_to_the_shell(caller, monkeypatch):
    def broken(payload, is_text):
        raise OptionError("not a peer error")

    monkeypatch.setattr(type(caller.peer.codec), "decode", lambda self, payload, is_text: broken(payload, is_text))
    caller.peer.receive(b"", False, 0)
    monkeypatch.undo()
    (reply,) = caller.heard()
    assert (reply.code, reply.scope) == ("internal", "connection")
    assert caller.peer.close_code == 1011
