"""The baseline of speaker nets: the average and the spread of the features, and the nearest voice by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from training.speech.soundtrack import Floats


class AverageVoice:
    """Mean and deviation of each feature over a recording, in deviations of these between the training recordings.

    Attributes:
        speakers: in order of their names.
    """

    def __init__(self, recordings: Mapping[str, Sequence[Floats]]) -> None:
        """Take training recordings (n_frames, n_features), at least one frame each, by speaker."""
        self.speakers = sorted(recordings)
        vectors = [np.stack([_moments(one) for one in recordings[who]]) for who in self.speakers]
        every = np.concatenate(vectors)
        self.mean, self.deviation = every.mean(axis=0), every.std(axis=0) + 1e-9
        self.centres = (np.stack([own.mean(axis=0) for own in vectors]) - self.mean) / self.deviation

    def embedding(self, features: Floats) -> NDArray[np.float64]:
        """The vector (2 * n_features,) of a recording (n_frames, n_features)."""
        return np.asarray((_moments(features) - self.mean) / self.deviation)

    def nearest(self, features: Floats) -> str:
        """The speaker whose average recording is nearest."""
        return self.speakers[int(np.linalg.norm(self.centres - self.embedding(features), axis=1).argmin())]


def _moments(features: Floats) -> NDArray[np.float64]:
    x = features.astype(np.float64)
    return np.concatenate([x.mean(axis=0), x.std(axis=0)])
