"""The gauge of drift reads the states of open sessions, and of no others."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from streamrnn import Engine, Model, Node, Spec
from streamrnn.errors import SessionClosedError
from tests.laws.nets import CELLS, random_frames, random_model
from tests.laws.test_laws import engine_of


@pytest.mark.parametrize("cell", CELLS)
def test_the_root_mean_square_of_the_state_without_its_padding(cell):
    model = random_model(cell, 7, 19)
    session = engine_of(model).open("m")
    session.run(random_frames(model, 5))
    state = session.state().astype(np.float64)
    values = np.concatenate([state[r.offset : r.offset + r.size] for r in model.program.regions] or [[0.0]])
    assert session.state_norm() == pytest.approx(np.sqrt(np.mean(values**2)), rel=1e-12)


def test_by_model_over_open_sessions():
    engine = engine_of(random_model("lstm", 3, 5))
    assert engine.state_norms() == {}
    engine.add_model("n", random_model("gru", 3, 5))
    sessions = [engine.open("m") for _ in range(4)]
    other = engine.open("n")
    for i, session in enumerate(sessions):
        session.run(random_frames(session.model, i + 1))
    sessions.pop().close()
    sessions[0].lane.arena.rows[3:] = np.nan  # free slots
    engine.replace_model("m", random_model("lstm", 3, 5, seed=1))
    sessions.append(engine.open("m"))
    norms = [session.state_norm() for session in sessions]
    found = engine.state_norms()
    assert found["m"] == pytest.approx((np.mean(norms), max(norms)))
    assert found["n"] == (other.state_norm(), 0.0) == (0.0, 0.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_infinite(value):
    engine = engine_of(random_model("lstm", 3, 5))
    session, _ = engine.open("m"), engine.open("m")
    session.lane.arena.rows[session.slot, 2] = value
    assert session.state_norm() == inf
    assert engine.state_norms()["m"] == (inf, inf)


def test_large_values_do_not_overflow():
    engine = engine_of(random_model("lstm", 3, 16))
    session = engine.open("m")
    session.lane.arena.rows[session.slot] = 3e38
    assert session.state_norm() == engine.state_norms()["m"].max == pytest.approx(3e38, rel=1e-6)


def test_frames_may_wait_but_it_must_be_open():
    session = engine_of(random_model("lstm", 3, 5)).open("m")
    session._engine.push(session, 0, random_frames(session.model, 2))
    assert session.state_norm() == 0.0
    session.close()
    with pytest.raises(SessionClosedError):
        session.state_norm()


def test_a_largest_value_of_nothing_yet_is_no_large_state():
    nodes = (Node("x", "input", 3), Node("largest", "running_max", 3, ("x",)))
    engine = Engine()
    engine.add_model("m", Model(Spec(nodes, "largest"), {}))
    session = engine.open("m")
    assert (session.state_norm(), engine.state_norms()["m"]) == (0.0, (0.0, 0.0))
    session.step(np.full(3, 2.0, np.float32))
    assert session.state_norm() == pytest.approx(2.0)
