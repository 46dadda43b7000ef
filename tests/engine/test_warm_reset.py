"""A warm reset: the old state answers while one from the start sees the same frames, and then takes over."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn import Gaps
from streamrnn.errors import FrameError, OptionError, SessionClosedError, UsageError
from tests.laws.nets import random_frames, random_model, same_bits
from tests.laws.test_laws import engine_of

K = 5


@pytest.fixture
def model():
    return random_model("lstm", 3, 5)


@pytest.fixture
def engine(model):
    return engine_of(model, max_queue_frames=20)


@pytest.fixture
def session(engine, model):
    session = engine.open("m", "s")
    session.run(random_frames(model, 7))
    return session


@pytest.fixture
def xs(model):
    return random_frames(model, 12, seed=1)


@pytest.fixture
def expected(session, engine, xs):
    return np.concatenate([session.fork().run(xs)[:K], engine.open("m").run(xs)[K:]])


def test_step_run_and_queue_answer_the_same(session, engine, xs, expected):
    session.reset(warm_frames=K)
    stepped, queued = session.fork(), session.fork()
    assert same_bits(session.run(xs), expected)
    flags = []
    for x, y in zip(xs, expected, strict=True):
        assert same_bits(stepped.step(x), y)
        flags.append(stepped.last_was_reset)
    assert flags == [i == K for i in range(len(xs))]
    engine.push(queued, 7, xs)
    outputs = engine.finish(queued)
    assert [(o.seq, len(o.ys), o.was_reset) for o in outputs] == [(7, K, False), (7 + K, 7, True)]
    assert same_bits(np.concatenate([o.ys for o in outputs]), expected)
    assert session.next_seq == stepped.next_seq == queued.next_seq == 19


def test_it_takes_over_at_once(session, engine, xs):
    session.reset(warm_frames=K)
    session.run(xs[:K])
    fresh = engine.open("m")
    fresh.run(xs[:K])
    assert same_bits(session.state(), fresh.state())
    assert not session.last_was_reset


def test_afterwards_it_is_a_session_like_any_other(session, xs):
    session.reset(warm_frames=K)
    session.run(xs[: K + 1])
    assert session.last_was_reset
    session.step(xs[0])
    assert session.side is None and not session.last_was_reset
    plain = session._engine.open("m")
    plain.run(np.concatenate([xs[: K + 1], xs[:1]]))
    assert same_bits(plain.state(), session.state())


def test_a_run_that_ends_in_the_middle_tells_it_later(session, xs):
    session.reset(warm_frames=K)
    session.run(xs[:K])
    twin = session._engine.restore(session.snapshot())
    for one in (session, twin, session.fork()):
        one.run(xs[K:])
        assert one.last_was_reset


def test_a_further_reset_replaces_it(session, engine, xs):
    session.reset(warm_frames=K)
    session.run(xs[:3])
    session.reset(warm_frames=2)
    session.run(xs[3:5])
    assert same_bits(session.state(), state_after(engine, xs[3:5]))
    session.reset(warm_frames=K)
    session.reset()
    assert same_bits(session.run(xs), engine.open("m").run(xs))
    assert not session.last_was_reset


def state_after(engine, xs):
    """The state of a fresh session after some frames."""
    fresh = engine.open("m")
    fresh.run(xs)
    state = fresh.state()
    fresh.close()
    return state


def test_in_a_batch_that_was_checked_before(engine, model, xs):
    sessions = [engine.open("m") for _ in range(3)]
    engine.step_many(sessions, xs[:3])
    twins = [one.fork() for one in sessions]
    sessions[1].reset(warm_frames=2)
    fresh = engine.open("m")
    for turn in range(6):
        x = random_frames(model, 3, seed=turn)
        ys = engine.step_many(sessions, x)
        others = engine.step_many(twins, x)
        new = fresh.step(x[1])
        assert same_bits(ys[[0, 2]], others[[0, 2]])
        assert same_bits(ys[1], others[1] if turn < 2 else new)
        assert [one.last_was_reset for one in sessions] == [False, turn == 2, False]


def test_after_a_rollback_into_a_cached_batch(engine, model, xs):
    session = engine.open("m")
    session.reset(warm_frames=2)
    blob = session.snapshot()
    session.reset()
    engine.step_many([session], xs[:1])
    engine.step_many([session], xs[:1])
    session.rollback(blob)
    for x in xs[:3]:
        engine.step_many([session], x[None])
    assert session.last_was_reset


@pytest.mark.parametrize("warm_frames", [-1, 21, 1.0, True, None])
def test_out_of_range(session, warm_frames):
    before = session.snapshot()
    with pytest.raises(OptionError, match="warm_frames: expected an integer of 0 to 20"):
        session.reset(warm_frames=warm_frames)
    assert session.snapshot() == before


def test_not_while_frames_wait_or_once_closed(session, engine, xs):
    engine.push(session, 7, xs)
    with pytest.raises(UsageError, match="waiting"):
        session.reset(warm_frames=K)
    session.close()
    with pytest.raises(SessionClosedError):
        session.reset(warm_frames=K)


def test_a_refused_frame_changes_nothing(session, xs):
    session.reset(warm_frames=K)
    session.run(xs[:2])
    before, bad = session.snapshot(), xs[:4].copy()
    bad[3] = np.nan
    for step in (lambda: session.run(bad), lambda: session.step(bad[3])):
        with pytest.raises(FrameError):
            step()
    assert session.snapshot() == before


@pytest.mark.parametrize("swap", ["carry", "reset"])
def test_a_newer_version(session, engine, model, xs, swap):
    session.reset(warm_frames=K)
    session.run(xs[:2])
    newer = random_model("lstm", 3, 5, seed=8)
    engine.replace_model("m", newer, live=swap)
    session.run(xs[2:K])
    if swap == "reset":
        assert same_bits(session.state(), state_after(engine, xs[2:K]))
        return
    before = engine_of(model).open("m")
    before.run(xs[:2])
    after = engine_of(newer).open("m")
    after.lane.arena.rows[after.slot] = before.state()
    after.run(xs[2:K])
    assert same_bits(session.state(), after.state())


def test_a_gap_that_resets_ends_it(engine, xs):
    session = engine.open("m", gaps=Gaps("reset_after", 10, 100))
    session.run(xs[:3], time_us=0)
    session.reset(warm_frames=K)
    session.run(xs[:2], time_us=40)
    ys = session.run(xs, time_us=1000)
    assert session.last_was_reset
    assert same_bits(ys, engine.open("m").run(xs))


def test_a_model_without_state():
    session = engine_of(random_model("linear", 3, 5)).open("m")
    session.reset(warm_frames=2)
    session.run(random_frames(session.model, 1))
    twin = session._engine.restore(session.snapshot())
    twin.run(random_frames(session.model, 2))
    assert twin.last_was_reset
