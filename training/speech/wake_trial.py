"""The trial of the wake-word recipe: misses against false alarms an hour, over thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamrnn.decode import LabelSettings
from training.speech.commands_trial import Hearing
from training.speech.keywords import Heard, hear
from training.speech.soundtrack import Floats, Soundtrack
from training.speech.spotter import FRAMES_PER_S
from training.speech.spotting import Material
from training.speech.triggers import onsets
from training.speech.wake_words import LABELS, OTHER, WAKE, negatives, positives

THRESHOLDS = tuple(round(1.0 / (1.0 + math.exp(-0.2 * i)), 5) for i in range(-20, 41))
"""Evenly spaced as logits, -4 to 8."""
REST_S, SMOOTH_S = 1.0, 0.1


def spotting_at(threshold: float) -> LabelSettings:
    """Smoothed over 100 ms, armed again below half the threshold, one second of rest."""
    return LabelSettings(
        input="probability",
        threshold=threshold,
        release=round(threshold / 2, 4),
        smooth_s=SMOOTH_S,
        refractory_s=REST_S,
        ignored=(OTHER,),
    )


@dataclass(frozen=True, eq=False)
class Sounds:
    """What a trial is made of: the recordings of the wake word in a row, and hours without it.

    Attributes:
        track: every recording once.
        material: of the part, for the hours.
        hours: their length.
        seed: of both.
    """

    track: Soundtrack
    material: Material
    hours: float
    seed: int

    @classmethod
    def of(cls, material: Material, hours: float, seed: int) -> Sounds:
        """Draw the order and the pauses."""
        return cls(positives(material, seed), material, hours, seed)

    @property
    def distinct_minutes(self) -> float:
        """How much sound without the wake word there is before it is mixed again."""
        words = [len(word.samples) for own in self.material.words.values() for word in own if word.label == OTHER]
        return (sum(words) + sum(map(len, self.material.noises))) / 16000.0 / 60.0


@dataclass(frozen=True, eq=False)
class Curve:
    """Scores of a trial, and the events that they bring.

    Attributes:
        wake: posteriors (n_frames, 2) of the recordings of the wake word.
        others: scores (n_frames,) of each piece without it.
        sounds: what was heard.
    """

    wake: Floats
    others: tuple[Floats, ...]
    sounds: Sounds

    @classmethod
    def of(cls, hearing: Hearing, sounds: Sounds) -> Curve:
        """Hear everything."""
        pieces = negatives(sounds.material, sounds.hours, sounds.seed)
        return cls(hearing(sounds.track.samples), tuple(hearing(piece)[:, 1] for piece in pieces), sounds)

    def heard(self, threshold: float) -> Heard:
        """How the wake word was met at one threshold; false alarms are those between its recordings."""
        return hear(self.wake, self.sounds.track.spoken, LABELS, (WAKE,), spotting_at(threshold))

    def missed(self, threshold: float) -> float:
        """Share of the recordings without an event, 0 .. 1."""
        return 1.0 - self.heard(threshold).share_found

    def n_false(self, threshold: float) -> int:
        """Events in the hours without the wake word."""
        return sum(len(onsets(piece, spotting_at(threshold), FRAMES_PER_S)) for piece in self.others)

    def false_per_hour(self, threshold: float) -> float:
        """The same an hour."""
        return self.n_false(threshold) / self.sounds.hours

    def points(self) -> NDArray[np.float64]:
        """(n_thresholds, 3): threshold, false alarms an hour, share missed."""
        return np.array([(one, self.false_per_hour(one), self.missed(one)) for one in THRESHOLDS])


def chosen(curve: Curve, most_per_hour: float) -> float:
    """The lowest threshold of a validation curve with at most so many false alarms an hour; if none has, the last."""
    allowed = [one for one in THRESHOLDS if curve.false_per_hour(one) <= most_per_hour]
    return min(allowed, default=THRESHOLDS[-1])


def least_missed(points: NDArray[np.float64], most_per_hour: float) -> float:
    """The smallest share missed of any threshold with at most so many false alarms an hour: what hindsight would do."""
    allowed = points[points[:, 1] <= most_per_hour]
    return float(allowed[:, 2].min()) if len(allowed) else 1.0


def delays_s(heard: Heard) -> tuple[float, float]:
    """Median and 95 % quantile of the delays after the word's end, in seconds; 0 where nothing was found."""
    delays: Sequence[float] = heard.delays_s or (0.0,)
    return float(np.median(delays)), float(np.quantile(delays, 0.95))
