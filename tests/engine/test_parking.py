"""A parked session keeps its state, its options and its version of the model, but no slot."""

from __future__ import annotations

import pytest

from streamrnn import Engine, Gaps, Limits
from streamrnn.errors import CapacityError, SessionClosedError, SessionExistsError, UsageError
from tests.laws.nets import random_frames, random_model, same_bits
from tests.laws.test_laws import engine_of

N_BEFORE = 4


@pytest.fixture
def model():
    return random_model("lstm", 3, 5, seed=1)


@pytest.fixture
def xs(model):
    return random_frames(model, 9)


def test_a_parked_session_goes_on_with_the_same_bits(model, xs):
    engine = engine_of(model)
    session = engine.open("m", "s", max_queue_frames=7, overload="drop_oldest")
    session.epoch = 3
    session.run(xs[:N_BEFORE])
    parked = engine.park(session)
    assert session.closed and engine.n_sessions == 0
    woken = engine.wake(parked)
    assert (woken.id, woken.next_seq, woken.epoch) == ("s", N_BEFORE, 3)
    assert (woken.max_queue_frames, woken.overload) == (7, "drop_oldest")
    assert same_bits(woken.run(xs[N_BEFORE:]), engine_of(model).open("m").run(xs)[N_BEFORE:])


def test_a_gap_policy_is_parked_too(model, xs):
    engine = engine_of(model)
    gaps = Gaps("linear", period_us=1000)
    sessions = [engine.open("m", gaps=gaps) for _ in range(2)]
    for session in sessions:
        session.run(xs[:N_BEFORE], 0)
    woken = engine.wake(engine.park(sessions[1]))
    late_us = 1000 * (N_BEFORE + 3)
    assert same_bits(woken.step(xs[N_BEFORE], time_us=late_us), sessions[0].step(xs[N_BEFORE], time_us=late_us))
    assert woken.last_filled == 3


def test_its_slot_is_free_and_waking_needs_one(model, xs):
    engine = Engine(Limits(max_sessions=1))
    engine.add_model("m", model)
    first = engine.open("m", "first")
    first.run(xs[:N_BEFORE])
    parked = engine.park(first)
    second = engine.open("m")
    with pytest.raises(CapacityError):
        engine.wake(parked)
    second.close()
    woken = engine.wake(parked)
    assert same_bits(woken.run(xs[N_BEFORE:]), engine_of(model).open("m").run(xs)[N_BEFORE:])


def test_its_version_stays_until_it_wakes_or_is_let_go(model, xs):
    newer = random_model("lstm", 3, 5, seed=2)
    engine = engine_of(model)
    sessions = [engine.open("m") for _ in range(2)]
    for session in sessions:
        session.run(xs[:N_BEFORE])
    one, other = (engine.park(session) for session in sessions)
    engine.replace_model("m", newer)
    assert engine.versions("m") == [(model, 0), (newer, 0)]
    woken = engine.wake(one)
    assert woken.model is model
    assert same_bits(woken.run(xs[N_BEFORE:]), engine_of(model).open("m").run(xs)[N_BEFORE:])
    woken.close()
    assert engine.versions("m") == [(model, 0), (newer, 0)], "the other one may still wake"
    engine.let_go(other)
    assert engine.versions("m") == [(newer, 0)]


def test_what_cannot_be_parked_or_woken_is_as_before(model, xs):
    engine = engine_of(model)
    session = engine.open("m", "s")
    engine.push(session, 0, xs[0])
    with pytest.raises(UsageError, match="1 frames waiting"):
        engine.park(session)
    engine.tick()
    parked = engine.park(session)
    with pytest.raises(SessionClosedError):
        engine.park(session)
    engine.open("m", "s")
    with pytest.raises(SessionExistsError):
        engine.wake(parked)
    engine.session("s").close()
    assert engine.wake(parked).next_seq == 1
