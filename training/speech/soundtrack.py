"""Soundtracks: long recordings made of single words, with gaps, gains and noise, and with the time of every word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Floats = NDArray[np.float32]

BLOCK_S = 0.01
"""Length of the blocks whose energies are compared."""
QUIET_RANGE_DB = 25.0
"""A block of speech is at most so far below the loudest of its recording."""
PAUSE_S = 0.2
"""Longest pause within a word, such as before the p of "stop"."""
RMS_FLOOR = 1e-5


@dataclass(frozen=True, eq=False)
class Word:
    """One recording with its label, and where in it the speech is.

    Attributes:
        label: what a model is to answer.
        samples: (n,) float32 in [-1, 1].
        start, end: first sample of the speech, and the one after the last.
    """

    label: str
    samples: Floats
    start: int
    end: int

    @classmethod
    def of(cls, label: str, samples: Floats, rate_hz: int) -> Word:
        """Find the speech by its energy."""
        return cls(label, samples, *bounds(samples, rate_hz))


@dataclass(frozen=True)
class Spoken:
    """A word in a soundtrack: its label, its first sample and the one after its last."""

    label: str
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Soundtrack:
    """Samples (n,) float32 in [-1, 1], and the words in order of their starts."""

    samples: Floats
    spoken: tuple[Spoken, ...]


@dataclass(frozen=True)
class Mix:
    """How a soundtrack is mixed; each pair is the range that a value is drawn from evenly.

    Attributes:
        gap_s: between two recordings.
        gain_db: of each recording.
        speed: of each recording; 1.1 is a tenth faster, and higher.
        noise_db: level (RMS) of the noise under all of it, full scale being 0 dB.
    """

    gap_s: tuple[float, float] = (0.1, 1.5)
    gain_db: tuple[float, float] = (0.0, 0.0)
    speed: tuple[float, float] = (1.0, 1.0)
    noise_db: tuple[float, float] = (-90.0, -90.0)


def bounds(samples: Floats, rate_hz: int) -> tuple[int, int]:
    """First sample of the word and the one after the last: of the stretches of loud blocks, the one of most energy.

    Args:
        samples: (n,), at least one.
        rate_hz: of them.
    """
    size = max(1, round(rate_hz * BLOCK_S))
    padded = np.pad(samples.astype(np.float64), (0, -len(samples) % size))
    energy = np.square(padded.reshape(-1, size)).mean(axis=1)
    smooth = np.convolve(energy, np.ones(3) / 3, mode="same")  # a lone click is no speech
    loud = np.flatnonzero(smooth >= smooth.max() * 10.0 ** (-QUIET_RANGE_DB / 10.0))
    stretches = np.split(loud, np.flatnonzero(np.diff(loud) > PAUSE_S / BLOCK_S) + 1)
    word = max(stretches, key=lambda blocks: float(smooth[blocks].sum()))
    return int(word[0]) * size, min((int(word[-1]) + 1) * size, len(samples))


def soundtrack(
    words: Sequence[Word],
    rate_hz: int,
    mix: Mix,
    rng: np.random.Generator,
    noises: Sequence[Floats] = (),
    n_samples: int = 0,
) -> Soundtrack:
    """Put words one after the other, over noise.

    Args:
        words: in this order.
        rate_hz: of them and of the result.
        mix: gaps, gains, speed and noise.
        rng: every chance comes from it.
        noises: recordings of noise, beside those that are made here.
        n_samples: length of the result; 0: as long as it takes. What does not fit is cut off, with its time.
    """
    pieces, spoken, at = [], [], 0
    for word in words:
        gap = round(rng.uniform(*mix.gap_s) * rate_hz)
        speed = rng.uniform(*mix.speed)
        samples = word.samples if speed == 1.0 else sped(word.samples, speed)
        pieces += [np.zeros(gap, np.float32), faded(samples, rate_hz) * _gain(rng.uniform(*mix.gain_db))]
        at += gap
        spoken.append(Spoken(word.label, at + round(word.start / speed), at + round(word.end / speed)))
        at += len(samples)
    tail = max(0, n_samples - at) if n_samples else round(mix.gap_s[1] * rate_hz)
    joined = np.concatenate([*pieces, np.zeros(tail, np.float32)])[: n_samples or None]
    joined += noise(len(joined), rng, noises) * _gain(rng.uniform(*mix.noise_db))
    within = tuple(one for one in spoken if one.end <= len(joined))
    return Soundtrack(np.clip(joined, -1.0, 1.0), within)


def noise(n_samples: int, rng: np.random.Generator, noises: Sequence[Floats] = ()) -> Floats:
    """Noise (n_samples,) float32 with an RMS of 1: of a colour drawn between white and brown, or from a recording."""
    if len(noises) and rng.random() < 0.5:
        found = noises[int(rng.integers(len(noises)))]
        start = int(rng.integers(len(found)))
        samples = np.tile(found, -(-(n_samples + start) // len(found)))[start : start + n_samples]
    else:
        white = rng.standard_normal(n_samples, dtype=np.float32)
        share = float(rng.uniform(0.0, 0.98))
        samples = lfilter([1.0 - share], [1.0, -share], white)
    rms = float(np.sqrt(np.square(samples, dtype=np.float64).mean())) if n_samples else 1.0
    return np.asarray(samples / max(rms, RMS_FLOOR), dtype=np.float32)


def sped(samples: Floats, speed: float) -> Floats:
    """Faster and higher (`speed` above 1), or slower and lower: straight lines between the samples."""
    at = np.arange(round(len(samples) / speed)) * speed
    return np.asarray(np.interp(at, np.arange(len(samples)), samples), dtype=np.float32)


def faded(samples: Floats, rate_hz: int) -> Floats:
    """The same with 5 ms of fading at both ends, so that no click marks where a recording was put in."""
    n = min(round(0.005 * rate_hz), len(samples) // 2)
    shape = np.ones(len(samples), np.float32)
    shape[:n] = np.arange(n) / n
    shape[len(samples) - n :] = shape[:n][::-1]
    return samples * shape


def _gain(decibels: float) -> np.float32:
    return np.float32(10.0 ** (decibels / 20.0))
