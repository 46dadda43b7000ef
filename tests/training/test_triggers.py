"""Triggers: over hours at once they fire where a label decoder does."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn.decode import Facts, LabelSettings, make_decoder
from training.speech.triggers import onsets, smoothed

RATE_HZ = 10.0


def settings_of(threshold, release, smooth_s=0.0, refractory_s=0.0):
    return LabelSettings(
        input="probability", threshold=threshold, release=release, smooth_s=smooth_s, refractory_s=refractory_s
    )


def fired(scores, settings):
    decoder = make_decoder(settings, Facts(1, 1, ("yes",), rate_hz=RATE_HZ))
    ys = np.asarray(scores, np.float32)[:, None]
    return [event.seq for event in decoder.feed(0, ys, ys)]


@pytest.mark.parametrize(
    ("scores", "settings", "expected"),
    [
        ([0.0, 0.9, 0.9, 0.1, 0.9], settings_of(0.5, 0.2), [1, 4]),
        ([0.0, 0.9, 0.3, 0.9, 0.1, 0.9], settings_of(0.5, 0.2), [1, 5]),  # 0.3 does not release
        ([0.9, 0.0, 0.9, 0.0, 0.9], settings_of(0.5, 0.2, refractory_s=0.3), [0, 4]),  # frame 2 is within the rest
        ([0.0, 0.0, 1.0, 1.0, 1.0], settings_of(0.6, 0.3, smooth_s=0.3), [3]),  # means 0, 0, 1/3, 2/3, 1
        ([1.0, 0.0, 0.0], settings_of(0.9, 0.3, smooth_s=0.3), [0]),  # at the beginning of as many as there were
        ([0.5, 0.5], settings_of(0.5, 0.5), [0]),  # the threshold itself fires, and releases nothing
    ],
)
def test_by_hand(scores, settings, expected):
    assert fired(scores, settings) == expected
    assert onsets(np.array(scores), settings, RATE_HZ) == expected


@pytest.mark.parametrize("seed", range(8))
def test_hours_at_once_are_what_single_frames_are(seed):
    rng = np.random.default_rng(seed)
    scores = np.clip(np.cumsum(rng.normal(0, 0.2, 3000)) % 1.3, 0, 1).astype(np.float32)
    threshold = float(rng.uniform(0.3, 0.9))
    settings = settings_of(threshold, threshold * 0.6, int(rng.integers(1, 9)) / 10, int(rng.integers(0, 40)) / 10)
    assert onsets(scores, settings, RATE_HZ) == fired(scores, settings) != []


def test_a_score_that_never_falls_fires_once():
    assert onsets(np.ones(100), settings_of(0.5, 0.2, 0.4, 0.3), RATE_HZ) == [0]
    assert onsets(np.zeros(100), settings_of(0.5, 0.2, 0.4, 0.3), RATE_HZ) == []


def test_means_of_columns():
    scores = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 4.0]])
    np.testing.assert_allclose(smoothed(scores, 2), [[1.0, 0.0], [0.5, 1.0], [0.0, 3.0]])
