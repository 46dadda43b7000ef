"""Forecasts of a labelled series: the borders of its parts, the residuals, and what a predictor is worth.

A predictor gives for each frame the next value, in standard deviations of the training part from its mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamrnn.decode import AnomalySettings
from training.report import Line
from training.series import recordings
from training.series.detection import Detection, calibrate, judge, score_series
from training.sets.nab import Series

FRAMES_PER_DAY = 288
N_HEALTHY_ALARMS = 1
"""Alarms allowed on the training period, a little over a week: the threshold is the lowest that keeps to it."""


@dataclass(frozen=True)
class Split:
    """The series with its borders: training 0 .. n_train, validation up to n_healthy, test after it."""

    series: Series
    n_train: int
    n_healthy: int

    @classmethod
    def of(cls, series: Series) -> "Split":
        """Draw the borders: the healthy part ends where the first window begins, and its last 15 % validate."""
        n_healthy = series.index_of(series.windows[0][0])
        return cls(series, round(n_healthy * 0.85), n_healthy)


def normalised(values: NDArray[np.float64], split: Split) -> NDArray[np.float64]:
    """Give values (n,) in standard deviations of the training part from its mean."""
    known = split.series.values[: split.n_train]
    return np.asarray((values - known.mean()) / known.std())


def residuals(values: NDArray[np.float64], outputs: NDArray[np.float64], split: Split) -> NDArray[np.float64]:
    """Give observed less predicted, normalised; (n,), the first one 0 because nothing predicted it."""
    return np.concatenate([[0.0], normalised(values, split)[1:] - outputs[:-1]])


def rmse(residual: NDArray[np.float64]) -> float:
    """Give the root of the mean square."""
    return float(np.sqrt(np.mean(residual**2)))


@dataclass(frozen=True)
class Judged:
    """Everything measured of one predictor."""

    rmse: float
    mae: float
    settings: AnomalySettings
    nab: Detection
    recording: Detection


def judge_predictor(
    split: Split, outputs: NDArray[np.float64], recording: NDArray[np.float64], recording_outputs: NDArray[np.float64]
) -> Judged:
    """Measure a predictor on the test part of the series and on the bundled recording.

    Args:
        split: the series and its borders.
        outputs: (n,) for every frame of the series.
        recording: (m,) values of the bundled recording.
        recording_outputs: (m,).
    """
    series, n_healthy = split.series, split.n_healthy
    known = series.values[: split.n_train]
    normaliser = AnomalySettings(scale=float(1.0 / known.std()), shift=float(-known.mean() / known.std()))
    settings = calibrate(series.values[:n_healthy], outputs[:n_healthy], normaliser, N_HEALTHY_ALARMS)
    windows = [(series.index_of(first), series.index_of(last)) for first, last in series.windows]
    faults = [(fault.first, fault.last) for fault in recordings.FAULTS]
    onsets = score_series(series.values, outputs, settings).onsets
    recording_onsets = score_series(recording, recording_outputs, settings).onsets
    test = residuals(series.values, outputs, split)[n_healthy:]
    return Judged(
        rmse=rmse(test),
        mae=float(np.abs(test).mean()),
        settings=settings,
        nab=judge(onsets, windows, n_healthy, len(series.values), FRAMES_PER_DAY),
        recording=judge(recording_onsets, faults, 0, len(recording), FRAMES_PER_DAY),
    )


def lines_of(judged: Sequence[Judged]) -> list[Line]:
    """Lay the figures out as a table, one column a predictor."""

    def line(figure: str, values: Sequence[float | int | str]) -> Line:
        return Line(figure, tuple(values))

    def found(detection: Detection) -> str:
        return f"{detection.n_found} of {len(detection.found)}"

    return [
        line("test RMSE, one step (standard deviations)", [one.rmse for one in judged]),
        line("test MAE, one step (standard deviations)", [one.mae for one in judged]),
        line("threshold of the score", [one.settings.threshold for one in judged]),
        line("labelled windows found", [found(one.nab) for one in judged]),
        line("false alarms", [one.nab.n_false_alarms for one in judged]),
        line("days judged", [round(one.nab.n_days, 1) for one in judged]),
        line("bundled recording: faults found", [found(one.recording) for one in judged]),
        line("bundled recording: false alarms", [one.recording.n_false_alarms for one in judged]),
    ]


def verdict_of(model: Judged, persistence: Judged) -> str:
    """Say in one or two sentences whether the model is worth having."""
    gain = 1.0 - model.rmse / persistence.rmse
    prediction = (
        f"As a predictor the GRU is {gain:.1%} better than persistence (RMSE)."
        if gain > 0
        else f"As a predictor the GRU is no better than persistence (RMSE {-gain:.1%} worse)."
    )
    found, found_by_persistence = model.nab.n_found, persistence.nab.n_found
    alarms, alarms_of_persistence = model.nab.n_false_alarms, persistence.nab.n_false_alarms
    if (found, alarms) == (found_by_persistence, alarms_of_persistence):
        word = "no better"
    elif found >= found_by_persistence and alarms <= alarms_of_persistence:
        word = "better"
    elif found > found_by_persistence:
        word = "more sensitive, at the price of false alarms"
    elif found == found_by_persistence or alarms >= alarms_of_persistence:
        word = "worse"
    else:
        word = "less sensitive, with fewer false alarms"
    return (
        f"{prediction} As a detector under the same score it is {word}: {found} windows and {alarms} false alarms, "
        f"persistence {found_by_persistence} and {alarms_of_persistence}."
    )
