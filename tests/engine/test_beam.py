"""Beam search: as exhaustive as its width, greedy at width 1, and nothing of it is left behind."""

from __future__ import annotations

from itertools import product
from unittest.mock import patch

import numpy as np
import pytest

import streamrnn
from streamrnn import Engine, Hypothesis, Limits, Model, Node, Spec, beam_search
from streamrnn.engine.beam import _best
from streamrnn.errors import CapacityError, FrameError, OptionError, SessionClosedError, UsageError
from tests.laws.nets import random_tensors

N_TOKENS, N_OUTPUTS, STOP, FIRST = 5, 4, 0, 4
HIDDEN = 6


def token_model(seed: int = 0) -> Model:
    """Five tokens, of which four may come out; what comes out depends on all that went in."""
    spec = Spec(
        (
            Node("input", "input", 1, n_tokens=N_TOKENS),
            Node("table", "embedding", 3, ("input",), n_tokens=N_TOKENS),
            Node("gru", "gru", HIDDEN, ("table",)),
            Node("scores", "linear", N_OUTPUTS, ("gru",)),
            Node("output", "log_softmax", N_OUTPUTS, ("scores",)),
        ),
        "output",
    )
    return Model(spec, {name: 3 * tensor for name, tensor in random_tensors(spec, seed).items()})


def engine_of(model: Model, max_sessions: int = 512) -> Engine:
    engine = Engine(limits=Limits(max_sessions=max_sessions))
    engine.add_model("m", model)
    return engine


def opened(engine: Engine, tokens: tuple[int, ...] = (1, 3)) -> streamrnn.Session:
    session = engine.open("m")
    session.run(np.array(tokens, np.float32)[:, None])
    return session


def step(session: streamrnn.Session, token: int) -> np.ndarray:
    return session.step(np.array([token], np.float32)).astype(np.float64)


def every_sequence(session: streamrnn.Session, max_tokens: int) -> dict[tuple[int, ...], float]:
    """Each sequence that ends, or has `max_tokens` tokens, and its log-probability: by stepping it alone."""
    found = {}
    others = range(1, N_OUTPUTS)
    for n in range(1, max_tokens + 1):
        for prefix in product(others, repeat=n - 1):
            for last in range(N_OUTPUTS) if n == max_tokens else [STOP]:
                twin = session.fork()
                total, frame = 0.0, FIRST
                for token in (*prefix, last):
                    total += step(twin, frame)[token]
                    frame = token
                found[(*prefix, last)] = total
                twin.close()
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("length_penalty", [0.0, 0.8])
def test_wide_enough_it_finds_every_sequence(seed, length_penalty):
    engine = engine_of(token_model(seed))
    session = opened(engine)
    expected = every_sequence(session, 4)
    found = beam_search(engine, session, FIRST, 200, 4, STOP, length_penalty)
    assert len(found) == len(expected) == 1 + 3 + 9 + 27 * 4
    for one in found:
        full = one.tokens + ((STOP,) if one.is_ended else ())
        assert one.log_probability == expected[full], "the same bits, summed in the same order"
        assert one.score == one.log_probability / len(full) ** length_penalty
    assert found == sorted(found, key=lambda one: (-one.score, one.tokens))
    assert np.exp([one.log_probability for one in found]).sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_width_one_is_greedy(seed):
    engine = engine_of(token_model(seed))
    session = opened(engine)
    twin, frame, tokens, total = session.fork(), FIRST, [], 0.0
    while len(tokens) < 12:
        y = step(twin, frame)
        frame = int(y.argmax())
        total += y[frame]
        tokens.append(frame)
        if frame == STOP:
            break
    is_ended = tokens[-1] == STOP
    said = tuple(tokens[:-1] if is_ended else tokens)
    assert beam_search(engine, session, FIRST, 1, 12, STOP) == [Hypothesis(said, total, total, is_ended)]


@pytest.mark.parametrize("seed", range(8))
def test_a_wider_beam_is_the_naive_search_over_prefixes(seed):
    engine = engine_of(token_model(seed))
    session = opened(engine)
    for width in (2, 3, 5):
        live, ended = [((), 0.0)], []
        for _ in range(6):
            choices = []
            for prefix, total in live:
                twin = session.fork()
                y = [step(twin, token) for token in (FIRST, *prefix)][-1]
                twin.close()
                choices += [((*prefix, token), total + y[token]) for token in range(N_OUTPUTS)]
            choices = sorted(choices, key=lambda one: -one[1])[: width - len(ended)]
            ended += [(tokens[:-1], total) for tokens, total in choices if tokens[-1] == STOP]
            live = [one for one in choices if one[0][-1] != STOP]
        expected = sorted(ended + live, key=lambda one: (-one[1], one[0]))
        assert [one[:2] for one in beam_search(engine, session, FIRST, width, 6, STOP)] == expected


