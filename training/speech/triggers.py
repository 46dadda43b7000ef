"""Triggers over hours at once: when a label decoder fires, of one score a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamrnn.decode import LabelSettings


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


def onsets(scores: NDArray[np.floating], settings: LabelSettings, rate_hz: float) -> list[int]:
    """Frames at which a fresh label decoder fires that watches one label, but for the last bit of a mean.

    Hours of frames in no time: it goes from event to event.

    Args:
        scores: (n_frames,) probabilities of the label.
        settings: of mode `keyword`.
        rate_hz: frames a second.
    """
    smooth = smoothed(scores, max(1, round(settings.smooth_s * rate_hz)))
    above, below = np.flatnonzero(smooth >= settings.threshold), np.flatnonzero(smooth < settings.release)
    found, i = [], 0
    while (at := int(np.searchsorted(above, i))) < len(above):
        found.append(int(above[at]))
        released = int(np.searchsorted(below, found[-1]))
        if released == len(below):
            break
        i = max(int(below[released]), found[-1] + round(settings.refractory_s * rate_hz))
    return found
