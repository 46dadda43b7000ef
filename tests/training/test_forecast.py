"""Forecasts: residuals by hand, and a verdict that says it when the model is no better."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn.decode import AnomalySettings
from training.series.detection import Detection
from training.series.forecast import Judged, Split, judge_predictor, normalised, residuals, rmse, verdict_of
from training.sets.nab import Series


def split_of(values: np.ndarray, first: int, last: int) -> Split:
    times = np.datetime64("2020-01-01", "s") + np.arange(len(values)) * np.timedelta64(300, "s")
    return Split.of(Series(times, values, ((times[first], times[last]),)))


def test_borders_normalisation_and_residuals():
    values = np.array([1.0, 3.0] * 50)
    split = split_of(values, 40, 50)
    assert (split.n_train, split.n_healthy) == (34, 40)
    assert normalised(values, split)[:2].tolist() == [-1.0, 1.0]
    persistence = residuals(values, normalised(values, split), split)
    assert persistence[0] == 0.0 and set(np.abs(persistence[1:])) == {2.0}
    assert rmse(np.array([3.0, -4.0, 0.0])) == pytest.approx((25 / 3) ** 0.5)


def test_a_perfect_predictor_is_judged_perfect_outside_the_fault():
    rng = np.random.default_rng(0)
    values = 80.0 + rng.standard_normal(3000)
    values[2000:2010] += 60.0
    split = split_of(values, 1990, 2020)
    outputs = np.zeros(3000)
    outputs[:-1] = normalised(values, split)[1:] + 0.01 * rng.standard_normal(2999)
    outputs[1999:2009] -= 60.0 / values[: split.n_train].std()
    judged = judge_predictor(split, outputs, values[:500], outputs[:500])
    assert judged.nab.found == (10,) and judged.nab.n_false_alarms <= 1
    assert judged.recording.n_found == 0
    test = residuals(values, outputs, split)[1990:]
    assert (judged.rmse, judged.mae) == (rmse(test), pytest.approx(np.abs(test).mean()))
    assert judged.settings.scale == pytest.approx(1.0 / values[: split.n_train].std())


@pytest.mark.parametrize(
    ("rmse", "found", "n_false_alarms", "expected"),
    [
        (0.9, 3, 7, ["10.0% better", "no better"]),
        (0.9, 3, 11, ["10.0% better", "it is worse: 3 windows and 11 false alarms, persistence 3 and 7"]),
        (0.9, 2, 11, ["it is worse"]),
        (1.2, 4, 7, ["no better than persistence (RMSE 20.0% worse)", "it is better"]),
        (1.0, 4, 9, ["no better than persistence", "more sensitive"]),
        (1.0, 2, 1, ["less sensitive, with fewer"]),
    ],
)
def test_the_verdict_is_plain(rmse, found, n_false_alarms, expected):
    def judged(rmse: float, n_found: int, n_false_alarms: int) -> Judged:
        detection = Detection((1,) * n_found + (None,) * (4 - n_found), n_false_alarms, 70.0)
        return Judged(rmse, rmse, AnomalySettings(), detection, detection)

    verdict = verdict_of(judged(rmse, found, n_false_alarms), judged(1.0, 3, 7))
    assert all(words in verdict for words in expected)
