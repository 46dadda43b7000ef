"""Triggers: smoothing, two thresholds and rest, frame by frame and over hours at once."""

from __future__ import annotations

import numpy as np
import pytest

from training.speech.triggers import Trigger, TriggerSettings, onsets, smoothed


def fired(scores, settings):
    trigger = Trigger(settings)
    return [i for i, score in enumerate(scores) if trigger.frame(float(score))]


@pytest.mark.parametrize(
    ("scores", "settings", "expected"),
    [
        ([0.0, 0.9, 0.9, 0.1, 0.9], TriggerSettings(0.5, 0.2, 1, 0), [1, 4]),
        ([0.0, 0.9, 0.3, 0.9, 0.1, 0.9], TriggerSettings(0.5, 0.2, 1, 0), [1, 5]),  # 0.3 does not release
        ([0.9, 0.0, 0.9, 0.0, 0.9], TriggerSettings(0.5, 0.2, 1, 2), [0, 4]),  # frame 2 is within the rest
        ([0.0, 0.0, 1.0, 1.0, 1.0], TriggerSettings(0.6, 0.3, 3, 0), [3]),  # means 0, 0, 1/3, 2/3, 1
        ([1.0, 0.0, 0.0], TriggerSettings(0.9, 0.3, 3, 0), [0]),  # at the beginning of as many as there were
        ([0.5, 0.5], TriggerSettings(0.5, 0.5, 1, 0), [0]),  # the threshold itself fires, and releases nothing
    ],
)
def test_by_hand(scores, settings, expected):
    assert fired(scores, settings) == expected
    assert onsets(np.array(scores), settings) == expected


@pytest.mark.parametrize("seed", range(8))
def test_hours_at_once_are_what_single_frames_are(seed):
    rng = np.random.default_rng(seed)
    scores = np.clip(np.cumsum(rng.normal(0, 0.2, 3000)) % 1.3, 0, 1)
    threshold = float(rng.uniform(0.3, 0.9))
    settings = TriggerSettings(threshold, threshold * 0.6, int(rng.integers(1, 9)), int(rng.integers(0, 40)))
    assert onsets(scores, settings) == fired(scores, settings) != []


def test_a_score_that_never_falls_fires_once():
    assert onsets(np.ones(100), TriggerSettings(0.5, 0.2, 4, 3)) == [0]
    assert onsets(np.zeros(100), TriggerSettings(0.5, 0.2, 4, 3)) == []


def test_means_of_columns():
    scores = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 4.0]])
    np.testing.assert_allclose(smoothed(scores, 2), [[1.0, 0.0], [0.5, 1.0], [0.0, 3.0]])
