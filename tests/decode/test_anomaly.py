"""The anomaly score: what it flags, what it leaves alone, and that its state is all there is."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.decode import AnomalyScore, AnomalySettings
from streamrnn.decode.anomaly import STATE_SIZE
from streamrnn.errors import FrameError, OptionError, SnapshotError

SETTINGS = AnomalySettings(long_frames=400, warmup_frames=60, refractory_frames=30)
WARM = 300


def noise(n: int, seed: int = 0) -> list[float]:
    return [float(x) for x in np.random.default_rng(seed).standard_normal(n)]


def play(score: AnomalyScore, residuals: list[float]):
    return [score.step(x, 0.0) for x in residuals]


def warm(settings: AnomalySettings = SETTINGS) -> AnomalyScore:
    score = AnomalyScore(settings)
    play(score, noise(WARM))
    return score


def test_noise_is_not_flagged():
    verdicts = play(AnomalyScore(SETTINGS), noise(20_000, seed=4))
    assert not any(verdict.flag or verdict.onset for verdict in verdicts)
    scores = np.array([verdict.score for verdict in verdicts])
    assert scores.min() >= 0.0 and scores.max() < SETTINGS.threshold
    assert np.median(scores[100:]) < 0.1


@pytest.mark.parametrize(
    ("fault", "within"),
    [
        pytest.param([9.0] * 10, 3, id="jump"),
        pytest.param([-9.0] * 10, 3, id="drop"),
        pytest.param([3.5 + 0.5 * x for x in noise(30, 1)], 10, id="drift"),
        pytest.param([0.3] * 60, 60, id="stuck"),
        pytest.param([6.0 * x for x in noise(40, 2)], 30, id="noisy"),
    ],
)
def test_a_fault_is_flagged_in_time(fault, within):
    verdicts = play(warm(), fault)
    onsets = [i for i, verdict in enumerate(verdicts) if verdict.onset]
    assert onsets and onsets[0] < within
    assert verdicts[onsets[0]].flag and verdicts[onsets[0]].score >= SETTINGS.threshold


def test_nothing_is_scored_before_the_warm_up_is_over():
    score = AnomalyScore(SETTINGS)
    verdicts = play(score, [*noise(SETTINGS.warmup_frames - 1), 1000.0, 1000.0])
    assert [verdict.score for verdict in verdicts[: SETTINGS.warmup_frames]] == [0.0] * SETTINGS.warmup_frames
    score = warm()
    assert score.step(1000.0, 0.0).score == 1.0


def test_units_do_not_matter():
    """Residuals a thousand times as large score the same: everything is held against the long run."""
    small, large = AnomalyScore(SETTINGS), AnomalyScore(SETTINGS)
    for x in [*noise(400), 5.0, 0.0, 7.0]:
        assert small.step(x, 0.0).score == pytest.approx(large.step(1000.0 * x, 0.0).score, abs=1e-3)


def test_an_anomaly_does_not_soon_look_normal():
    score = warm()
    before = score.snapshot()
    play(score, [50.0] * 5)
    deviation = math.sqrt(before[2])
    assert abs(score.state[1] - before[1]) < 5 * SETTINGS.clip_deviations * deviation / WARM * 1.5
    assert score.state[2] < 2.0 * before[2]
    play(score, noise(60, 9))
    assert score.step(9.0, 0.0).score > 0.3


def test_the_flag_has_hysteresis():
    score = warm(AnomalySettings(long_frames=400, warmup_frames=60, threshold=0.5, release=0.1, refractory_frames=0))
    verdicts = play(score, [12.0, *noise(60, 5)])
    up = [verdict for verdict in verdicts if verdict.flag]
    assert up and min(verdict.score for verdict in up) < 0.5
    assert all(verdict.score >= 0.1 for verdict in up)
    assert not verdicts[-1].flag
    assert sum(verdict.onset for verdict in verdicts) == 1


def test_onsets_keep_their_distance_and_flags_do_not():
    def onsets(refractory_frames: int) -> tuple[int, int]:
        settings = AnomalySettings(long_frames=400, warmup_frames=60, refractory_frames=refractory_frames)
        verdicts = play(warm(settings), [15.0, *noise(24, 6)] * 4)
        n_rises = sum(b.flag and not a.flag for a, b in itertools.pairwise(verdicts)) + verdicts[0].flag
        return sum(verdict.onset for verdict in verdicts), n_rises

    assert onsets(0) == (4, 4)
    assert onsets(30) == (2, 4)
    assert onsets(200) == (1, 4)


def test_the_first_frame_has_no_forecast():
    score = AnomalyScore(SETTINGS)
    fresh = score.snapshot()
    assert score.frame(5.0, 5.1) == (0.0, False, False)
    assert score.state[0] == 0.0
    score.frame(6.0, 0.0)
    assert score.state[0] == 1.0 and score.state[4] == pytest.approx(6.0 - 5.1, abs=1e-6)
    score.reset()
    assert score.snapshot().tobytes() == fresh.tobytes()


def test_frames_are_steps_against_the_forecast_before():
    by_frame, by_step = AnomalyScore(SETTINGS), AnomalyScore(SETTINGS)
    observed, forecasts = noise(500, 1), [float(np.float32(x)) for x in noise(500, 2)]
    framed = [by_frame.frame(x, y) for x, y in zip(observed, forecasts, strict=True)]
    stepped = [by_step.step(x, y) for x, y in zip(observed, [None, *forecasts[:-1]], strict=True)]
    assert framed == stepped


def test_scale_and_shift_belong_to_what_is_observed():
    plain = AnomalyScore(SETTINGS)
    scaled = AnomalyScore(
        AnomalySettings(long_frames=400, warmup_frames=60, refractory_frames=30, scale=0.25, shift=-20.0)
    )
    for x in [*noise(200), 6.0, 6.0]:
        assert scaled.step((x + 20.0) / 0.25, 0.5).score == pytest.approx(plain.step(x, 0.5).score, abs=1e-6)


values = st.floats(-(2.0**100), 2.0**100, width=32) | st.floats(-5, 5, width=32)


@given(before=st.lists(values, max_size=90), after=st.lists(values, max_size=30))
def test_a_copy_of_the_state_goes_on_bit_for_bit(before, after):
    settings = AnomalySettings(long_frames=50, warmup_frames=10, refractory_frames=3)
    score = AnomalyScore(settings)
    for x in before:
        score.frame(x, 0.5)
    kept = score.snapshot()
    assert np.isfinite(np.delete(kept, 7)).all()
    first = [score.frame(x, -0.25 * i) for i, x in enumerate(after)]
    for other in (AnomalyScore(settings, kept), AnomalyScore(settings), copy.deepcopy(AnomalyScore(settings, kept))):
        other.restore(kept)
        assert [other.frame(x, -0.25 * i) for i, x in enumerate(after)] == first
        assert other.state.tobytes() == score.state.tobytes()
    assert all(0.0 <= verdict.score <= 1.0 for verdict in first)


def test_snapshots_are_copies():
    score = warm()
    kept = score.snapshot()
    score.step(3.0, 0.0)
    assert kept.tobytes() != score.state.tobytes()
    assert kept.shape == (STATE_SIZE,) and kept.dtype == np.float32
    other = AnomalyScore(SETTINGS, kept)
    other.step(1.0, 0.0)
    assert kept.tobytes() != other.state.tobytes()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e39])
@pytest.mark.parametrize("place", ["observed", "predicted", "forecast"])
def test_what_is_not_finite_is_refused_and_changes_nothing(bad, place):
    score = warm()
    before = score.state.tobytes()
    with pytest.raises(FrameError, match="must be a finite float32"):
        if place == "observed":
            score.step(bad, 0.0)
        elif place == "predicted":
            score.step(0.0, bad)
        else:
            score.frame(0.0, bad)
    assert score.state.tobytes() == before


@pytest.mark.parametrize(
    "state",
    [
        np.zeros(STATE_SIZE + 1, np.float32),
        np.zeros(STATE_SIZE, np.float64),
        np.full(STATE_SIZE, np.inf, np.float32),
        np.array([np.nan] + [0.0] * (STATE_SIZE - 1), np.float32),
    ],
)
def test_a_state_that_is_none_is_refused_and_changes_nothing(state):
    score = warm()
    before = score.state.tobytes()
    with pytest.raises(SnapshotError):
        score.restore(state)
    assert score.state.tobytes() == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("long_frames", 0),
        ("level_frames", 0),
        ("spread_frames", -1),
        ("warmup_frames", 5000),
        ("clip_deviations", 0.0),
        ("full_digits", 301.0),
        ("threshold", 1.5),
        ("threshold", math.nan),
        ("release", 0.9),
        ("refractory_frames", -1),
        ("scale", math.inf),
    ],
)
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(OptionError, match=f"^{name} must be") as caught:
        AnomalySettings(**{name: value})
    assert caught.value.fields == {"field": name}
