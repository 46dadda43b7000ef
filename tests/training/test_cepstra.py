"""Cepstra varied: a warp moves a peak the right way and leaves a flat spectrum, and the pace sets the length."""

from __future__ import annotations

import numpy as np
import pytest

from training.speech.cepstra import SPHINX, MelBank, Variation, warp_matrix

STILL = Variation(pace=(1.0, 1.0), tract=(1.0, 1.0), colour=0.0, noise=0.0)


def test_filters_lie_evenly_in_mel():
    centres = MelBank(n_filters=3, low_hz=0.0, high_hz=700.0).centres()  # 700 Hz are 2595 log10(2) mel
    np.testing.assert_allclose(centres, 2595.0 * np.log10(2.0) * np.array([0.25, 0.5, 0.75]))


def test_no_warp_changes_nothing():
    np.testing.assert_allclose(warp_matrix(1.0, 13), np.eye(13), atol=1e-6)


@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_a_flat_spectrum_stays_flat(factor):
    flat = np.zeros(13)
    flat[0] = 3.0  # the sum of all filters, no shape
    np.testing.assert_allclose(warp_matrix(factor, 13) @ flat, flat, atol=1e-6)


def test_a_warp_moves_a_peak_as_far_as_asked():
    cosines = np.cos(np.pi * np.arange(40)[:, None] * (np.arange(40) + 0.5) / 40)
    peak = np.exp(-0.5 * ((np.arange(40) - 20) / 3.0) ** 2)
    warped = np.linalg.solve(cosines, warp_matrix(1.1, 40) @ cosines @ peak)
    hz = 700.0 * (10.0 ** (SPHINX.centres() / 2595.0) - 1.0)
    wanted = int(np.abs(hz - hz[20] / 1.1).argmin())
    assert warped.argmax() == wanted < 20


def test_a_still_variation_gives_the_same():
    features = np.random.default_rng(0).standard_normal((7, 13)).astype(np.float32)
    varied = STILL.varied(features, np.ones(13, np.float32), np.random.default_rng(1))
    np.testing.assert_allclose(varied, features, atol=1e-5)


def test_the_pace_sets_the_length_and_keeps_the_ends():
    features = np.repeat(np.arange(9, dtype=np.float32)[:, None], 13, axis=1)
    slow = Variation(pace=(2.0, 2.0), tract=(1.0, 1.0), colour=0.0, noise=0.0)
    varied = slow.varied(features, np.ones(13, np.float32), np.random.default_rng(1))
    assert varied.shape == (18, 13)
    np.testing.assert_allclose(varied[:, 0], np.linspace(0.0, 8.0, 18), atol=1e-4)


def test_a_colour_is_one_constant_a_coefficient_and_in_its_deviations():
    deviations = np.where(np.arange(13) < 6, 10.0, 0.0).astype(np.float32)
    coloured = Variation(pace=(1.0, 1.0), tract=(1.0, 1.0), colour=1.0, noise=0.0)
    change = coloured.varied(np.zeros((5, 13), np.float32), deviations, np.random.default_rng(1))
    assert np.ptp(change, axis=0).max() == 0.0 and (change[0, :6] != 0).all() and (change[0, 6:] == 0).all()
