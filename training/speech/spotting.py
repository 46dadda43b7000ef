"""Training of spotters: lanes of words over noise, made anew each epoch, their features disturbed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray
from torch import Tensor

from streamrnn import Frontend
from training.frontend import FrontendModule
from training.speech.soundtrack import Floats, Mix, Word, soundtrack
from training.speech.spotter import FRAME_SAMPLES, FRONTEND, RATE_HZ, targets_of

TRAINING_MIX = Mix(gap_s=(0.0, 1.0), gain_db=(-18.0, 6.0), speed=(0.88, 1.14), noise_db=(-95.0, -30.0))


@dataclass(frozen=True)
class Material:
    """What lanes are made of.

    Attributes:
        labels: of the model, the first for all that is no word of ours.
        words: recordings by name of a group.
        shares: how often a group is drawn, by its name; they add up to 1.
        noises: recordings of noise.
    """

    labels: tuple[str, ...]
    words: Mapping[str, Sequence[Word]]
    shares: Mapping[str, float]
    noises: Sequence[Floats] = ()


class Lanes:
    """Epochs of lanes: features (n_lanes, n_frames, 2 * n_mels) and the wanted label of each frame."""

    def __init__(
        self,
        material: Material,
        frontend: Frontend,
        seed: int,
        n_lanes: int,
        seconds: float,
        *,
        mix: Mix = TRAINING_MIX,
        is_disturbed: bool = True,
    ) -> None:
        """Draw from `material`; the same seed draws the same lanes in every epoch again.

        Args:
            material: words and noise.
            frontend: normalised.
            seed: of every draw, together with the epoch.
            n_lanes: soundtracks side by side.
            seconds: length of each.
            mix: gains and so on.
            is_disturbed: as through other microphones, with gaps.
        """
        self.material, self.features, self.mix = material, FrontendModule(frontend), mix
        self.is_disturbed = is_disturbed
        self.seed, self.n_lanes, self.n_frames = seed, n_lanes, round(seconds * RATE_HZ) // FRAME_SAMPLES

    def __call__(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Make (x, target) of one epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        lanes = [self.lane(rng) for _ in range(self.n_lanes)]
        features = torch.stack([features for features, _ in lanes])
        if self.is_disturbed:
            features = disturbed(features, rng)
        targets = torch.from_numpy(np.stack([targets for _, targets in lanes]))
        return features.reshape(self.n_lanes, self.n_frames, -1), targets

    def lane(self, rng: np.random.Generator) -> tuple[Tensor, NDArray[np.int64]]:
        """Draw one lane: features (n_hops, n_mels), and targets (n_frames,)."""
        n_samples = self.n_frames * FRAME_SAMPLES
        track = soundtrack(self._drawn(rng, n_samples), RATE_HZ, self.mix, rng, self.material.noises, n_samples)
        with torch.no_grad():
            features = self.features(torch.from_numpy(track.samples)[None])[0]
        return features, targets_of(track.spoken, self.n_frames, self.material.labels)

    def _drawn(self, rng: np.random.Generator, n_samples: int) -> list[Word]:
        groups, shares = list(self.material.shares), list(self.material.shares.values())
        words, n = [], 0
        while n < n_samples:
            own = self.material.words[groups[int(rng.choice(len(groups), p=shares))]]
            words.append(own[int(rng.integers(len(own)))])
            n += len(words[-1].samples)
        return words


def disturbed(features: Tensor, rng: np.random.Generator) -> Tensor:
    """Features (n_lanes, n_hops, n_mels) as through other microphones, and with bands and moments wiped out.

    A microphone is a smooth curve over the bands; the wiped places hold 0, the mean.
    Source: Park et al. 2019, "SpecAugment", 2, without warping.
    """
    n_lanes, n_hops, n_mels = features.shape
    bands = np.arange(n_mels) / n_mels
    waves = np.stack([np.cos(math.pi * k * bands) for k in range(1, 5)])
    curves = rng.normal(0.0, 0.2, (n_lanes, 4)) @ waves
    result = features + torch.from_numpy(curves.astype(np.float32))[:, None]
    every = 200
    for lane in range(n_lanes):
        for start in range(0, n_hops, every):
            width, first = int(rng.integers(0, 5)), int(rng.integers(0, n_mels - 4))
            result[lane, start : start + every, first : first + width] = 0.0
            at, n = start + int(rng.integers(0, every)), int(rng.integers(0, 12))
            result[lane, at : at + n] = 0.0
    return result


def normalised(material: Material, seed: int, n_lanes: int, seconds: float) -> Frontend:
    """The front end with the mean and the deviation of each band over lanes of training material."""
    lanes = Lanes(material, FRONTEND, seed, n_lanes, seconds)
    rng = np.random.default_rng([seed, 0])
    features = torch.cat([lanes.lane(rng)[0] for _ in range(n_lanes)]).double()
    mean, std = features.mean(0), features.std(0)
    return replace(FRONTEND, normalisation="fixed", mean=tuple(mean.tolist()), std=tuple(std.tolist()))
