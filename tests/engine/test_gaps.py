"""Gap policies: what they check, what counts as a gap, and which times are taken."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn import Gaps
from streamrnn.engine.gaps import MAX_TIME_US
from streamrnn.errors import FrameError, OptionError
from tests.laws.nets import random_frames, random_model, same_bits
from tests.laws.test_laws import engine_of

PERIOD = 20_000


@pytest.fixture
def model():
    return random_model("lstm", 3, 5)


@pytest.fixture
def engine(model):
    return engine_of(model, max_fill_frames=8)


@pytest.fixture
def session(engine):
    session = engine.open("m", "s", gaps=Gaps("hold", PERIOD))
    session.run(random_frames(session.model, 4), time_us=0)
    return session


LAST = 3 * PERIOD


class TestOptions:
    @pytest.mark.parametrize(
        "values",
        [
            ("none", PERIOD),
            ("", PERIOD),
            (None, PERIOD),
            ("hold", 0),
            ("hold", -1),
            ("hold", 2e4),
            ("hold", True),
            ("hold", None),
            ("hold", MAX_TIME_US + 1),
            ("hold", PERIOD, -1),
            ("hold", PERIOD, 1.5),
            ("zero", PERIOD, MAX_TIME_US + 1),
            ("reset_after", PERIOD),
            ("reset_after", PERIOD, 0),
        ],
    )
    def test_out_of_range(self, values):
        with pytest.raises(OptionError, match="gaps: expected"):
            Gaps(*values)

    @pytest.mark.parametrize("policy", ["hold", "linear", "zero"])
    def test_tokens_cannot_be_made_up(self, policy):
        engine = engine_of(random_model("embedding", 4, 5))
        with pytest.raises(OptionError, match="takes only reset_after"):
            engine.open("m", "s", gaps=Gaps(policy, PERIOD))
        assert engine.n_sessions == 0
        assert engine.open("m", "s", gaps=Gaps("reset_after", PERIOD, PERIOD)).gaps is not None

    def test_a_session_tells_its_policy(self, session, engine):
        assert session.gaps == Gaps("hold", PERIOD)
        assert session.fork().gaps == session.gaps
        assert engine.open("m").gaps is None


@pytest.mark.parametrize(
    ("dt_periods", "fills", "resets"),
    [
        (0.01, 0, 0),
        (0.5, 0, 0),
        (1, 0, 0),
        (1.49, 0, 0),
        (1.5, 1, 0),
        (2, 1, 0),
        (2.5, 2, 0),
        (9.49, 8, 0),
        (9.5, 0, 1),
    ],
)
def test_what_counts_as_a_gap(dt_periods, fills, resets):
    """Halves up, and one of more than `max_fill_frames` resets."""
    assert Gaps("zero", PERIOD).judge(int(dt_periods * PERIOD), 8) == (fills, bool(resets))
    late = Gaps("zero", PERIOD, reset_after_us=2 * PERIOD)
    is_late = dt_periods > 2
    assert late.judge(int(dt_periods * PERIOD), 8) == (0 if is_late else fills, is_late)


def test_reset_after_fills_nothing_and_resets_only_for_its_own_reason():
    gaps = Gaps("reset_after", PERIOD, 1000 * PERIOD)
    assert gaps.judge(1000 * PERIOD, 8) == (0, False)
    assert gaps.judge(1000 * PERIOD + 1, 8) == (0, True)
    assert Gaps("reset_after", PERIOD, 1).judge(PERIOD, 8) == (0, False), "no sample is missing"


def test_a_line_between_the_ends_of_float32_stays_finite():
    most = np.finfo(np.float32).max
    made_up = Gaps("linear", PERIOD).fill(
        np.array([-most, most, 0], np.float32), np.array([most, most, 1], np.float32), 3
    )
    assert same_bits(made_up[1], np.array([0, most, 0.5], np.float32))
    assert np.isfinite(made_up).all()


class TestTimes:
    def refused(self, session, words, **fields):
        """Every way in refuses a time, and nothing changes."""
        engine, x = session._engine, random_frames(session.model, seed=9)
        before = session.snapshot()
        for step in (
            lambda t: session.step(x, time_us=t),
            lambda t: session.run(x[None], time_us=t),
            lambda t: engine.step_many([session], x[None], times_us=[t]),
            lambda t: engine.push(session, session.next_seq, x, time_us=t),
        ):
            with pytest.raises(FrameError, match=words) as refusal:
                step(fields["time_us"])
            assert refusal.value.scope == "frame"
        assert session.snapshot() == before
        assert (session.n_pending, engine.n_pending, session.last_time_us) == (0, 0, LAST)

    @pytest.mark.parametrize("time_us", [LAST, LAST - 1, 0])
    def test_not_above_the_last(self, session, time_us):
        self.refused(session, f"not above {LAST}", time_us=time_us)

    def test_missing(self, session):
        self.refused(session, "expected time_us", time_us=None)
        with pytest.raises(FrameError, match="expected time_us"):
            session._engine.step_many([session], random_frames(session.model, 1))

    @pytest.mark.parametrize("time_us", [-1, MAX_TIME_US + 1])
    def test_out_of_range(self, session, time_us):
        self.refused(session, f"expected 0 to .*, got {time_us}", time_us=time_us)

    @pytest.mark.parametrize("time_us", ["1", 1e9, object()])
    def test_no_integer(self, session, time_us):
        self.refused(session, "expected an integer", time_us=time_us)

    def test_integers_of_numpy_are_taken(self, session):
        session.step(random_frames(session.model), time_us=np.int64(2 * LAST))
        assert session.last_time_us == 2 * LAST
        session.snapshot()

    def test_a_run_must_end_in_range(self, session):
        with pytest.raises(FrameError, match="expected 0 to"):
            session.run(random_frames(session.model, 3), time_us=MAX_TIME_US - PERIOD)

    def test_not_wanted(self, engine):
        session = engine.open("m")
        x = random_frames(session.model)
        for step in (
            lambda: session.step(x, time_us=1),
            lambda: session.run(x[None], time_us=1),
            lambda: engine.push(session, 0, x, time_us=1),
        ):
            with pytest.raises(FrameError, match="no gap policy"):
                step()
        assert session.next_seq == 0
        engine.step_many([session], x[None], times_us=[1])  # there it is not looked at

    def test_as_many_as_sessions(self, session):
        with pytest.raises(FrameError, match="expected 1 times, got 2"):
            session._engine.step_many([session], random_frames(session.model, 1), times_us=[LAST + 1, LAST + 2])

    def test_a_bad_frame_moves_no_time(self, session):
        bad = np.full(3, np.nan, np.float32)
        for step in (
            lambda: session.step(bad, time_us=5 * PERIOD),
            lambda: session._engine.step_many([session], bad[None], times_us=[5 * PERIOD]),
            lambda: session._engine.push(session, 4, bad, time_us=5 * PERIOD),
        ):
            before = session.snapshot()
            with pytest.raises(FrameError):
                step()
            assert session.snapshot() == before

    def test_frames_that_wait_count(self, session, engine):
        x = random_frames(session.model, 2)
        engine.push(session, 4, x, time_us=LAST + PERIOD)
        assert session.last_time_us == LAST + 2 * PERIOD
        with pytest.raises(FrameError, match=f"not above {LAST + 2 * PERIOD}"):
            engine.push(session, 6, x, time_us=LAST + 2 * PERIOD)
        engine.push(session, 6, x, time_us=LAST + 2 * PERIOD + 1)
        assert session.n_pending == 4

    def test_a_reset_forgets_the_last_time(self, session, engine):
        session.reset()
        assert session.last_time_us is None
        xs = random_frames(session.model, 3)
        fresh = engine.open("m", gaps=session.gaps)
        assert same_bits(session.run(xs, time_us=7), fresh.run(xs, time_us=0))
        assert (session.last_filled, session.last_was_reset, session.next_seq) == (0, False, 7)


def test_outputs_are_written_where_the_caller_says(session):
    out, x = np.empty(5, np.float32), random_frames(session.model)
    twin = session.fork()
    assert session.step(x, out=out, time_us=10 * PERIOD) is out
    assert same_bits(out, twin.step(x, time_us=10 * PERIOD))
    many = np.empty((1, 5), np.float32)
    assert session._engine.step_many([session], x[None], out=many, times_us=[11 * PERIOD]) is many
    assert same_bits(many[0], twin.step(x, time_us=11 * PERIOD))


def test_no_frames_need_no_time(session):
    before = session.snapshot()
    assert session.run(np.empty((0, 3), np.float32)).shape == (0, 5)
    assert session.snapshot() == before


def test_a_flagged_output_begins_at_its_frame(session, engine):
    xs = random_frames(session.model, 6)
    engine.push(session, 4, xs[:3], time_us=LAST + PERIOD)
    engine.push(session, 7, xs[3:], time_us=LAST + 6 * PERIOD)
    outputs = engine.finish(session)
    assert [(o.seq, len(o.ys), o.filled, o.was_reset) for o in outputs] == [(4, 3, 0, False), (7, 3, 2, False)]
    assert session.next_seq == 10


@pytest.mark.parametrize("swap", ["carry", "reset"])
def test_a_session_that_moves_with_frames_waiting(session, engine, swap):
    xs = random_frames(session.model, 4)
    engine.push(session, 4, xs[:2], time_us=LAST + 3 * PERIOD)
    engine.push(session, 6, xs[2:], time_us=LAST + 6 * PERIOD)
    newer = random_model("lstm", 3, 5, seed=1)
    engine.replace_model("m", newer, live=swap)
    outputs = engine.finish(session)
    assert [o.filled for o in outputs] == [2 if swap == "carry" else 0, 1]
    assert (session.next_seq, session.last_time_us) == (8, LAST + 7 * PERIOD)
    if swap == "reset":
        fresh = engine_of(newer).open("m")
        expected = fresh.run(np.concatenate([xs[:2], xs[1:2], xs[2:]]))[[0, 1, 3, 4]]
        assert same_bits(np.concatenate([o.ys for o in outputs]), expected)


def test_an_outage_of_many_sensors_is_made_up_for_over_many_ticks(model):
    engine = engine_of(model, max_fill_frames=50, max_run_frames=20)
    sessions = [engine.open("m", str(i), gaps=Gaps("hold", PERIOD)) for i in range(6)]
    plain = engine.open("m", "plain")
    for session in sessions:
        session.step(random_frames(model), time_us=0)
    for session, n_missing in zip(sessions, (40, 5, 5, 10, 1, 50), strict=True):
        engine.push(session, 1, random_frames(model, 2), time_us=(n_missing + 1) * PERIOD)
    engine.push(plain, 0, random_frames(model, 3))
    ticks = [[(output.session.id, output.filled) for output in engine.tick()] for _ in range(4)]
    assert ticks[:3] == [[("0", 40)], [("1", 5), ("2", 5), ("3", 10)], [("4", 1)]]
    assert ticks[3] == [("5", 50), *((name, 0) for name in ("plain", "0", "1", "2", "3", "4"))]
    while engine.n_pending:
        engine.tick()
    assert [session.next_seq for session in (*sessions, plain)] == [3] * 7
