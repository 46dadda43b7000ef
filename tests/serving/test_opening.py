"""While the store is asked for a session, what its client sends is held, and everything else goes on."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn.limits import Limits
from streamrnn.stores import MemoryStore
from streamrnn.wire import messages as m
from streamrnn.wire.codec import JSON, MSGPACK
from tests.serving.desk import DOWN, LIMITS, XS, YS, Desk, crash_and_start, opened_in, resume
from tests.serving.house import House, frame, offline, values


def waiting(protocol=MSGPACK):
    """A client that has asked for a stored session of 4 frames, and the errand that will tell."""
    desk = Desk(MemoryStore())
    desk.feed(4)
    desk.house.save()
    token = desk.token
    crash_and_start(desk)
    desk.caller = desk.house.caller(protocol)
    desk.token = token
    assert resume(desk.caller, token, 3) == []
    (errand,) = desk.house.hub.errands
    desk.house.take()
    return desk, errand


def tell(desk, errand):
    errand.then(*desk.house.run(errand), 0)
    return desk.caller.heard()


@pytest.mark.parametrize("protocol", [MSGPACK, JSON])
def test_what_is_sent_behind_an_open_is_held_and_taken_in_order(protocol):
    desk, errand = waiting(protocol)
    said = [frame(1, 4, XS[4:6]), frame(1, 6, XS[6:7]), m.Reset(1), frame(1, 7, XS[:3]), m.Flush(1), m.Close(1)]
    assert desk.caller.say(*said) == []
    replies = tell(desk, errand)
    assert [type(reply).__name__ for reply in replies] == ["Opened", "Output", "Ack", "Output", "Ack", "Closed"]
    ys = values(replies, 1, 2, first_seq=4)
    np.testing.assert_array_equal(ys[:3], YS[4:7])
    np.testing.assert_array_equal(ys[3:], offline("lstm", XS[:3]))
    assert replies[-1] == m.Closed(1, "closed", 10)


def test_columns_are_held_for_the_session_concerned_and_for_no_other():
    desk, errand = waiting()
    desk.caller.open(2)
    rows = np.concatenate([XS[4:5], XS[:1], XS[5:6], XS[1:2]])
    assert desk.caller.say(m.Frames([1, 2, 1, 2], [4, 0, 5, 1], rows.tobytes())) == []
    np.testing.assert_array_equal(values(desk.caller.ticked(), 2, 2), YS[:2])
    tell(desk, errand)
    np.testing.assert_array_equal(values(desk.caller.ticked(), 1, 2, first_seq=4), YS[4:6])


def test_an_entry_of_columns_that_was_held_and_is_refused_is_named_as_such():
    desk, errand = waiting()
    bad = np.stack([XS[4], XS[5] * np.float32("nan")])
    desk.caller.say(m.Frames([1, 1], [4, 5], bad.tobytes()))
    _, error = tell(desk, errand)
    assert (error.code, error.of, error.handle, error.seq) == ("bad_frame", "frames", 1, 5)


def test_columns_of_an_uneven_payload_are_refused_at_once():
    desk, errand = waiting()
    (reply,) = desk.caller.say(m.Frames([1, 1], [4, 5], b"\0" * 25))
    assert (reply.code, reply.of, reply.handle) == ("bad_frame", "frames", None)
    assert [type(reply) for reply in tell(desk, errand)] == [m.Opened]


def test_what_was_held_is_refused_where_the_open_is():
    desk, errand = waiting()
    desk.caller.say(frame(1, 4, XS[4:6]), m.Flush(1))
    desk.house.is_down = DOWN
    replies = tell(desk, errand)
    assert [(reply.code, reply.of) for reply in replies] == [
        ("store_failed", "open"),
        ("unknown_session", "frame"),
        ("unknown_session", "flush"),
    ]


def test_the_handle_is_in_use_while_the_store_is_asked():
    desk, errand = waiting()
    desk.caller.open(2)
    taken = desk.caller.say(m.Snapshot(2))[-1]
    (reply,) = desk.caller.say(m.Fork(2, 1))
    assert reply.code == "session_exists"
    assert desk.caller.say(m.Open(1, "lstm"), m.Restore(1, taken.payload)) == []
    replies = tell(desk, errand)
    assert [type(reply) for reply in replies] == [m.Opened, m.Error, m.Error]
    assert [reply.code for reply in replies[1:]] == ["session_exists"] * 2


def test_an_open_that_waits_counts_among_the_sessions_of_its_connection():
    house = House(MemoryStore(), Limits(max_sessions=8, max_sessions_per_connection=2))
    caller = house.caller()
    caller.open(1)
    caller.say(m.Open(2, "lstm", "s"))
    assert [reply.code for reply in caller.say(m.Open(3, "lstm"))] == ["at_capacity"]


def test_a_connection_that_is_gone_meanwhile_leaves_no_session_behind():
    desk, errand = waiting()
    desk.caller.say(frame(1, 4, XS[4:6]))
    desk.caller.vanish()
    assert tell(desk, errand) == []
    assert (desk.house.hub.n_sessions, desk.house.hub.engine.n_sessions, desk.house.hub.n_pending) == (0, 0, 0)
    desk.caller = desk.house.caller()
    resume(desk.caller, desk.token, 3)
    desk.house.keep()
    assert opened_in(desk.caller.heard()).next_seq == 4


def test_a_client_that_is_done_meanwhile_leaves_no_session_behind():
    house = House(MemoryStore(), LIMITS)
    caller = house.caller()
    caller.say(m.Open(1, "lstm", "s"))
    caller.leave()
    house.keep()
    assert house.hub.n_sessions == 0


@pytest.mark.parametrize("is_gone_first", [False, True])
def test_one_that_asked_and_went_does_not_fence_one_that_came_back(is_gone_first):
    """Both have claimed it in the store; the epoch of the later claim is that of the session."""
    desk, first = waiting()
    gone = desk.caller if is_gone_first else desk.house.caller()
    other = desk.house.caller() if is_gone_first else desk.caller
    resume(desk.house.caller(), desk.token)  # a third, whose claim is made and never told
    asked = [first]
    resume(other if is_gone_first else gone, desk.token, 3)
    while desk.house.hub.errands:
        asked.append(desk.house.take())
    told = [(errand, desk.house.run(errand)) for errand in asked]
    gone.vanish()
    for errand, result in told:
        errand.then(*result, 0)
    (holder,) = (peer for peer in desk.house.hub.peers if peer.sessions)
    holder.take()
    desk.house.save()
    desk.house.save()
    assert desk.house.hub.tally.n_fenced == 0
    hosted = desk.house.hub.roster.find("s")
    assert hosted is not None and hosted.epoch == desk.store.load("s").epoch


def test_one_that_asked_and_went_last_does_not_fence_the_holder():
    desk, first = waiting()
    second = desk.house.caller()
    resume(second, desk.token, 3)
    claims = [(errand, desk.house.run(errand)) for errand in (first, desk.house.take())]
    second.vanish()
    for errand, result in claims:
        errand.then(*result, 0)
    assert opened_in(desk.caller.heard()).next_seq == 4
    desk.caller.say(frame(1, 4, XS[4:5]))
    desk.caller.ticked()
    desk.house.save()
    assert desk.house.hub.tally.n_fenced == 0
    assert [reply.durable_seq for reply in desk.caller.heard()] == [4]


def test_a_stop_meanwhile_refuses_the_open():
    desk, errand = waiting()
    desk.house.hub.drain(500)
    assert desk.caller.heard() == [m.GoAway(500)]
    assert desk.caller.peer.close_code is None, "it waits for an answer"
    error, *rest = tell(desk, errand)
    assert (error.code, error.scope, error.retryable, error.handle) == ("draining", "session", True, 1)
    assert not rest and desk.house.hub.n_sessions == 0
    assert desk.caller.peer.close_code == 1001


def test_a_claim_that_comes_back_during_a_stop_does_not_fence_the_holder():
    desk, first = waiting()
    second = desk.house.caller()
    resume(second, desk.token)
    claims = [(errand, desk.house.run(errand)) for errand in (first, desk.house.take())]
    first.then(*claims[0][1], 0)
    desk.caller.say(frame(1, 4, XS[4:6]))
    desk.caller.ticked()
    (claim,) = claims[1:]
    desk.house.hub.drain(500)
    claim[0].then(*claim[1], 0)
    desk.house.hub.settle(0)
    desk.house.keep()
    assert desk.store.load("s").next_seq == 6 and desk.house.hub.tally.n_fenced == 0


def test_a_bug_while_a_session_is_opened_is_answered_and_frees_the_handle(monkeypatch, caplog):
    desk, errand = waiting()
    with monkeypatch.context() as patch:
        patch.setattr(desk.house.hub.engine, "restore", lambda *args, **kwargs: 1 / 0)
        (reply,) = tell(desk, errand)
    assert (reply.code, reply.scope, reply.handle) == ("internal", "session", 1)
    assert "ZeroDivisionError" in caplog.text
    assert not desk.caller.peer.openings


def test_of_two_who_open_the_same_new_id_at_once_one_has_it():
    house = House(MemoryStore(), LIMITS)
    callers = [house.caller(), house.caller()]
    heard = [caller.say(m.Open(1, "lstm", "s")) for caller in callers]
    house.keep()
    replies = [(said + caller.heard())[0] for said, caller in zip(heard, callers, strict=True)]
    assert [type(reply) for reply in replies] == [m.Opened, m.Error]
    assert replies[1].code == "session_exists"


def stored_under(name):
    """A store that keeps a session of that name, saved by a server that is gone."""
    store = MemoryStore()
    house = House(store, LIMITS)
    caller = house.caller()
    caller.say(m.Open(1, "lstm", name))
    house.keep()
    caller.heard()
    caller.say(frame(1, 0, XS[:4]))
    caller.ticked()
    house.save()
    assert store.load(name).next_seq == 4
    return store


@pytest.mark.parametrize("how", ["vanish", "leave"])
def test_who_asks_for_a_name_and_goes_does_not_forget_the_session_that_has_it(how):
    store = stored_under("s")
    house = House(store, LIMITS)
    caller = house.caller()
    caller.say(m.Open(1, "lstm", "s"))
    getattr(caller, how)()
    house.keep()
    assert store.load("s").next_seq == 4
    assert house.hub.n_sessions == 0


def test_who_asks_for_a_free_name_and_goes_leaves_nothing_in_the_store():
    house = House(MemoryStore(), LIMITS)
    caller = house.caller()
    caller.say(m.Open(1, "lstm", "s"))
    caller.vanish()
    house.keep()
    assert (house.store.load("s"), house.hub.n_sessions) == (None, 0)


def test_a_name_that_the_store_cannot_tell_of_is_not_given_away():
    store = stored_under("s")
    house = House(store, LIMITS)
    caller = house.caller()
    house.is_down = DOWN
    caller.say(m.Open(1, "lstm", "s"))
    house.keep()
    (refused,) = caller.heard()
    assert (refused.code, refused.retryable, refused.handle) == ("store_failed", True, 1)
    assert house.hub.n_sessions == 0
    (opened,) = caller.say(m.Open(2, "lstm"))
    assert opened.handle == 2, "one without a name needs no store"
    house.is_down = None
    house.keep()
    assert store.load("s").next_seq == 4