def test_the_session_stays_as_it_is_and_no_fork_is_left():
    engine = engine_of(token_model())
    session = opened(engine)
    before, row, n_sessions = session.next_seq, session.state(), engine.n_sessions
    first = beam_search(engine, session, FIRST, 4, 8, STOP)
    assert session.next_seq == before and engine.n_sessions == n_sessions
    assert np.array_equal(session.state(), row)
    assert beam_search(engine, session, FIRST, 4, 8, STOP) == first


def test_other_sessions_and_their_steps_change_no_bit():
    model = token_model(3)
    alone = engine_of(model)
    expected = beam_search(alone, opened(alone), FIRST, 4, 8, STOP)
    engine = engine_of(model)
    others = [opened(engine, (2, i)) for i in range(4)]
    session = opened(engine)
    others[0].close()  # its slot goes to a fork
    engine.step_many(others[1:], np.ones((3, 1), np.float32))
    assert beam_search(engine, session, FIRST, 4, 8, STOP) == expected


def test_each_step_is_one_kernel_call_for_all():
    engine = engine_of(token_model())
    session = opened(engine)
    sizes = []
    whole = engine.step_many

    def counted(sessions, x):
        sizes.append(len(sessions))
        return whole(sessions, x)

    with patch.object(engine, "step_many", counted):
        beam_search(engine, session, FIRST, 4, 3, STOP)
    assert len(sizes) <= 3 and sizes[0] == 1 and 1 < max(sizes) <= 4


def test_it_needs_no_more_slots_than_its_width_and_leaves_none_taken_where_they_fail():
    model = token_model()
    engine = engine_of(model, max_sessions=4)
    assert len(beam_search(engine, opened(engine), FIRST, 3, 8, STOP)) == 3
    engine = engine_of(model, max_sessions=3)
    session = opened(engine)
    with pytest.raises(CapacityError):
        beam_search(engine, session, FIRST, 4, 8, STOP)  # of four first tokens one at most ends: three forks
    assert engine.n_sessions == 1 and not session.closed
    session.fork(), session.fork()  # both slots are free again


def test_equal_ones_go_by_rank_and_then_by_token():
    outputs = np.array([[-1, -2, -1], [-1, -1, -3]], np.float32)
    assert _best(outputs, [0.0, 0.0], 3) == [(0, 0, -1.0), (0, 2, -1.0), (1, 0, -1.0)]
    assert _best(outputs, [-1.0, 0.0], 2) == [(1, 0, -1.0), (1, 1, -1.0)]


def test_what_is_impossible_or_no_number_is_never_chosen():
    outputs = np.array([[-np.inf, np.nan, -2]], np.float32)
    assert _best(outputs, [-0.5], 3) == [(0, 2, -2.5)]
    assert _best(outputs[:, :2], [0.0], 2) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"width": 0}, "width"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop_token": N_OUTPUTS}, "stop_token"),
        ({"stop_token": -1}, "stop_token"),
        ({"length_penalty": -0.1}, "length_penalty"),
        ({"length_penalty": np.nan}, "length_penalty"),
        ({"length_penalty": np.inf}, "length_penalty"),
    ],
)
def test_a_number_out_of_range_is_named(change, named):
    engine = engine_of(token_model())
    numbers = {"width": 2, "max_tokens": 3, "stop_token": STOP, "length_penalty": 0.0, **change}
    with pytest.raises(OptionError, match=named):
        beam_search(engine, opened(engine), FIRST, **numbers)
    assert engine.n_sessions == 1


def test_what_is_no_model_of_tokens_is_refused():
    spec = Spec((Node("input", "input", 2), Node("output", "log_softmax", 2, ("input",))), "output")
    engine = engine_of(Model(spec, {}))
    with pytest.raises(OptionError, match="tokens"):
        beam_search(engine, engine.open("m"), 0, 2, 3, 0)


def test_a_bad_first_token_and_a_session_that_is_not_idle_are_refused():
    engine = engine_of(token_model())
    session = opened(engine)
    with pytest.raises(FrameError):
        beam_search(engine, session, N_TOKENS, 2, 3, STOP)
    assert engine.n_sessions == 1
    engine.push(session, session.next_seq, np.zeros((1, 1), np.float32))
    with pytest.raises(UsageError):
        beam_search(engine, session, FIRST, 2, 3, STOP)
    session.close()
    with pytest.raises(SessionClosedError):
        beam_search(engine, session, FIRST, 2, 3, STOP)
