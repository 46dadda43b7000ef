"""Connected words: clips of single words joined into utterances, of which the words and their ends are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Utterance:
    """What somebody says.

    Attributes:
        samples: (n,) float32 in [-1, 1].
        words: labels in order.
        ends: for each word, the sample after its last.
        speaker: who says it.
    """

    samples: Floats
    words: tuple[int, ...]
    ends: tuple[int, ...]
    speaker: str = ""


def join(clips: Sequence[Floats], words: Sequence[int], gaps: Sequence[int], n_trailing: int) -> Utterance:
    """Put clips (n_i,) one after another, the silence of `gaps[i]` samples before clip i, `n_trailing` at the end.

    A gap below 0 lets a word begin before the last has ended; the first gap is at least 0.
    """
    ends, at = [], 0
    for clip, gap in zip(clips, gaps, strict=True):
        at = max(0, at + gap) + len(clip)
        ends.append(at)
    samples = np.zeros(max(ends, default=0) + n_trailing, np.float32)
    for clip, end in zip(clips, ends, strict=True):
        samples[end - len(clip) : end] += clip
    return Utterance(samples, tuple(words), tuple(ends))


Speaker = Sequence[Sequence[Floats]]
"""Clips of one speaker: for each word those of it, at least one."""


@dataclass(frozen=True)
class Plan:
    """How test utterances are made.

    Attributes:
        n_words: from and to.
        gap_s: between words, from and to.
        around_s: of silence before and after, from and to.
        rate_hz: of the samples.
        floor: root mean square of the white noise under all of it.
    """

    n_words: tuple[int, int] = (3, 7)
    gap_s: tuple[float, float] = (0.05, 0.3)
    around_s: tuple[float, float] = (0.4, 1.0)
    rate_hz: int = 8000
    floor: float = 1e-3

    def utterance(self, name: str, speaker: Speaker, rng: np.random.Generator) -> Utterance:
        """Draw one utterance of a speaker."""
        n = int(rng.integers(self.n_words[0], self.n_words[1] + 1))
        words = [int(word) for word in rng.integers(0, len(speaker), n)]
        clips = [speaker[word][int(rng.integers(len(speaker[word])))] for word in words]
        gaps = [int(rng.uniform(*self.gap_s) * self.rate_hz) for _ in words]
        gaps[0] = int(rng.uniform(*self.around_s) * self.rate_hz)
        joined = join(clips, words, gaps, int(rng.uniform(*self.around_s) * self.rate_hz))
        samples = joined.samples + self.floor * rng.standard_normal(len(joined.samples)).astype(np.float32)
        return Utterance(np.clip(samples, -1.0, 1.0), joined.words, joined.ends, name)

    def utterances(self, speakers: dict[str, Speaker], n: int, seed: int) -> list[Utterance]:
        """Draw `n` utterances, the speakers taking turns in the order of their names."""
        rng, names = np.random.default_rng(seed), sorted(speakers)
        return [self.utterance(names[i % len(names)], speakers[names[i % len(names)]], rng) for i in range(n)]
