"""Sessions of an engine outlive it in a store: the same bits go on, and an owner of before is fenced."""

from __future__ import annotations

import pytest

from streamrnn.stores import Stored
from tests.laws.nets import random_frames, random_model, same_bits
from tests.laws.test_laws import engine_of


@pytest.fixture(scope="module")
def model():
    return random_model("lstm", 3, 5)


@pytest.fixture
def engine(model):
    return engine_of(model)


def record_of(session):
    return Stored(session.id, session.epoch, session.next_seq, session.snapshot())


def restart(model, store, session_id):
    """The session in a new engine, which is its owner from here on."""
    claimed = store.claim(session_id, 0.0)
    session = engine_of(model).restore(claimed.snapshot)
    session.epoch = claimed.epoch
    assert (session.id, session.next_seq) == (claimed.session_id, claimed.next_seq)
    return session


def test_sessions_go_on_with_the_same_bits_after_a_restart(engine, model, store):
    sessions = [engine.open("m", f"s{n}") for n in range(3)]
    for n, session in enumerate(sessions):
        session.run(random_frames(model, 4 + n))
    assert store.save([record_of(session) for session in sessions], 0.0) == []
    for session in sessions:
        xs = random_frames(model, 5)
        assert same_bits(restart(model, store, session.id).run(xs), session.run(xs))


def test_a_second_crash_before_the_first_save_costs_nothing(engine, model, store):
    session = engine.open("m", "s")
    session.run(random_frames(model, 4))
    store.save([record_of(session)], 0.0)
    lost, kept = restart(model, store, "s"), restart(model, store, "s")
    assert store.save([record_of(lost)], 1.0) == ["s"]
    assert store.save([record_of(session)], 1.0) == ["s"]
    assert store.save([record_of(kept)], 1.0) == []


def test_a_session_opened_anew_under_an_old_id_does_not_overwrite_it(engine, model, store):
    session = engine.open("m", "s")
    session.run(random_frames(model, 4))
    record = record_of(session)
    store.save([record], 0.0)
    careless = engine_of(model).open("m", "s")
    careless.run(random_frames(model, 2))
    assert store.save([record_of(careless)], 1.0) == ["s"]
    assert store.load("s") == record


def test_a_session_that_was_reset_or_rolled_back_is_stored_so(engine, model, store):
    session = engine.open("m", "s")
    session.run(random_frames(model, 4))
    earlier = session.snapshot()
    session.run(random_frames(model, 4))
    store.save([record_of(session)], 0.0)
    session.reset()
    assert store.save([record_of(session)], 1.0) == []
    session.rollback(earlier)
    assert store.save([record_of(session)], 2.0) == ["s"], "not by accident"
    session.epoch = store.claim("s", 3.0, held_epoch=session.epoch).epoch
    assert store.save([record_of(session)], 3.0) == []
    assert restart(model, store, "s").next_seq == 4
