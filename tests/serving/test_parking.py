"""A silent session gives its slot away and comes back with the next frame as if it had never been gone."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from streamrnn.limits import Limits
from streamrnn.stores import MemoryStore
from streamrnn.wire import messages as m
from tests.serving.house import House, frame, offline, random_frames, values
from tests.serving.small_models import lstm_model


def limits(**changed):
    merged = {"max_sessions": 4, "max_queue_frames": 32, "park_ms": 1000, "expire_ms": 5000} | changed
    return Limits(**merged)


def house(store=None, **changed):
    options = {name: changed.pop(name) for name in ("on_turn",) if name in changed}
    return House(store, limits(**changed), **options)


def test_after_silence_a_session_is_parked_and_told():
    home = house()
    caller = home.caller()
    caller.open(1, session_id="s")
    home.wait(999)
    assert caller.heard() == []
    home.wait(1)
    assert caller.heard() == [m.Event(1, "parked", 0)]
    assert (home.hub.engine.n_sessions, home.hub.n_sessions, home.hub.roster.n_parked) == (0, 1, 1)


def test_one_that_sends_frames_is_not_parked():
    home = house()
    caller = home.caller()
    caller.open(1)
    xs = random_frames(20)
    for i in range(20):
        home.wait(900)
        caller.say(frame(1, i, xs[i : i + 1]))
        assert [type(reply) for reply in caller.ticked()] == [m.Output]
    home.wait(999)
    assert caller.heard() == []
    home.wait(1)
    assert caller.heard() == [m.Event(1, "parked", 20)]


def test_frames_that_wait_are_no_silence():
    home = house()
    caller = home.caller()
    caller.open(1)
    caller.say(frame(1, 0, random_frames(3)))
    home.wait(10_000)
    assert caller.heard() == [] and home.hub.n_pending == 3
    caller.ticked()
    home.wait(1)
    assert caller.heard() == [m.Event(1, "parked", 3)]


def test_it_comes_back_with_the_next_frame_and_the_same_bits():
    home = house()
    caller = home.caller()
    caller.open(1)
    xs = random_frames(12)
    heard = []
    for i in range(0, 12, 3):
        heard += caller.say(frame(1, i, xs[i : i + 3])) + caller.ticked()
        home.wait(1000)
        heard += caller.heard()
    np.testing.assert_array_equal(values(heard, 1, 2), offline("lstm", xs))
    events = [(reply.name, reply.next_seq) for reply in heard if isinstance(reply, m.Event)]
    assert events == [
        ("parked", 3),
        ("live", 3),
        ("parked", 6),
        ("live", 6),
        ("parked", 9),
        ("live", 9),
        ("parked", 12),
    ]


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (m.Reset(1), m.Ack(1, "reset", 2)),
        (m.Snapshot(1), m.Snapshotted),
        (m.Fork(1, 2), m.Opened),
    ],
    ids=["reset", "snapshot", "fork"],
)
def test_what_needs_the_state_wakes_it(message, answer):
    home = house()
    caller = home.caller()
    caller.open(1)
    caller.say(frame(1, 0, random_frames(3)))
    caller.ticked()
    home.wait(1000)
    caller.heard()
    live, reply = caller.say(message)
    assert live == m.Event(1, "live", 3)
    assert reply == answer or isinstance(reply, answer)


@pytest.mark.parametrize(
    ("message", "reply"), [(m.Flush(1), m.Ack(1, "flush", 2)), (m.Close(1), m.Closed(1, "closed", 3))]
)
def test_what_does_not_need_the_state_lets_it_lie(message, reply):
    home = house()
    caller = home.caller()
    caller.open(1)
    caller.say(frame(1, 0, random_frames(3)))
    caller.ticked()
    home.wait(1000)
    caller.heard()
    assert caller.say(message) == [reply]
    assert home.hub.engine.n_sessions == 0


def test_a_session_that_was_parked_too_long_expires_and_the_client_is_told():
    home = house()
    caller = home.caller()
    caller.open(1, session_id="s")
    home.wait(1000)
    home.wait(4999)
    assert caller.heard() == [m.Event(1, "parked", 0)]
    home.wait(1)
    assert caller.heard() == [m.Closed(1, "expired", 0)]
    assert (home.hub.n_sessions, home.hub.roster.n_parked, home.hub.next_deadline_ns()) == (0, 0, None)
    assert [reply.code for reply in caller.say(m.Flush(1))] == ["unknown_session"]
    assert not caller.open(1, session_id="s").resumed


def test_a_client_may_choose_shorter_times_and_no_longer_ones():
    home = house()
    caller = home.caller()
    short = caller.open(1, park_ms=10, expire_ms=20)
    long = caller.open(2, park_ms=10**9, expire_ms=10**9)
    none = caller.open(3, park_ms=0, expire_ms=0)
    assert [(o.park_ms, o.expire_ms) for o in (short, long, none)] == [(10, 20), (1000, 5000), (1000, 5000)]
    home.wait(10)
    assert caller.heard() == [m.Event(1, "parked", 0)]
    home.wait(20)
    assert caller.heard() == [m.Closed(1, "expired", 0)]


def test_with_a_store_the_longest_time_parked_is_that_of_the_store():
    home = house(MemoryStore(), expire_stored_ms=70_000)
    assert home.caller().open(1).expire_ms == 70_000


def test_a_session_that_expires_is_forgotten_in_the_store_too():
    store = MemoryStore()
    home = house(store, expire_stored_ms=2000)
    caller = home.caller()
    caller.say(m.Open(1, "lstm", "s"))
    home.keep()
    caller.say(frame(1, 0, random_frames(1)))
    caller.ticked()
    home.wait(1000)
    assert store.session_ids() == ["s"]
    home.wait(2000)
    assert store.session_ids() == []
    assert caller.heard()[-1] == m.Closed(1, "expired", 1)


def test_parked_sessions_hold_no_slot():
    home = house(expire_ms=100_000)
    caller = home.caller()
    xs = random_frames(2)
    for handle in range(12):
        caller.open(handle)
        caller.say(frame(handle, 0, xs[:1]))
        caller.ticked()
        home.wait(1000)
        assert caller.heard() == [m.Event(handle, "parked", 1)]
    assert (home.hub.n_sessions, home.hub.roster.n_parked, home.hub.engine.n_sessions) == (12, 12, 0)


def test_where_no_slot_is_free_a_parked_session_stays_and_loses_nothing():
    home = house(expire_ms=100_000)
    caller = home.caller()
    xs = random_frames(6)
    caller.open(1)
    caller.say(frame(1, 0, xs[:3]))
    heard = caller.ticked()
    home.wait(1000)
    heard += caller.heard()
    for handle in range(2, 6):
        caller.open(handle)
    for _ in range(3):
        (reply,) = caller.say(frame(1, 3, xs[3:]))
        assert (reply.code, reply.retryable, reply.of, reply.handle, reply.seq) == ("at_capacity", True, "frame", 1, 3)
    (reply,) = caller.say(m.Frames([1], [3], xs[3:4].tobytes()))
    assert (reply.code, reply.of, reply.handle, reply.seq) == ("at_capacity", "frames", 1, 3)
    assert home.hub.roster.n_parked == 1 and home.hub.n_pending == 0
    assert caller.say(m.Close(2)) == [m.Closed(2, "closed", 0)]
    caller.say(frame(1, 3, xs[3:]))
    np.testing.assert_array_equal(values(heard + caller.ticked(), 1, 2), offline("lstm", xs))


def test_where_too_many_are_parked_the_longest_parked_expire():
    home = house(max_parked_sessions=2)
    caller = home.caller()
    for handle in range(4):
        caller.open(handle)
        home.wait(1)
    home.wait(997)
    assert caller.heard() == [m.Event(0, "parked", 0), m.Event(1, "parked", 0)]
    home.wait(1)
    assert caller.heard() == [m.Event(2, "parked", 0), m.Closed(0, "expired", 0)]
    home.wait(1)
    assert caller.heard() == [m.Event(3, "parked", 0), m.Closed(1, "expired", 0)]


def test_where_too_much_is_parked_the_longest_parked_go():
    home = house(max_parked_bytes=6000)
    caller = home.caller()
    for handle in range(4):
        caller.open(handle)
        home.wait(1)
    home.wait(997)
    assert caller.heard() == [m.Event(0, "parked", 0), m.Event(1, "parked", 0)]
    home.wait(1)
    assert caller.heard() == [m.Event(2, "parked", 0), m.Closed(0, "expired", 0)]
    home.wait(1)
    assert caller.heard() == [m.Event(3, "parked", 0), m.Closed(1, "expired", 0)]


def test_where_too_many_are_parked_the_store_keeps_what_it_has():
    store = MemoryStore()
    home = house(store, max_parked_sessions=1)
    xs = random_frames(2)
    token = {}
    for name in ("a", "b"):
        caller = home.caller()
        caller.say(m.Open(1, "lstm", name))
        home.keep()
        token[name] = caller.heard()[0].resume_token
        caller.say(frame(1, 0, xs[:1]))
        caller.ticked()
        home.save()
        caller.vanish()
        home.save()
    assert (home.hub.n_sessions, store.session_ids()) == (1, ["a", "b"])
    back = home.caller()
    back.say(m.Open(1, "lstm", "a", token["a"], 0))
    home.keep()
    opened = back.heard()[0]
    assert (opened.resumed, opened.next_seq) == (True, 1)


def test_an_older_checkpoint_of_one_that_had_to_go_is_not_forgotten():
    """The client has kept its frames since then, and needs no more than that."""
    store = MemoryStore()
    home = house(store, max_parked_sessions=1)
    xs = random_frames(3)
    caller, other = home.caller(), home.caller()
    caller.say(m.Open(1, "lstm", "a"))
    home.keep()
    token = caller.heard()[0].resume_token
    caller.say(frame(1, 0, xs[:2]))
    caller.ticked()
    home.save()
    caller.say(frame(1, 2, xs[2:]))
    caller.ticked()
    other.open(1)
    caller.vanish()
    other.vanish()
    home.keep()
    assert home.hub.roster.find("a") is None
    back = home.caller()
    back.say(m.Open(1, "lstm", "a", token, 2))
    home.keep()
    opened = back.heard()[0]
    assert (opened.resumed, opened.next_seq, opened.durable_seq) == (True, 2, 1)


def test_every_turn_is_told_to_the_operator():
    told = []
    home = house(on_turn=lambda *turn: told.append(turn))
    caller = home.caller()
    caller.open(1, session_id="s")
    xs = random_frames(2)
    caller.say(frame(1, 0, xs[:1]))
    caller.ticked()
    home.wait(1000)
    caller.say(frame(1, 1, xs[1:]))
    caller.ticked()
    home.wait(1000)
    home.wait(5000)
    assert told == [
        ("s", "open", "live"),
        ("s", "live", "parked"),
        ("s", "parked", "live"),
        ("s", "live", "parked"),
        ("s", "parked", "expired"),
    ]
    assert home.hub.tally.turns == {"open": 1, "live": 2, "parked": 2, "expired": 1}


def test_a_hook_that_raises_is_logged_and_nothing_else_happens(caplog):
    def broken(session_id, before, after):
        raise ZeroDivisionError

    caplog.set_level(logging.ERROR)
    home = house(on_turn=broken)
    caller = home.caller()
    caller.open(1)
    xs = random_frames(4)
    caller.say(frame(1, 0, xs[:2]))
    heard = caller.ticked()
    home.wait(1000)
    caller.say(frame(1, 2, xs[2:]))
    heard += caller.ticked()
    np.testing.assert_array_equal(values(heard, 1, 2), offline("lstm", xs))
    assert caplog.text.count("ZeroDivisionError") >= 3
    assert caller.say(m.Close(1)) == [m.Closed(1, "closed", 4)]


def test_a_parked_session_comes_back_on_the_version_that_it_had():
    home = house()
    caller = home.caller()
    xs = random_frames(5)
    caller.open(1)
    caller.say(frame(1, 0, xs[:2]))
    heard = caller.ticked()
    home.wait(1000)
    home.hub.engine.replace_model("lstm", lstm_model(seed=99))
    caller.say(frame(1, 2, xs[2:]))
    np.testing.assert_array_equal(values(heard + caller.ticked(), 1, 2), offline("lstm", xs))
    home.wait(1000)
    caller.say(m.Close(1))
    assert len(home.hub.engine.versions("lstm")) == 1, "the old version goes with its last session"


def test_a_deadline_is_told_before_it_comes():
    home = house()
    assert home.hub.next_deadline_ns() is None
    caller = home.caller()
    caller.open(1)
    assert home.hub.next_deadline_ns() == 1_000_000_000
    home.wait(1000)
    assert home.hub.next_deadline_ns() == 6_000_000_000
