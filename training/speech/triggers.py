"""Triggers: from a score a frame to events, by smoothing, two thresholds and a time of rest."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TriggerSettings:
    """When a trigger fires.

    Attributes:
        threshold: the smoothed score that fires, 0 .. 1.
        release: below it the trigger can fire again, at most `threshold`.
        smooth_frames: frames that the score is the mean of, at least 1; at the beginning as many as there were.
        refractory_frames: frames of rest after an event.
    """

    threshold: float
    release: float
    smooth_frames: int
    refractory_frames: int


class Trigger:
    """One session's trigger, frame by frame."""

    def __init__(self, settings: TriggerSettings) -> None:
        """Begin ready to fire."""
        self.settings = settings
        self.is_armed, self.n_since_event = True, settings.refractory_frames
        self.newest: deque[float] = deque(maxlen=settings.smooth_frames)

    def frame(self, score: float) -> bool:
        """Take one score; say whether an event begins with it."""
        settings = self.settings
        self.newest.append(score)
        smooth = sum(self.newest) / len(self.newest)
        self.n_since_event += 1
        self.is_armed = self.is_armed or smooth < settings.release
        if self.is_armed and smooth >= settings.threshold and self.n_since_event > settings.refractory_frames:
            self.is_armed, self.n_since_event = False, 0
            return True
        return False


def smoothed(scores: NDArray[np.floating], n: int) -> NDArray[np.float64]:
    """The mean of the newest `n` scores at each frame, at the beginning of as many as there were.

    Args:
        scores: (n_frames,) or (n_frames, n_labels).
        n: at least 1.

    Returns:
        The same shape, float64.
    """
    sums = np.cumsum(np.concatenate([np.zeros((n, *scores.shape[1:])), scores.astype(np.float64)]), axis=0)
    counts = np.minimum(np.arange(1, len(scores) + 1), n)
    return np.asarray((sums[n:] - sums[:-n]) / counts.reshape(-1, *[1] * (scores.ndim - 1)), dtype=np.float64)


def onsets(scores: NDArray[np.floating], settings: TriggerSettings) -> list[int]:
    """Frames at which a fresh trigger fires over scores (n_frames,), as `Trigger` does, but for the last bit of a mean.

    Hours of frames in no time: it goes from event to event.
    """
    smooth = smoothed(scores, settings.smooth_frames)
    above, below = np.flatnonzero(smooth >= settings.threshold), np.flatnonzero(smooth < settings.release)
    found, i = [], 0
    while (at := int(np.searchsorted(above, i))) < len(above):
        found.append(int(above[at]))
        released = int(np.searchsorted(below, found[-1]))
        if released == len(below):
            break
        i = max(int(below[released]), found[-1] + settings.refractory_frames + 1)
    return found
