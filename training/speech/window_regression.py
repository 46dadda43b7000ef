"""The baseline of spotters: a logistic regression over the last second of features, no net and no state to speak of."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from streamrnn import Frontend
from training.frontend import FrontendModule
from training.options import Options
from training.speech.soundtrack import Floats
from training.speech.spotter import HOPS, IGNORED
from training.speech.spotter_fit import FittedSpotter
from training.speech.spotting import Lanes, Material

N_DRAWN = 20_000
"""Frames that it learns from."""
PIECE_HOPS, N_PIECES = 10, 10
"""A second is ten means of ten hops of 10 ms."""


class WindowRegression:
    """From samples to the probability of each label at each frame, by the ten tenths of the second before."""

    def __init__(self, frontend: Frontend, n_labels: int) -> None:
        """Take the normalised front end of the net that it stands beside."""
        self.features, self.n_labels = FrontendModule(frontend), n_labels
        self.regression = LogisticRegression(max_iter=1000, C=0.01)

    @classmethod
    def beside(cls, fitted: FittedSpotter, material: Material, options: Options) -> WindowRegression:
        """Learn from the material of a fitted net, in lanes like its own."""
        n_lanes, lane_s = (4, 10.0) if options.quick else (32, 60.0)
        x, target = Lanes(material, fitted.frontend, options.seed, n_lanes, lane_s)(0)
        regression = cls(fitted.frontend, len(material.labels))
        hops = x.reshape(n_lanes, -1, fitted.frontend.size)
        regression.fit(hops.numpy(), target.numpy(), 500 if options.quick else N_DRAWN, options.seed)
        return regression

    def fit(self, features: NDArray[np.float32], targets: NDArray[np.int64], n_samples: int, seed: int) -> None:
        """Learn from frames drawn evenly from all labels.

        Args:
            features: (n_lanes, n_hops, n_mels).
            targets: (n_lanes, n_frames), each a label or `IGNORED`.
            n_samples: frames drawn, of each label as many.
            seed: of the draw.
        """
        rng = np.random.default_rng(seed)
        x, y = np.concatenate([windows_of(lane) for lane in features]), targets.ravel()
        drawn = []
        for label in range(self.n_labels):
            own = np.flatnonzero(y == label)
            drawn.append(rng.choice(own, min(len(own), n_samples // self.n_labels), replace=False))
        chosen = np.concatenate(drawn)
        assert not np.any(y[chosen] == IGNORED)
        self.regression.fit(x[chosen], y[chosen])

    @torch.no_grad()
    def __call__(self, samples: Floats) -> Floats:
        """Map samples (n,) to probabilities (n // 320, n_labels)."""
        features = self.features(torch.from_numpy(samples)[None])[0].numpy()
        whole = features[: len(features) // HOPS * HOPS]
        return np.asarray(self.regression.predict_proba(windows_of(whole)), dtype=np.float32)


def windows_of(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The newest second at each frame: features (n_hops, n_mels) to (n_hops / 2, 10 * n_mels), at first zeros."""
    n_hops, n_mels = features.shape
    before = PIECE_HOPS * N_PIECES
    sums = np.cumsum(np.concatenate([np.zeros((before + 1, n_mels)), features.astype(np.float64)]), axis=0)
    means = (sums[PIECE_HOPS:] - sums[:-PIECE_HOPS]) / PIECE_HOPS
    ends = np.arange(HOPS, n_hops + 1, HOPS) + before - PIECE_HOPS
    pieces = [means[ends - PIECE_HOPS * i] for i in range(N_PIECES)]
    return np.concatenate(pieces, axis=1).astype(np.float32)
