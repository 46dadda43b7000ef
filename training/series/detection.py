"""Detection: alarms of an anomaly score against labelled windows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streamrnn.decode import AnomalyScore, AnomalySettings

Window = tuple[int, int]
"""First and last frame of a labelled anomaly."""


@dataclass(frozen=True)
class Scored:
    """A series run through the score.

    Attributes:
        scores: (n,) float64, 0 .. 1.
        onsets: frames at which an alarm began, rising.
    """

    scores: NDArray[np.float64]
    onsets: tuple[int, ...]


def score_series(observed: NDArray[np.float64], outputs: NDArray[np.float64], settings: AnomalySettings) -> Scored:
    """Run one series through a fresh score.

    Args:
        observed: (n,), before the settings' scale and shift.
        outputs: (n,), the predictor's output for each frame: its prediction of the next.
        settings: of the score.
    """
    score = AnomalyScore(settings)
    verdicts = [score.frame(float(x), float(y)) for x, y in zip(observed, outputs, strict=True)]
    return Scored(
        scores=np.array([verdict.score for verdict in verdicts]),
        onsets=tuple(i for i, verdict in enumerate(verdicts) if verdict.onset),
    )


@dataclass(frozen=True)
class Detection:
    """How alarms and labelled windows met.

    Attributes:
        found: for each window, frames from its beginning to the first alarm in it, or None where there was none.
        n_false_alarms: alarms outside every window.
        n_days: length of what was judged, in days.
    """

    found: tuple[int | None, ...]
    n_false_alarms: int
    n_days: float

    @property
    def n_found(self) -> int:
        """Windows with at least one alarm."""
        return sum(delay is not None for delay in self.found)


def judge(onsets: Sequence[int], windows: Sequence[Window], first: int, stop: int, frames_per_day: float) -> Detection:
    """Hold the alarms in frames first .. stop - 1 against the labelled windows."""
    judged = [onset for onset in onsets if first <= onset < stop]
    return Detection(
        found=tuple(min((i - begin for i in judged if begin <= i <= end), default=None) for begin, end in windows),
        n_false_alarms=sum(not any(begin <= i <= end for begin, end in windows) for i in judged),
        n_days=(stop - first) / frames_per_day,
    )


def calibrate(
    observed: NDArray[np.float64], outputs: NDArray[np.float64], settings: AnomalySettings, n_alarms: int
) -> AnomalySettings:
    """Set the threshold to the lowest that raises at most `n_alarms` alarms on a healthy series.

    The search goes down from 1 in steps of 0.01 and stops before the first threshold with more alarms; `release` keeps
    its share of the threshold.

    Raises:
        ValueError: even a threshold of 1 raises more alarms.
    """
    share, best = settings.release / settings.threshold, None
    for hundredths in range(100, 1, -1):
        threshold = hundredths / 100.0
        tried = replace(settings, threshold=threshold, release=round(threshold * share, 4))
        if len(score_series(observed, outputs, tried).onsets) > n_alarms:
            break
        best = tried
    if best is None:
        raise ValueError(f"a threshold of 1 raises more than {n_alarms} alarms on the healthy series")
    return best
