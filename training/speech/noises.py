"""Sounds that hold no speech: coloured noise, hum, chords and clicks, at 8 kHz or any other rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

KINDS = ("noise", "hum", "chords", "clicks")
SLOPES_DB = (-6.0, 0.0)
"""Range of the slope of coloured noise an octave: brown to white."""


def noise(n: int, rng: np.random.Generator, slope_db: float | None = None) -> Floats:
    """Noise (n,) float32 of root mean square 1 that falls by `slope_db` an octave, else by any slope of `SLOPES_DB`."""
    slope_db = rng.uniform(*SLOPES_DB) if slope_db is None else slope_db
    spectrum = np.fft.rfft(rng.standard_normal(n))
    octaves = np.log2(np.maximum(np.arange(len(spectrum)), 0.005 * n))  # level below 0.5 % of the rate
    return _unit(np.fft.irfft(spectrum * 10 ** (slope_db * octaves / 20), n))


def hum(n: int, rate_hz: float, rng: np.random.Generator) -> Floats:
    """Mains hum (n,): 50 or 60 Hz with falling harmonics, root mean square 1."""
    t, f_hz = np.arange(n) / rate_hz, rng.choice((50.0, 60.0))
    parts = [np.sin(2 * np.pi * (k * f_hz * t + rng.random())) * rng.random() / k for k in range(1, 12)]
    return _unit(np.sum(parts, axis=0))


def chords(n: int, rate_hz: float, rng: np.random.Generator) -> Floats:
    """Music of a kind (n,): two to six decaying chords a second, three notes of four harmonics, root mean square 1."""
    y, start = np.zeros(n), 0
    while start < n:
        length = int(rate_hz / rng.uniform(2, 6))
        t = np.arange(min(length, n - start)) / rate_hz
        root_hz = 110 * 2 ** (rng.integers(0, 25) / 12)
        for step in (0, rng.integers(3, 5), 7):
            phase = 2 * np.pi * root_hz * 2 ** (step / 12) * t
            tone = np.sum([np.sin(k * phase) / k for k in range(1, 5)], axis=0)
            y[start : start + t.size] += tone * np.exp(-t * rng.uniform(1, 8))
        start += length
    return _unit(y)


def clicks(n: int, rate_hz: float, rng: np.random.Generator) -> Floats:
    """Clicks and knocks (n,): short decaying resonances, one to five a second, root mean square 1."""
    y = np.zeros(n)
    for start in rng.integers(0, n, max(1, int(n / rate_hz * rng.uniform(1, 5)))):
        t = np.arange(min(int(0.08 * rate_hz), n - start)) / rate_hz
        ring = np.sin(2 * np.pi * rng.uniform(150, 0.4 * rate_hz) * t) * np.exp(-t * rng.uniform(40, 400))
        y[start : start + t.size] += ring * rng.uniform(0.2, 1.0)
    return _unit(y)


def no_speech(n: int, rate_hz: float, rng: np.random.Generator, kind: str | None = None) -> Floats:
    """A sound (n,) float32 of root mean square 1 and of one of `KINDS`, else of any of them."""
    match kind or str(rng.choice(KINDS)):
        case "hum":
            return hum(n, rate_hz, rng)
        case "chords":
            return chords(n, rate_hz, rng)
        case "clicks":
            return clicks(n, rate_hz, rng)
        case _:
            return noise(n, rng)


def _unit(y: NDArray[np.float64]) -> Floats:
    return np.asarray(y / np.sqrt(np.mean(y * y) + 1e-20), np.float32)
