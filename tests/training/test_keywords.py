"""Keywords judged: clips by their best label, recordings by their events, shares by their interval."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn.decode import LabelSettings
from training.proportion import interval
from training.speech.keywords import confusion, decided, hear
from training.speech.soundtrack import Spoken

LABELS = ("none", "a", "b")
SETTINGS = LabelSettings(input="probability", threshold=0.5, release=0.25, refractory_s=0.1)


def posteriors(n, *events):
    rows = np.zeros((n, 3), np.float32)
    for frame, label in events:
        rows[frame : frame + 3, label] = 0.9
    return rows


def test_a_clip_is_its_best_label_or_none():
    rows = np.zeros((30, 3), np.float32)
    rows[10:18, 2], rows[20:28, 1] = 0.8, 0.7
    assert decided(rows, 0.5) == 2 and decided(rows, 0.85) == 0
    rows[10:14, 2] = 0.0  # smoothed over eight frames: half of 0.8 is left
    assert decided(rows, 0.5) == 1


def test_confusion_has_the_truth_in_rows():
    np.testing.assert_array_equal(confusion([0, 1, 1, 2], [0, 1, 2, 2], 3), [[1, 0, 0], [0, 1, 1], [0, 0, 1]])


def test_events_are_held_against_the_words_of_their_label():
    spoken = (Spoken("a", 320 * 10, 320 * 20), Spoken("b", 320 * 60, 320 * 70), Spoken("a", 320 * 150, 320 * 160))
    rows = posteriors(200, (22, 1), (65, 1), (72, 2), (120, 2))
    heard = hear(rows, spoken, LABELS, ("a", "b"), SETTINGS)
    assert (heard.n_words, heard.n_found, heard.n_false) == (3, 2, 2)  # a within b, and b in a pause
    assert heard.hours == pytest.approx(4.0 / 3600) and heard.false_per_hour == pytest.approx(1800.0)
    assert heard.delays_s == pytest.approx((0.06, 0.06)) and heard.share_found == pytest.approx(2 / 3)
    assert hear(rows, spoken, LABELS, ("b",), SETTINGS).n_words == 1


def test_the_interval_of_a_share():
    low, high = interval(50, 100)
    assert (low, high) == pytest.approx((0.4038, 0.5962), abs=1e-4)  # Wilson 1927, tables
    low, high = interval(10, 10)
    assert high == pytest.approx(1.0) and low == pytest.approx(0.7225, abs=1e-4)
