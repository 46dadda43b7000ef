"""Pieces of speech for training who speaks: short, of one speaker each, drawn anew each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamrnn import Frontend
from training.frontend import FrontendModule
from training.speech.soundtrack import Floats, Mix, Word, soundtrack
from training.speech.speaker_net import IGNORED

RATE_HZ = 8000
MIX = Mix(gap_s=(0.0, 0.15), gain_db=(-9.0, 3.0), noise_db=(-85.0, -40.0))
UNJUDGED_FRAMES = 15
"""Frames at the beginning of a piece that count for nothing in training: too little was heard."""


def said(words: Sequence[Word], n_samples: int, mix: Mix, rng: np.random.Generator) -> Floats:
    """Speech (n_samples,) of words drawn from `words`, one after the other without the quiet around them."""
    drawn, n = [], 0
    while n < n_samples:
        word = words[int(rng.integers(len(words)))]
        drawn.append(Word(word.label, word.samples[word.start : word.end], 0, word.end - word.start))
        n += word.end - word.start
    return soundtrack(drawn, RATE_HZ, mix, rng, n_samples=n_samples).samples


class SpokenPieces:
    """Epochs of pieces of sound: features (n_lanes, n_pieces * piece_frames, n_features), and who speaks each frame."""

    def __init__(
        self,
        words: Mapping[str, Sequence[Word]],
        frontend: Frontend,
        seed: int,
        n_lanes: int,
        n_pieces: int,
        piece_frames: int,
    ) -> None:
        """Draw from `words`, by speaker; the same seed draws the same pieces in every epoch again."""
        self.words, self.speakers = words, sorted(words)
        self.features, self.seed = FrontendModule(frontend), seed
        self.n_lanes, self.n_pieces, self.piece_frames = n_lanes, n_pieces, piece_frames

    def __call__(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Make (x, target) of one epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        n, hop = self.n_lanes * self.n_pieces, self.features.frontend.hop
        speakers = rng.integers(0, len(self.speakers), n)
        samples = [said(self.words[self.speakers[i]], self.piece_frames * hop, MIX, rng) for i in speakers]
        with torch.no_grad():
            features = self.features(torch.from_numpy(np.stack(samples)))
        return _in_lanes(features, speakers, self.n_lanes)


class CutPieces:
    """Epochs of pieces cut from utterances that come as features, with some noise on them."""

    def __init__(
        self, utterances: Mapping[str, Sequence[Floats]], seed: int, n_lanes: int, n_pieces: int, piece_frames: int
    ) -> None:
        """Draw from utterances (n_frames, n_features) by speaker; shorter ones are repeated."""
        self.utterances, self.speakers, self.seed = utterances, sorted(utterances), seed
        self.n_lanes, self.n_pieces, self.piece_frames = n_lanes, n_pieces, piece_frames
        every = np.concatenate([features for own in utterances.values() for features in own])
        self.noise = 0.15 * every.std(axis=0)

    def __call__(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Make (x, target) of one epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        speakers = rng.integers(0, len(self.speakers), self.n_lanes * self.n_pieces)
        pieces = np.stack([self._cut(self.utterances[self.speakers[i]], rng) for i in speakers])
        pieces += rng.normal(0.0, 1.0, pieces.shape) * self.noise
        return _in_lanes(torch.from_numpy(pieces.astype(np.float32)), speakers, self.n_lanes)

    def _cut(self, own: Sequence[Floats], rng: np.random.Generator) -> Floats:
        whole = own[int(rng.integers(len(own)))]
        start = int(rng.integers(max(1, len(whole) - self.piece_frames + 1)))
        return np.resize(whole[start : start + self.piece_frames], (self.piece_frames, whole.shape[1])) + 0.0


def _in_lanes(pieces: Tensor, speakers: NDArray[np.int64], n_lanes: int) -> tuple[Tensor, Tensor]:
    """Pieces (n, piece_frames, n_features) one behind the other in lanes, with their targets."""
    targets = torch.from_numpy(speakers)[:, None].repeat(1, pieces.shape[1])
    targets[:, :UNJUDGED_FRAMES] = IGNORED
    return pieces.reshape(n_lanes, -1, pieces.shape[2]), targets.reshape(n_lanes, -1)
