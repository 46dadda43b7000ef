"""Detection: alarms are counted against windows, and the threshold comes from the healthy part alone."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn.decode import AnomalySettings
from training.series.detection import Detection, calibrate, judge, score_series

SETTINGS = AnomalySettings(warmup_frames=50, long_frames=400, refractory_frames=20)


def noise(n, seed=0):
    return np.random.default_rng(seed).standard_normal(n)


def test_alarms_meet_windows():
    detection = judge([5, 10, 12, 30, 55, 90], [(10, 20), (40, 50), (55, 55)], first=6, stop=80, frames_per_day=37)
    assert detection == Detection(found=(0, None, 0), n_false_alarms=1, n_days=2.0)
    assert detection.n_found == 2


def test_a_window_is_found_by_its_first_alarm():
    assert judge([19, 13], [(10, 20)], 0, 100, 1.0).found == (3,)


def test_a_series_is_scored_from_the_forecast_of_the_frame_before():
    values = noise(300)
    values[200:204] += 40.0
    zeros = np.zeros(300)
    scored = score_series(values, zeros, SETTINGS)
    assert scored.scores.shape == (300,) and scored.scores[0] == 0.0
    assert scored.onsets == (200,)
    told = zeros.copy()
    told[199:203] = 40.0  # the predictor knew: no residual, no alarm
    assert score_series(values, told, SETTINGS).onsets == ()


def test_the_threshold_is_the_lowest_that_keeps_to_the_budget():
    values = noise(1500, seed=3)
    values[[400, 700, 1000]] += (8.0, 9.5, 11.0)
    zeros = np.zeros(1500)
    thresholds = []
    for budget in (0, 1, 2):
        settings = calibrate(values, zeros, SETTINGS, budget)
        assert len(score_series(values, zeros, settings).onsets) <= budget
        assert settings.release == pytest.approx(settings.threshold * SETTINGS.release / SETTINGS.threshold)
        thresholds.append(settings.threshold)
    assert thresholds == sorted(thresholds, reverse=True) and len(set(thresholds)) == 3


def test_a_series_that_is_never_healthy_has_no_threshold():
    values = noise(900)
    values[[200, 400, 600]] += 1000.0
    with pytest.raises(ValueError, match="more than 1 alarms"):
        calibrate(values, np.zeros(900), SETTINGS, 1)
