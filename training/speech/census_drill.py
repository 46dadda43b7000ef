"""What the recogniser of AN4 trains on: utterances in ever other forms, now and then two in a row, words and phones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.sets.an4_text import Said
from training.speech.census_net import STRIDE, CensusNet
from training.speech.cepstra import Variation
from training.speech.ctc import ctc_loss, greedy
from training.speech.disturbance import masked
from training.speech.transcription import word_error_percent

N_BATCH = 24
N_POOLED = 6
"""Batches that are cut from utterances sorted by length, so that little is padded."""
SHORT_FRAMES = 220
PHONE_SHARE = 0.4
"""Of the loss."""


@dataclass(frozen=True)
class Vocabulary:
    """Words and phones in order, and the phones of each word."""

    words: tuple[str, ...]
    phones: tuple[str, ...]
    spoken: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, pronunciations: Mapping[str, Sequence[str]]) -> Vocabulary:
        """All words of a dictionary, sorted."""
        words = tuple(sorted(pronunciations))
        phones = tuple(sorted({phone for own in pronunciations.values() for phone in own}))
        spoken = tuple(tuple(phones.index(phone) for phone in pronunciations[word]) for word in words)
        return cls(words, phones, spoken)

    def labels(self, words: Sequence[str]) -> tuple[int, ...]:
        """The place of each word."""
        return tuple(self.words.index(word) for word in words)

    def phones_of(self, labels: Sequence[int]) -> list[int]:
        """The phones of words, in a row."""
        return [phone for label in labels for phone in self.spoken[label]]


@dataclass(frozen=True, eq=False)
class Batch:
    """Features (n_batch, n_frames, 13), padded with each one's last frame; outputs that count; words' labels."""

    features: Tensor
    n_outputs: list[int]
    labels: list[tuple[int, ...]]


def batch_of(features: Sequence[NDArray[np.float32]], labels: Sequence[tuple[int, ...]]) -> Batch:
    """Pad utterances (n_frames, 13) to the longest, and all to whole outputs."""
    n_outputs = [-(-len(one) // STRIDE) for one in features]
    length = max(n_outputs) * STRIDE
    padded = [np.pad(one, ((0, length - len(one)), (0, 0)), mode="edge") for one in features]
    return Batch(torch.from_numpy(np.stack(padded)), n_outputs, list(labels))


class Drill:
    """The loss of a fresh batch, of words and phones together."""

    def __init__(
        self,
        utterances: Sequence[Said],
        vocabulary: Vocabulary,
        deviations: Sequence[float],
        generator: torch.Generator,
    ) -> None:
        self.utterances, self.vocabulary, self.generator = utterances, vocabulary, generator
        self.labels = [vocabulary.labels(one.words) for one in utterances]
        self.deviations = np.array(deviations, np.float32)
        self.rng = np.random.default_rng(generator.initial_seed())
        self.short: dict[str, list[int]] = {}
        for i, one in enumerate(utterances):
            if len(one.features) < SHORT_FRAMES:
                self.short.setdefault(one.speaker, []).append(i)
        self.batches = self._batches()

    def __call__(self, net: CensusNet) -> Tensor:
        """Draw a batch and give the loss, in nats a label."""
        batch = next(self.batches)
        words, phones = net.judged(net.sounds(masked(net.normalise(batch.features), self.generator, 2, 15)))
        of_phones = [self.vocabulary.phones_of(some) for some in batch.labels]
        word_loss = ctc_loss(words, batch.labels, batch.n_outputs)
        return (1.0 - PHONE_SHARE) * word_loss + PHONE_SHARE * ctc_loss(phones, of_phones, batch.n_outputs)

    def _batches(self) -> Iterator[Batch]:
        while True:
            order = self.rng.permutation(len(self.utterances))
            for first in range(0, len(order), N_BATCH * N_POOLED):
                drawn = [self._drawn(int(i)) for i in order[first : first + N_BATCH * N_POOLED]]
                drawn.sort(key=lambda pair: len(pair[0]))
                cuts = [drawn[i : i + N_BATCH] for i in range(0, len(drawn), N_BATCH)]
                for place in self.rng.permutation(len(cuts)):
                    yield batch_of(*zip(*cuts[place], strict=True))

    def _drawn(self, i: int) -> tuple[NDArray[np.float32], tuple[int, ...]]:
        """An utterance in another form; before half of the short ones comes another short one of the speaker."""
        features, labels = self.utterances[i].features, self.labels[i]
        if len(features) < SHORT_FRAMES and self.rng.random() < 0.5:
            before = int(self.rng.choice(self.short[self.utterances[i].speaker]))
            features = np.concatenate([self.utterances[before].features, features])
            labels = self.labels[before] + labels
        return Variation().varied(features, self.deviations, self.rng), labels


class Examination:
    """Errors a word, greedily read, over utterances as they are."""

    def __init__(self, utterances: Sequence[Said], vocabulary: Vocabulary) -> None:
        ordered = sorted(utterances, key=lambda one: len(one.features))
        cuts = [ordered[i : i + N_BATCH] for i in range(0, len(ordered), N_BATCH)]
        self.batches = [
            batch_of([one.features for one in cut], [vocabulary.labels(one.words) for one in cut]) for cut in cuts
        ]

    @torch.no_grad()
    def __call__(self, net: CensusNet) -> float:
        """Wrong, missing and additional words, over the words said."""
        pairs = []
        for batch in self.batches:
            for outputs, n, labels in zip(net(batch.features).numpy(), batch.n_outputs, batch.labels, strict=True):
                pairs.append((labels, [emission.label for emission in greedy(outputs[:n])]))
        return word_error_percent(pairs) / 100.0


def moments(utterances: Sequence[Said]) -> tuple[list[float], list[float]]:
    """Mean and deviation of each coefficient over all frames."""
    frames = np.concatenate([one.features for one in utterances]).astype(np.float64)
    return frames.mean(axis=0).tolist(), frames.std(axis=0).tolist()
