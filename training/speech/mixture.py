"""Training batches of connected words: clips of many speakers joined, whole phrases, other words, and no speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.speech.connected import Speaker, Utterance, join
from training.speech.disturbance import Disturbance

Floats = NDArray[np.float32]
Phrase = tuple[Floats, tuple[int, ...]]
"""Speech and the labels said in it."""


@dataclass(frozen=True)
class Source:
    """Where words come from, and its share of the utterances.

    Attributes:
        share: of all utterances, 0 to 1.
        speakers: whose clips are joined, each utterance of one speaker.
        phrases: spoken as a whole, in place of clips.
    """

    share: float
    speakers: Sequence[Speaker] = ()
    phrases: Sequence[Phrase] = ()


@dataclass(frozen=True, eq=False)
class Batch:
    """Sequences to train on.

    Attributes:
        samples: (n, length) float32.
        labels: of each sequence.
        ends: of each sequence, the sample after the last of each label; empty where that is not known.
    """

    samples: Tensor
    labels: list[tuple[int, ...]]
    ends: list[tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Mixture:
    """Batches of sequences of one length: words until it is full, pauses among them, silence at the end.

    What no source takes of the shares has no speech in it at all.

    Attributes:
        sources: see `Source`.
        length: samples of a sequence.
        n_trailing: samples of silence that a sequence ends with, at least.
        disturbance: of each.
    """

    sources: Sequence[Source]
    length: int
    n_trailing: int
    disturbance: Disturbance

    def batch(self, n: int, rng: np.random.Generator) -> Batch:
        """Draw `n` sequences."""
        drawn = [self._sequence(rng) for _ in range(n)]
        samples = np.stack([self.disturbance.disturbed(one.samples, rng) for one in drawn])
        return Batch(torch.from_numpy(samples), [one.words for one in drawn], [one.ends for one in drawn])

    def _sequence(self, rng: np.random.Generator) -> Utterance:
        """Samples (length,) before any noise, their labels, and the ends of these where they are known."""
        at, source = rng.random(), None
        for candidate in self.sources:
            at -= candidate.share
            if at < 0:
                source = candidate
                break
        if source is None:
            return Utterance(np.zeros(self.length, np.float32), (), ())
        clips: list[Floats] = []
        gaps: list[int] = []
        labels: tuple[int, ...] = ()
        most, rest = int(rng.integers(1, 9)), self.length - self.n_trailing
        speaker = source.speakers[int(rng.integers(len(source.speakers)))] if source.speakers else None
        while len(labels) < most:
            clip, said = self._spoken(speaker, source, rng)
            gap = self._gap(rng, is_first=not clips)
            rest -= gap + len(clip)
            if rest < 0:
                break
            clips.append(clip)
            gaps.append(gap)
            labels += said
            most -= not said
        joined = join(clips, range(len(clips)), gaps, 0)
        samples = np.zeros(self.length, np.float32)
        samples[: len(joined.samples)] = joined.samples
        return Utterance(samples, labels, joined.ends if speaker is not None else ())

    def _spoken(self, speaker: Speaker | None, source: Source, rng: np.random.Generator) -> Phrase:
        if speaker is None:
            clip, labels = source.phrases[int(rng.integers(len(source.phrases)))]
        else:
            word = int(rng.integers(len(speaker)))
            clip, labels = speaker[word][int(rng.integers(len(speaker[word])))], (word,)
        return self.disturbance.stretched(clip, rng), labels

    def _gap(self, rng: np.random.Generator, is_first: bool) -> int:
        """Samples between two words: mostly short, now and then a pause, sometimes the end of a word overlapped."""
        if is_first:
            seconds = rng.uniform(0.0, 0.8)
        elif rng.random() < 0.15:
            seconds = rng.uniform(0.3, 1.2)
        else:
            seconds = rng.uniform(-0.03, 0.3)
        return int(seconds * self.disturbance.rate_hz)
