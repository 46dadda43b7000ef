"""Noises, disturbances and mixtures: levels and lengths are those asked for, labels are those said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.speech.disturbance import Disturbance, masked
from training.speech.mixture import Mixture, Source
from training.speech.noises import KINDS, no_speech, noise

RATE_HZ = 8000
SINE = (0.5 * np.sin(np.arange(8000) / 3)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_sounds_have_their_level_and_their_seed(kind):
    one, again, other = (no_speech(RATE_HZ, RATE_HZ, np.random.default_rng(seed), kind) for seed in (1, 1, 2))
    assert one.dtype == np.float32 and one.shape == (RATE_HZ,)
    assert np.sqrt(np.mean(one.astype(np.float64) ** 2)) == pytest.approx(1.0, rel=1e-3)
    assert np.array_equal(one, again) and not np.array_equal(one, other)


@pytest.mark.parametrize("slope_db", [0.0, -3.0, -6.0])
def test_noise_falls_by_its_slope(slope_db):
    power = np.abs(np.fft.rfft(noise(2**18, np.random.default_rng(0), slope_db))) ** 2
    low, high = power[2**14 : 2**15].mean(), power[2**15 : 2**16].mean()
    assert 10 * np.log10(high / low) == pytest.approx(slope_db, abs=0.3)


def test_pace_changes_the_length():
    rng = np.random.default_rng(0)
    lengths = [len(Disturbance(pace=(0.5, 2.0)).stretched(SINE, rng)) for _ in range(50)]
    assert 4000 <= min(lengths) < 5500 and 12_000 < max(lengths) <= 16_000


def test_a_quiet_channel_keeps_the_sound_and_sets_its_level():
    still = Disturbance(peak_db=(-12.0, -12.0), colour_db=0.0, snr_db=(60.0, 60.0))
    seeds = [seed for seed in range(40) if np.random.default_rng(seed).random() >= 0.8]  # not coloured
    got = still.disturbed(SINE, np.random.default_rng(seeds[0]))
    assert np.abs(got).max() == pytest.approx(10 ** (-12 / 20), rel=0.02)
    assert np.corrcoef(got, SINE)[0, 1] > 0.999


def test_noise_stands_at_its_distance_from_speech():
    loud = Disturbance(peak_db=(-20.0, -20.0), snr_db=(10.0, 10.0))
    speech = np.concatenate([SINE, np.zeros(8000, np.float32)])
    ratios = []
    for seed in range(8):
        got = loud.disturbed(speech, np.random.default_rng(seed)).astype(np.float64)
        ratios.append(10 * np.log10(np.mean(got[:8000] ** 2) / np.mean(got[8000:] ** 2)))
    assert 8.0 < np.median(ratios) < 13.0


def test_silence_becomes_noise_within_the_floor():
    got = Disturbance(floor_db=(-40.0, -40.0)).disturbed(np.zeros(8000, np.float32), np.random.default_rng(0))
    assert np.sqrt(np.mean(got.astype(np.float64) ** 2)) == pytest.approx(0.01, rel=0.05)


def test_masks_are_bands_and_stretches():
    got = masked(torch.ones(64, 100, 40), torch.Generator().manual_seed(0), n_bands=8, n_frames=8)
    assert set(got.unique().tolist()) == {0.0, 1.0}
    whole_bands = (got == 0).all(1).sum(-1)
    whole_frames = (got == 0).all(2).sum(-1)
    assert 0 < whole_bands.max() <= 8 and 0 < whole_frames.max() <= 16
    rest = (got == 0) & ~(got == 0).all(1, keepdim=True) & ~(got == 0).all(2, keepdim=True)
    assert not rest.any()


def test_mixtures_say_what_they_are_labelled_with():
    """Clip k is a constant k + 1 of its own length: with no disturbance, what stands in a sequence can be counted."""
    speaker = [[np.full(1000, k + 1, np.float32)] for k in range(3)]
    calm = Disturbance(pace=(1.0, 1.0))
    mixture = Mixture([Source(0.5, speakers=[speaker])], 16_000, 2000, calm)
    rng = np.random.default_rng(0)
    drawn = [mixture._sequence(rng) for _ in range(60)]
    silent = [one.samples for one in drawn if not one.words]
    assert 15 < len(silent) < 45 and not any(samples.any() for samples in silent)
    for one in drawn:
        samples, labels = one.samples, one.words
        assert len(one.ends) == len(labels) and all(samples[end - 1] for end in one.ends)
        assert samples.shape == (16_000,) and not samples[14_000:].any()
        assert np.count_nonzero(samples) <= 1000 * len(labels)
        assert np.count_nonzero(samples) >= 1000 * len(labels) - 240 * max(0, len(labels) - 1)


def test_phrases_and_other_words_bring_their_own_labels():
    phrase, other = np.ones(3000, np.float32), np.full(500, 2.0, np.float32)
    calm = Disturbance(pace=(1.0, 1.0))
    said = Mixture([Source(1.0, phrases=[(phrase, (4, 7))])], 20_000, 1000, calm)
    batch = said.batch(8, np.random.default_rng(0))
    assert tuple(batch.samples.shape) == (8, 20_000) and batch.samples.dtype == torch.float32
    assert all(one and one[:2] == (4, 7) and len(one) % 2 == 0 for one in batch.labels)
    assert batch.ends == [()] * 8, "where a word ends in a phrase is not known"
    unlabelled = Mixture([Source(1.0, phrases=[(other, ())])], 20_000, 1000, calm)
    batch = unlabelled.batch(8, np.random.default_rng(0))
    assert batch.labels == [()] * 8 and batch.samples.abs().amax(1).min() > 0.01
