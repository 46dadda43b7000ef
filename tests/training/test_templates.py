"""The baseline cuts at quiet places and names the most similar template."""

from __future__ import annotations

import numpy as np
import pytest

from training.speech.digits_net import LOGMEL
from training.speech.templates import Templates

RATE_HZ = 8000


def tone(hz: float, seconds: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def gap(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE_HZ), np.float32)


@pytest.fixture(scope="module")
def templates() -> Templates:
    words = (0, 0, 0, 1, 1, 1)
    return Templates([tone(400 + 900 * word + i, 0.3 + 0.05 * i) for i, word in enumerate(words)], words, LOGMEL)


def test_words_between_pauses(templates):
    said = np.concatenate([gap(0.3), tone(1310, 0.4), gap(0.2), tone(402, 0.3), gap(0.1), tone(400, 0.35), gap(0.5)])
    assert templates.words(said) == (1, 0, 0)


def test_short_gaps_are_within_a_word_and_short_or_long_sounds_are_none(templates):
    split = np.concatenate([gap(0.2), tone(400, 0.2), gap(0.05), tone(400, 0.2), gap(0.2)])
    assert templates.segments(split) == [(1600, 5200)]
    assert templates.words(np.concatenate([gap(0.2), tone(400, 0.04), gap(0.2)])) == ()
    assert templates.words(np.concatenate([gap(0.2), tone(400, 2.0), gap(0.2)])) == ()


def test_silence_holds_no_word(templates):
    assert templates.words(gap(1.0)) == () and templates.words(np.zeros(0, np.float32)) == ()
