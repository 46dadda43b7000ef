"""The recogniser without a network: cut at the quiet places, and take the word of the most similar clip.

What was done before hidden Markov models: an end-point detector by energy, and templates of whole words. Source:
Rabiner and Sambur 1975, "An algorithm for determining the endpoints of isolated utterances".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from streamrnn.model.frontend.frontend import Frontend
from training.frontend import FrontendModule
from training.speech.connected import Floats

QUIET_DB = -22.0
"""Below the loudest of a recording: what is quieter is no word. This and the next chosen on validation digits."""
MERGED_MS = 70.0
"""Quiet places up to this length are within a word: the closures of its stops."""
LENGTH_MS = (80.0, 1200.0)
"""Of a word, from and to."""
N_STEPS = 16
"""Steps that every word is stretched to."""


class Templates:
    """Segments of a recording, each given the word of its nearest templates."""

    def __init__(self, clips: Sequence[Floats], words: Sequence[int], frontend: Frontend) -> None:
        """Learn clips (n,) by heart, each with its word."""
        self.frontend, self.features = frontend, FrontendModule(frontend)
        self.nearest = KNeighborsClassifier(3, weights="distance")
        self.nearest.fit(np.stack([self._template(clip) for clip in clips]), np.asarray(words))

    def words(self, samples: Floats) -> tuple[int, ...]:
        """Read samples (n,)."""
        segments = self.segments(samples)
        if not segments:
            return ()
        found = self.nearest.predict(np.stack([self._template(samples[begin:end]) for begin, end in segments]))
        return tuple(int(word) for word in found)

    def segments(self, samples: Floats) -> list[tuple[int, int]]:
        """First sample and the one after the last of each stretch that may be a word."""
        hop, ms = self.frontend.hop, 1000.0 / self.frontend.rate_hz
        level = 10 * np.log10(np.square(samples[: len(samples) // hop * hop]).reshape(-1, hop).mean(1) + 1e-10)
        loud = np.flatnonzero(level > max(level.max(initial=-100.0) + QUIET_DB, -60.0))
        if not loud.size:
            return []
        breaks = np.flatnonzero(np.diff(loud) > 1 + MERGED_MS / ms)
        begins, ends = loud[np.r_[0, breaks + 1]], loud[np.r_[breaks, loud.size - 1]] + 1
        is_word = (ends - begins >= LENGTH_MS[0] / ms) & (ends - begins <= LENGTH_MS[1] / ms)
        return [(int(b) * hop, int(e) * hop) for b, e in zip(begins[is_word], ends[is_word], strict=True)]

    def _template(self, samples: Floats) -> NDArray[np.float64]:
        """Log mel energies of a word, less their mean, at `N_STEPS` places: (N_STEPS * size,)."""
        padded = np.pad(samples, (0, max(0, self.frontend.window_size - len(samples))))
        features = self.features(torch.from_numpy(padded)[None])[0].numpy().astype(np.float64)
        at = np.linspace(0, len(features) - 1, N_STEPS)
        stretched = np.stack([np.interp(at, np.arange(len(features)), column) for column in features.T], 1)
        return np.asarray(stretched - stretched.mean(), np.float64).ravel()
