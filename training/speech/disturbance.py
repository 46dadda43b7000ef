"""What happens to speech on its way to a microphone: pace, level, colour of the channel, noise, a masked stretch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.speech.noises import no_speech

Floats = NDArray[np.float32]

N_BANDS = 7
"""Of the curve of gains."""
SPOKEN = 0.03
"""Samples above this share of the peak tell the level of speech."""


@dataclass(frozen=True)
class Disturbance:
    """Ranges of what is drawn anew for each utterance.

    Attributes:
        pace: factor of the length of a clip, whose pitch goes with it, from and to.
        peak_db: level of the loudest sample, from and to, of full scale.
        colour_db: largest gain or loss of a band of the channel.
        snr_db: speech over noise, from and to.
        floor_db: level of the noise where there is no speech, from and to, of full scale.
        rate_hz: of the samples.
    """

    pace: tuple[float, float] = (0.88, 1.15)
    peak_db: tuple[float, float] = (-24.0, 0.0)
    colour_db: float = 6.0
    snr_db: tuple[float, float] = (6.0, 50.0)
    floor_db: tuple[float, float] = (-80.0, -20.0)
    rate_hz: int = 8000

    def stretched(self, clip: Floats, rng: np.random.Generator) -> Floats:
        """The clip (n,) at another pace, and up to 4 dB louder or softer than the others of its utterance."""
        n = max(2, round(len(clip) * rng.uniform(*self.pace)))
        gain = 10 ** (rng.uniform(-4, 4) / 20)
        return (gain * np.interp(np.linspace(0, len(clip) - 1, n), np.arange(len(clip)), clip)).astype(np.float32)

    def coloured(self, samples: Floats, rng: np.random.Generator) -> Floats:
        """Samples (n,) through a channel: a smooth curve of gains, and now and then the band of a telephone."""
        spectrum = np.fft.rfft(samples)
        hz = np.linspace(0, self.rate_hz / 2, len(spectrum))
        bands_hz = np.geomspace(100, self.rate_hz / 2, N_BANDS)
        gain_db = np.interp(hz, bands_hz, rng.uniform(-self.colour_db, self.colour_db, N_BANDS))
        if rng.random() < 0.2:
            gain_db -= np.where((hz < 300) | (hz > 3400), 30.0, 0.0)
        return np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(samples)).astype(np.float32)

    def disturbed(self, samples: Floats, rng: np.random.Generator) -> Floats:
        """Samples (n,) as they are recorded: coloured, at another level, with noise; noise alone for silence."""
        n, peak = len(samples), np.abs(samples).max(initial=0.0)
        if peak == 0.0:
            kind = None if rng.random() < 0.7 else "noise"
            recorded = 10 ** (rng.uniform(*self.floor_db) / 20) * no_speech(n, self.rate_hz, rng, kind)
            return np.asarray(np.clip(recorded, -1.0, 1.0), np.float32)
        samples = self.coloured(samples, rng) if rng.random() < 0.8 else samples
        samples = samples * (10 ** (rng.uniform(*self.peak_db) / 20) / np.abs(samples).max())
        speech = np.sqrt(np.mean(samples[np.abs(samples) > SPOKEN * np.abs(samples).max()] ** 2))
        kind = "noise" if rng.random() < 0.75 else None
        noise = no_speech(n, self.rate_hz, rng, kind) * speech * 10 ** (-rng.uniform(*self.snr_db) / 20)
        return np.asarray(np.clip(samples + noise, -1.0, 1.0), np.float32)


def masked(features: Tensor, generator: torch.Generator, n_bands: int = 6, n_frames: int = 6) -> Tensor:
    """Features (batch, n_frames, size) with up to one band and two short stretches of each sequence set to 0.

    Source: Park et al. 2019, "SpecAugment", section 2, without the warping of time.
    """
    n_batch, length, size = features.shape
    keep = torch.ones_like(features, dtype=torch.bool)
    for axis, most, total in ((2, n_bands, size), (1, n_frames, length), (1, n_frames, length)):
        widths = torch.randint(0, most + 1, (n_batch, 1), generator=generator)
        starts = torch.randint(0, max(1, total - most), (n_batch, 1), generator=generator)
        places = torch.arange(total)[None]
        hit = (places >= starts) & (places < starts + widths)
        keep &= ~(hit[:, None, :] if axis == 2 else hit[:, :, None])
    return features * keep
