"""Models, sessions and batches of an engine; every refusal by its type."""

from __future__ import annotations

import numpy as np
import pytest

import streamrnn
from streamrnn import Engine, Limits
from streamrnn.errors import (
    CapacityError,
    FrameError,
    OptionError,
    SessionClosedError,
    SessionExistsError,
    UnknownModelError,
    UnknownSessionError,
    UsageError,
)
from tests.laws.nets import random_frames, random_model, same_bits
from tests.laws.test_laws import engine_of


@pytest.fixture
def model():
    return random_model("lstm", 3, 5)


@pytest.fixture
def engine(model):
    return engine_of(model, max_batch=3)


class TestModels:
    def test_a_name_is_taken_once(self, engine, model):
        for name in ("m", ""):
            with pytest.raises(OptionError):
                engine.add_model(name, model)
        assert list(engine.models) == ["m"]

    def test_an_unknown_model_names_the_known(self, engine, model):
        engine.add_model("vad", model)
        with pytest.raises(UnknownModelError, match=r"'x'.*m, vad"):
            engine.open("x")
        with pytest.raises(UnknownModelError, match="none"):
            Engine().open("x")

    def test_the_models_are_a_copy(self, engine):
        engine.models.clear()
        engine.open("m")

    def test_each_model_has_slots_of_its_own(self, model):
        engine = Engine(Limits(max_sessions=1))
        engine.add_model("a", model)
        engine.add_model("b", random_model("gru", 2, 4))
        engine.open("a")
        engine.open("b")
        with pytest.raises(CapacityError):
            engine.open("a")


class TestSessions:
    def test_ids(self, engine):
        session = engine.open("m", "s")
        assert engine.session("s") is session
        with pytest.raises(SessionExistsError, match="'s'"):
            engine.open("m", "s")
        with pytest.raises(UnknownSessionError, match="'t'"):
            engine.session("t")
        session.close()
        with pytest.raises(UnknownSessionError):
            engine.session("s")
        assert engine.open("m", "s") is not session

    def test_an_id_is_made_where_none_is_given(self, model):
        ids = iter(["a", "b"])
        engine = Engine(Limits(max_sessions=2), make_id=lambda: next(ids))
        engine.add_model("m", model)
        assert [engine.open("m").id, engine.open("m").id] == ["a", "b"]

    @pytest.mark.parametrize("session_id", ["", "x" * 129])
    def test_an_id_of_a_wrong_length(self, engine, session_id):
        with pytest.raises(OptionError, match="1 to 128"):
            engine.open("m", session_id)
        assert engine.n_sessions == 0

    def test_capacity_comes_back(self, model):
        engine = Engine(Limits(max_sessions=2))
        engine.add_model("m", model)
        first, second = engine.open("m"), engine.open("m")
        for attempt in (lambda: engine.open("m"), first.fork, lambda: engine.restore(first.snapshot())):
            with pytest.raises(CapacityError):
                attempt()
        assert engine.n_sessions == 2
        second.close()
        assert first.fork().slot == 1

    def test_a_refused_open_leaks_no_slot(self, model):
        engine = Engine(Limits(max_sessions=2))
        engine.add_model("m", model)
        engine.open("m", "s")
        for _ in range(5):
            with pytest.raises(SessionExistsError):
                engine.open("m", "s")
        engine.open("m", "t")


class TestStepMany:
    @pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 7, 12])
    def test_more_sessions_than_a_batch_holds(self, engine, model, n):
        sessions, x = [engine.open("m") for _ in range(n)], random_frames(model, n)
        expected = np.array(
            [session.fork().step(row) if n <= 6 else None for session, row in zip(sessions, x, strict=True)]
        )
        ys = engine.step_many(sessions, x)
        assert ys.shape == (n, 5)
        if n <= 6:
            assert same_bits(ys, expected.astype(np.float32))
        else:
            alone = engine_of(model)
            assert same_bits(ys, np.array([alone.open("m").step(row) for row in x]))
        assert [session.next_seq for session in sessions] == [1] * n

    @pytest.mark.parametrize("n", [2, 3, 7])
    def test_one_bad_frame_and_nobody_is_stepped(self, engine, model, n):
        sessions, x = [engine.open("m") for _ in range(n)], random_frames(model, n)
        x[-1, 2] = np.nan
        before = [session.snapshot() for session in sessions]
        with pytest.raises(FrameError, match=f"frame {n - 1}: value 2 is nan") as refusal:
            engine.step_many(sessions, x)
        assert refusal.value.fields["index"] == n - 1
        assert [session.snapshot() for session in sessions] == before

    @pytest.mark.parametrize(
        "x", [np.zeros((2, 4), np.float32), np.zeros((3, 3), np.float32), np.zeros((2, 3)), [[0.0] * 3] * 2]
    )
    def test_a_wrong_form(self, engine, x):
        with pytest.raises(FrameError, match=r"\(2, 3\)"):
            engine.step_many([engine.open("m"), engine.open("m")], x)

    def test_who_may_stand_in_a_batch(self, engine, model):
        engine.add_model("other", random_model("gru", 3, 5))
        a, b, c = engine.open("m"), engine.open("m"), engine.open("other")
        x = np.zeros((2, 3), np.float32)
        with pytest.raises(UsageError, match="at least one"):
            engine.step_many([], x)
        with pytest.raises(UsageError, match="once"):
            engine.step_many([a, a], x)
        with pytest.raises(UsageError, match="'other'"):
            engine.step_many([a, c], x)
        with pytest.raises(UsageError):
            engine.step_many([a, engine_of(model).open("m")], x)
        other = engine_of(model)
        with pytest.raises(UsageError, match="another engine"):
            engine.step_many([other.open("m"), other.open("m")], x)
        assert [session.next_seq for session in (a, b, c)] == [0, 0, 0]

    def test_a_batch_that_is_known_is_checked_again_once_something_changed(self, engine, model):
        a, b = sessions = [engine.open("m"), engine.open("m")]
        x = random_frames(model, 2)
        for _ in range(2):
            engine.step_many(sessions, x)
        engine.push(b, 2, x[1])
        with pytest.raises(UsageError, match="frames waiting"):
            engine.step_many(sessions, x)
        engine.tick()
        engine.step_many(tuple(sessions), x)
        a.close()
        c = engine.open("m")
        assert c.slot == 0
        with pytest.raises(SessionClosedError):
            engine.step_many(sessions, x)
        sessions[0] = c
        assert same_bits(engine.step_many(sessions, x)[0], engine_of(model).open("m").step(x[0]))
        assert [session.next_seq for session in (a, b, c)] == [3, 5, 1]


class TestLimits:
    @pytest.mark.parametrize("value", [0, -1, 1.0, True, "8", None])
    def test_a_limit_is_a_positive_integer(self, value):
        with pytest.raises(OptionError, match="max_sessions"):
            Limits(max_sessions=value)

    def test_a_batch_is_never_larger_than_the_arena(self, model):
        engine = Engine(Limits(max_sessions=2, max_batch=256))
        engine.add_model("m", model)
        assert engine.step_many([engine.open("m"), engine.open("m")], random_frames(model, 2)).shape == (2, 5)


def test_the_package_offers_what_the_docs_name():
    for name in streamrnn.__all__:
        assert getattr(streamrnn, name) is not None
    with pytest.raises(AttributeError):
        getattr(streamrnn, "no_such_name")  # noqa: B009
