"""A newer version of a model while sessions live: they finish on theirs, or go on with it, and none is lost."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from streamrnn import Engine, Limits
from streamrnn.errors import CapacityError, OptionError, SessionClosedError, UnknownModelError, UsageError
from tests.laws.nets import random_frames, random_model, same_bits
from tests.laws.test_laws import engine_of

N_BEFORE, N_AFTER = 5, 6


@pytest.fixture
def old():
    return random_model("lstm", 3, 5, seed=1)


@pytest.fixture
def new():
    return random_model("lstm", 3, 5, seed=2)


@pytest.fixture
def engine(old):
    return engine_of(old)


def expected(old, new, xs, carry):
    """The outputs of a session that changes its model after `N_BEFORE` frames."""
    first = engine_of(old).open("m")
    ys = first.run(xs[:N_BEFORE])
    second = engine_of(new).open("m")
    if carry:
        second.lane.arena.rows[second.slot] = first.state()
    return np.concatenate([ys, second.run(xs[N_BEFORE:])])


def test_pinned_sessions_finish_on_their_version(engine, old, new):
    xs = random_frames(old, N_BEFORE + N_AFTER)
    session = engine.open("m")
    ys = [session.run(xs[:N_BEFORE])]
    engine.replace_model("m", new)
    later = engine.open("m")
    assert (session.model, later.model, engine.models["m"]) == (old, new, new)
    assert engine.versions("m") == [(old, 1), (new, 1)]
    ys.append(session.run(xs[N_BEFORE:]))
    assert same_bits(np.concatenate(ys), engine_of(old).open("m").run(xs))
    assert same_bits(later.run(xs), engine_of(new).open("m").run(xs))
    with pytest.raises(UsageError, match="expected sessions of model"):
        engine.step_many([session, later], xs[:2])


@pytest.mark.parametrize("live", ["carry", "reset"])
@pytest.mark.parametrize("at_once", [True, False])
def test_sessions_go_on_with_the_newer_version(engine, old, new, live, at_once):
    xs = random_frames(old, N_BEFORE + N_AFTER)
    sessions = [engine.open("m") for _ in range(3)]
    for session in sessions:
        session.run(xs[:N_BEFORE])
    engine.replace_model("m", new, live if at_once else "pin")
    for session in sessions:
        if not at_once:
            engine.move(session, live)
        assert (session.model, session.next_seq) == (new, N_BEFORE)
        assert same_bits(session.run(xs[N_BEFORE:]), expected(old, new, xs, live == "carry")[N_BEFORE:])
        assert session.next_seq == N_BEFORE + N_AFTER
    assert engine.versions("m") == [(new, 3)]


@pytest.mark.parametrize("live", ["carry", "reset"])
def test_frames_that_wait_are_stepped_by_the_newer_version(engine, old, new, live):
    xs = random_frames(old, N_BEFORE + N_AFTER)
    session, other = engine.open("m"), engine.open("m")
    session.run(xs[:N_BEFORE])
    for each, start in ((session, N_BEFORE), (other, 0)):
        engine.push(each, start, xs[start:])
    engine.replace_model("m", new, live)
    outputs = {session: [], other: []}
    while engine.n_pending:
        for output in engine.tick():
            outputs[output.session].append(output)
    assert outputs[session][0].seq == N_BEFORE
    ys = np.concatenate([output.ys for output in outputs[session]])
    assert same_bits(ys, expected(old, new, xs, live == "carry")[N_BEFORE:])
    assert same_bits(np.concatenate([output.ys for output in outputs[other]]), engine_of(new).open("m").run(xs))


def test_a_batch_that_was_known_is_checked_again(engine, old, new):
    sessions, x = [engine.open("m") for _ in range(2)], random_frames(old, 2)
    engine.step_many(sessions, x)
    engine.replace_model("m", new, "reset")
    alone = engine_of(new)
    assert same_bits(engine.step_many(sessions, x), np.array([alone.open("m").step(row) for row in x]))


def test_the_old_version_goes_with_its_last_session(engine, old, new):
    session, twin = engine.open("m"), engine.open("m")
    arena = weakref.ref(session.lane.arena)
    engine.replace_model("m", new)
    session.close()
    assert [n for _, n in engine.versions("m")] == [1, 0]
    engine.move(twin)
    assert engine.versions("m") == [(new, 1)]
    session = None
    gc.collect()
    assert arena() is None


def test_without_sessions_it_goes_at_once(engine, new):
    engine.replace_model("m", new)
    assert engine.versions("m") == [(new, 0)]


def test_snapshots_of_either_version_are_restored_to_it(engine, old, new):
    session = engine.open("m")
    session.run(random_frames(old, 3))
    blob = session.snapshot()
    engine.replace_model("m", new)
    assert engine.restore(blob, "twin").model is old
    engine.replace_model("m", new, "carry")
    later = engine.open("m").snapshot()
    assert engine.restore(later, "newer").model is new


@pytest.mark.parametrize(
    ("other", "live", "expectation"),
    [
        (("lstm", 4, 5), "reset", "same input_size: 3, got 4"),
        (("lstm", 3, 6), "carry", "same output_size: 5, got 6"),
        (("gru", 3, 5), "carry", "carry: expected a version with the same state, cell.h 5, cell.c 5; got cell.h 5"),
        (("embedding", 3, 5), "reset", "same input_size: 3, got 1"),
        (("lstm", 3, 5), "keep", "live: expected pin, carry, reset, got 'keep'"),
    ],
)
def test_a_version_that_does_not_fit_is_refused_and_nothing_changes(engine, old, other, live, expectation):
    session = engine.open("m")
    session.run(random_frames(old, 3))
    before = session.snapshot()
    with pytest.raises(OptionError, match=expectation):
        engine.replace_model("m", random_model(*other), live)
    assert engine.versions("m") == [(old, 1)]
    assert session.snapshot() == before


def test_a_session_that_cannot_be_moved_stays(old):
    engine = Engine(Limits(max_sessions=2))
    engine.add_model("m", old)
    first, second = engine.open("m"), engine.open("m")
    engine.replace_model("m", random_model("gru", 3, 5))
    with pytest.raises(OptionError, match="carry"):
        engine.move(first)
    with pytest.raises(OptionError, match="swap: expected carry, reset, got 'pin'"):
        engine.move(first, "pin")
    engine.open("m"), engine.open("m")
    with pytest.raises(CapacityError):
        engine.move(first, "reset")
    with pytest.raises(CapacityError, match="4 sessions exceed the limit of 2"):
        engine.replace_model("m", random_model("gru", 3, 5, seed=3), "reset")
    assert (first.model, second.model) == (old, old)
    first.close()
    with pytest.raises(SessionClosedError):
        engine.move(first)


def test_moving_to_the_version_that_it_has_changes_nothing(engine, old):
    session = engine.open("m")
    session.run(random_frames(old, 3))
    before = session.snapshot()
    engine.move(session, "reset")
    assert session.snapshot() == before


def test_only_a_model_that_is_served_can_be_replaced(engine, new):
    with pytest.raises(UnknownModelError, match="the models are: m"):
        engine.replace_model("x", new)
    with pytest.raises(UnknownModelError):
        engine.versions("x")
    with pytest.raises(OptionError, match="new and not empty"):
        engine.add_model("m", new)
