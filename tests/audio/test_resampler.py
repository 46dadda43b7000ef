"""A resampler passes what it should, stops what would fold back, and no chunking changes a bit."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamrnn import Resampler
from streamrnn.audio.resampler import COMMON_HZ
from streamrnn.errors import FrameError, OptionError, SnapshotError

PAIRS = [(a, b) for a, b in product(COMMON_HZ, COMMON_HZ) if a != b]
SOME = [(8000, 16000), (16000, 8000), (48000, 16000), (44100, 16000), (16000, 44100), (11025, 32000), (24000, 22050)]
NOISE = np.random.default_rng(2).normal(0, 0.1, 4000).astype(np.float32)


def tone(hz: float, rate_hz: float, n: int) -> np.ndarray:
    """A sine of amplitude 1 (n,) float32."""
    return np.sin(2 * np.pi * hz * np.arange(n) / rate_hz).astype(np.float32)


def level_db(y: np.ndarray) -> float:
    """The root mean square over that of a sine of amplitude 1, in dB."""
    return float(10 * np.log10(2 * np.mean(y.astype(np.float64) ** 2) + 1e-30))


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_the_filter_of_each_pair_of_rates(from_hz, to_hz):
    """Its own frequency response: the sum over the weights in float64."""
    resampler = Resampler(from_hz, to_hz)
    up = resampler._up
    weights = resampler._phases[:, ::-1].T.ravel() / up
    response = np.abs(np.fft.rfft(weights, 1 << int(np.ceil(np.log2(8 * weights.size)))))
    hz = np.linspace(0, from_hz * up / 2, response.size)
    nyquist = min(from_hz, to_hz) / 2
    passed, stopped = response[hz <= 0.9 * nyquist], response[hz >= nyquist]
    assert 20 * np.log10(passed.max() / passed.min()) < 0.01
    assert 20 * np.log10(stopped.max()) < -80


@pytest.mark.parametrize(("from_hz", "to_hz"), SOME)
def test_tones_pass_and_their_images_do_not(from_hz, to_hz):
    """Sweeps over the pass-band: each tone comes out as loud as it went in, alone, at the time that `delay` tells."""
    nyquist = min(from_hz, to_hz) / 2
    for share in (0.01, 0.1, 0.25, 0.5, 0.7, 0.85, 0.9):
        resampler = Resampler(from_hz, to_hz)
        hz = share * nyquist
        y = resampler.push(tone(hz, from_hz, from_hz // 4))
        expected = tone(hz, to_hz, y.size)[: y.size - resampler.delay]
        settled = slice(resampler.delay, None)  # the start of a tone is no tone
        error = (y[resampler.delay :] - expected)[settled]
        assert abs(level_db(y[2 * resampler.delay :]) - level_db(expected[settled])) < 0.1
        assert level_db(error) < -70


@pytest.mark.parametrize(("from_hz", "to_hz"), [pair for pair in SOME if pair[0] > pair[1]])
def test_what_would_fold_back_is_stopped(from_hz, to_hz):
    for hz in np.linspace(to_hz / 2, from_hz / 2, 12)[:-1]:
        resampler = Resampler(from_hz, to_hz)
        y = resampler.push(tone(hz, from_hz, from_hz // 4))
        assert level_db(y[2 * resampler.delay :]) < -70


@settings(max_examples=30)
@given(pair=st.sampled_from(SOME), cuts=st.lists(st.integers(0, NOISE.size), max_size=30))
def test_any_chunking_gives_the_same_bits(pair, cuts):
    whole, cut = Resampler(*pair), Resampler(*pair)
    found = np.concatenate([cut.push(chunk) for chunk in np.split(NOISE, sorted(cuts))])
    assert np.array_equal(found, whole.push(NOISE))
    assert np.array_equal(cut.flush(), whole.flush())


def test_one_sample_at_a_time():
    whole, cut = Resampler(44100, 16000), Resampler(44100, 16000)
    found = np.concatenate([cut.push(NOISE[n : n + 1]) for n in range(NOISE.size)])
    assert np.array_equal(found, whole.push(NOISE))


@settings(max_examples=30)
@given(pair=st.sampled_from(SOME), at=st.integers(0, 2 * NOISE.size))
def test_a_state_goes_on_elsewhere(pair, at):
    blob = np.rint(NOISE * 32767).astype("<i2").tobytes()
    whole, first, second = Resampler(*pair), Resampler(*pair), Resampler(*pair)
    head = first.push(blob[:at])
    second.restore(first.state())
    assert second.state() == first.state()
    assert np.array_equal(np.concatenate([head, second.push(blob[at:])]), whole.push(blob))


@pytest.mark.parametrize(("from_hz", "to_hz"), SOME)
def test_flush_gives_all_of_the_sound(from_hz, to_hz):
    resampler = Resampler(from_hz, to_hz)
    y = np.concatenate([resampler.push(NOISE), resampler.flush()])
    assert 0 <= y.size - resampler.delay - NOISE.size * to_hz / from_hz <= to_hz / from_hz + 1
    again = np.concatenate([resampler.push(NOISE), resampler.flush()])
    assert np.array_equal(y, again)


def test_one_rate_is_left_alone():
    resampler = Resampler(16000, 16000)
    assert (resampler.delay, resampler.delay_s) == (0, 0.0)
    assert np.array_equal(resampler.push(NOISE), NOISE)
    assert resampler.flush().size == 0
    resampler.restore(resampler.state())


def test_delays_are_short():
    assert max(Resampler(*pair).delay_s for pair in PAIRS) < 0.008


@pytest.mark.parametrize("pair", [(0, 8000), (8000, -1), (8000, float("nan")), (8000, 8000 * 65), (float("inf"), 1)])
def test_rates_that_cannot_be_are_refused(pair):
    with pytest.raises(OptionError, match="rates"):
        Resampler(*pair)


def test_odd_ratios_are_refused_with_the_common_rates():
    with pytest.raises(OptionError, match="8000, 11025"):
        Resampler(16000, 16001)


def test_other_samples_are_refused_and_nothing_is_taken():
    resampler = Resampler(8000, 16000)
    resampler.push(NOISE)
    before = resampler.state()
    for bad in (np.zeros(3), np.array([np.inf], np.float32)):
        with pytest.raises(FrameError):
            resampler.push(bad)
    assert resampler.state() == before


def test_states_of_other_rates_are_refused():
    resampler = Resampler(8000, 16000)
    blob = resampler.state()
    for bad in (b"", blob[:-2], Resampler(16000, 8000).state(), Resampler(8000, 24000).state()):
        with pytest.raises(SnapshotError):
            resampler.restore(bad)
    assert resampler.state() == blob
