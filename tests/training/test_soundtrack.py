"""Soundtracks: words lie where they are said to lie, and the mix is what was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from training.speech.soundtrack import Mix, Spoken, Word, bounds, faded, noise, soundtrack, sped

RATE_HZ = 1000


def tone(n, amplitude=0.5):
    return (amplitude * np.sin(np.arange(n) * 0.9)).astype(np.float32)


def quiet(n):
    return np.zeros(n, np.float32)


def test_the_bounds_are_those_of_the_loud_part_to_a_block():
    start, end = bounds(np.concatenate([quiet(300), tone(200), quiet(400)]), RATE_HZ)
    assert abs(start - 300) <= 10 and abs(end - 500) <= 10


def test_a_pause_within_a_word_is_bridged_and_a_click_far_off_is_not():
    word = np.concatenate([tone(200), quiet(150), tone(100)])
    far = np.concatenate([quiet(100), tone(20, 0.3), quiet(400), word, quiet(300)])
    start, end = bounds(far, RATE_HZ)
    assert abs(start - 520) <= 10 and abs(end - 970) <= 10


def test_silence_and_short_sounds_have_bounds():
    assert bounds(quiet(25), RATE_HZ) == (0, 25)
    assert bounds(tone(1), RATE_HZ) == (0, 1)


def test_words_lie_where_they_are_said_to_lie():
    words = [Word.of(label, np.concatenate([quiet(50), tone(100), quiet(50)]), RATE_HZ) for label in "ab"]
    track = soundtrack(words, RATE_HZ, Mix(gap_s=(0.2, 0.2)), np.random.default_rng(0))
    assert [one.label for one in track.spoken] == ["a", "b"]
    for one, begin in zip(track.spoken, (250, 650), strict=True):
        assert abs(one.start - begin) <= 10 and abs(one.end - begin - 100) <= 10
        inside = np.abs(track.samples[one.start + 15 : one.end - 15]).mean()
        assert inside > 100 * np.abs(track.samples[one.start - 40 : one.start - 20]).mean()
    assert len(track.samples) == 2 * 200 + 3 * 200


def test_what_does_not_fit_is_cut_off_with_its_time():
    words = [Word("a", tone(100), 0, 100)] * 3
    track = soundtrack(words, RATE_HZ, Mix(gap_s=(0.1, 0.1)), np.random.default_rng(0), n_samples=350)
    assert len(track.samples) == 350
    assert track.spoken == (Spoken("a", 100, 200),)


def test_a_faster_word_is_shorter_and_higher():
    words = [Word("a", tone(1000), 0, 1000)]
    track = soundtrack(words, RATE_HZ, Mix(gap_s=(0.0, 0.0), speed=(2.0, 2.0)), np.random.default_rng(0))
    assert track.spoken == (Spoken("a", 0, 500),)
    line = np.arange(100, dtype=np.float32)
    np.testing.assert_allclose(sped(line, 2.0), line[::2])


def test_noise_has_the_level_that_was_asked_for():
    rng = np.random.default_rng(1)
    for _ in range(6):
        made = noise(4000, rng, [tone(70)])
        assert made.shape == (4000,) and float(np.sqrt(np.square(made).mean())) == pytest.approx(1.0, abs=1e-3)
    track = soundtrack([], RATE_HZ, Mix(noise_db=(-40.0, -40.0)), rng, n_samples=4000)
    assert float(np.sqrt(np.square(track.samples).mean())) == pytest.approx(0.01, rel=1e-3)


def test_fading_begins_and_ends_at_nothing():
    shaped = faded(np.ones(100, np.float32), RATE_HZ)
    np.testing.assert_allclose(shaped[:6], [0, 0.2, 0.4, 0.6, 0.8, 1.0], atol=1e-6)
    np.testing.assert_array_equal(shaped, shaped[::-1])
