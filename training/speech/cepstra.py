"""Cepstra as other mouths, paces and microphones would give them, without the sound that they came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class MelBank:
    """The filters that cepstra were made from: so many, even in mel from `low_hz` to `high_hz`."""

    n_filters: int = 40
    low_hz: float = 130.0
    high_hz: float = 6800.0

    def centres(self) -> NDArray[np.float64]:
        """Mel of each filter's middle, (n_filters,)."""
        return np.linspace(_mel(self.low_hz), _mel(self.high_hz), self.n_filters + 2)[1:-1]


SPHINX = MelBank()
"""Of AN4's files."""


def _mel(hz: float) -> float:
    return 2595.0 * float(np.log10(1.0 + hz / 700.0))


def warp_matrix(factor: float, n_cepstra: int, bank: MelBank = SPHINX) -> Floats:
    """The matrix (n_cepstra, n_cepstra) that takes cepstra to those of a vocal tract `factor` times as short.

    Cepstra are turned into the smooth log mel spectrum that they stand for, this is read at frequencies times `factor`,
    and turned back: all of it is linear. Beyond the last filter the spectrum stays as it is there.

    Source: Panchapagesan and Alwan 2009, "Frequency warping for VTLN and speaker adaptation by linear transformation of
    standard MFCC", section 3.
    """
    places = np.arange(bank.n_filters)
    cosines = np.cos(np.pi * np.arange(n_cepstra)[:, None] * (places + 0.5) / bank.n_filters)
    centres = bank.centres()
    hz = 700.0 * (10.0 ** (centres / 2595.0) - 1.0)
    wanted = np.interp(2595.0 * np.log10(1.0 + factor * hz / 700.0), centres, places)
    reading = np.maximum(0.0, 1.0 - np.abs(wanted[:, None] - places))  # linear between two filters
    return np.asarray(cosines @ reading @ np.linalg.pinv(cosines), np.float32)


@dataclass(frozen=True)
class Variation:
    """Ranges of what is drawn anew for each utterance.

    Attributes:
        pace: factor of its length, from and to.
        tract: factor of its frequencies, from and to.
        colour: deviation of a constant added to each coefficient, in its own deviations.
        noise: largest deviation of noise added to each value, in the coefficient's deviations.
    """

    pace: tuple[float, float] = (0.85, 1.18)
    tract: tuple[float, float] = (0.88, 1.14)
    colour: float = 0.15
    noise: float = 0.25

    def varied(self, features: Floats, deviations: Floats, rng: np.random.Generator) -> Floats:
        """Another form of features (n_frames, n_cepstra); deviations (n_cepstra,) are those of the training."""
        n, size = features.shape
        at = np.linspace(0, n - 1, max(2, round(n * rng.uniform(*self.pace))))
        first = np.minimum(at.astype(np.int64), n - 2)
        share = (at - first)[:, None]
        paced = (1.0 - share) * features[first] + share * features[first + 1]
        warped = paced @ warp_matrix(rng.uniform(*self.tract), size).T
        colour = self.colour * rng.standard_normal(size)
        noise = rng.uniform(0.0, self.noise) * rng.standard_normal(warped.shape)
        return np.asarray(warped + deviations * (colour + noise), np.float32)
