"""The trial of the commands recipe: clips and one long recording, heard by the engine, by PyTorch or by a baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamrnn.decode import LabelSettings
from training.sets.speech_commands import LABELS, RATE_HZ, CommandClip
from training.speech.command_words import KEYWORDS, in_order
from training.speech.keywords import Heard, confusion, decided, hear
from training.speech.soundtrack import Floats, Mix, Soundtrack, soundtrack

Hearing = Callable[[Floats], Floats]
"""From samples (n,) to posteriors (n // 320, n_labels)."""

QUIET_AFTER_S = 0.4
"""Zeros after each clip, so that a word that ends with it can still be answered."""
THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(2, 20))
MIX = Mix(gap_s=(0.5, 2.0), noise_db=(-60.0, -60.0))


@dataclass(frozen=True)
class Rules:
    """What validation chose: the least score of a label of a clip, and when a keyword fires."""

    clip_threshold: float
    spotting: LabelSettings


@dataclass(frozen=True, eq=False)
class Tried:
    """What came out: counts (row the truth, column the answer) of the clips, and the events of the recording."""

    counts: NDArray[np.int64]
    heard: Heard

    @property
    def accuracy(self) -> float:
        """Share of the clips that were taken for what they are."""
        return float(self.counts.trace() / self.counts.sum())


def spotting_at(threshold: float) -> LabelSettings:
    """Smoothed over 100 ms, armed again below half the threshold, half a second of rest."""
    return LabelSettings(
        input="probability",
        threshold=threshold,
        release=round(threshold / 2, 3),
        smooth_s=0.1,
        refractory_s=0.5,
        ignored=LABELS[:2],
    )


def recording_of(clips: Sequence[CommandClip], seed: int) -> Soundtrack:
    """All words of the clips once, half a second to two seconds apart, over quiet noise."""
    return soundtrack(in_order(clips, seed), RATE_HZ, MIX, np.random.default_rng(seed))


def posteriors_of(clips: Sequence[CommandClip], hearing: Hearing) -> list[Floats]:
    """What is heard of each clip and the quiet after it."""
    quiet = np.zeros(round(QUIET_AFTER_S * RATE_HZ), np.float32)
    return [hearing(np.concatenate([clip.samples, quiet])) for clip in clips]


def chosen(clips: Sequence[CommandClip], hearing: Hearing, seed: int) -> Rules:
    """The rules that make the fewest errors on validation clips, and on a recording made of them."""
    posteriors, track = posteriors_of(clips, hearing), recording_of(clips, seed)
    truth, heard = [LABELS.index(clip.label) for clip in clips], hearing(track.samples)

    def clip_errors(threshold: float) -> int:
        return sum(decided(one, threshold) != label for one, label in zip(posteriors, truth, strict=True))

    def event_errors(threshold: float) -> int:
        found = hear(heard, track.spoken, LABELS, KEYWORDS, spotting_at(threshold))
        return found.n_words - found.n_found + found.n_false

    return Rules(min(THRESHOLDS, key=clip_errors), spotting_at(min(THRESHOLDS, key=event_errors)))


def tried(clips: Sequence[CommandClip], hearing: Hearing, rules: Rules, seed: int) -> Tried:
    """Judge clips, and the recording made of them."""
    truth = [LABELS.index(clip.label) for clip in clips]
    answers = [decided(one, rules.clip_threshold) for one in posteriors_of(clips, hearing)]
    track = recording_of(clips, seed)
    heard = hear(hearing(track.samples), track.spoken, LABELS, KEYWORDS, rules.spotting)
    return Tried(confusion(truth, answers, len(LABELS)), heard)
