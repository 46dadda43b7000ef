"""Keywords judged: what a clip is taken for, and which events a long recording brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamrnn.decode import Facts, LabelSettings, make_decoder
from training.series.detection import judge
from training.speech.soundtrack import Floats, Spoken
from training.speech.spotter import FRAME_SAMPLES, FRAMES_PER_S
from training.speech.triggers import smoothed

SMOOTH_FRAMES = 8
"""Of the score that decides, 160 ms."""
GRACE_S = 0.5
"""How long after a word's end its event still counts for it."""


@dataclass(frozen=True)
class Heard:
    """How the events of a recording met its words.

    Attributes:
        n_words: words that should bring an event.
        n_found: of these, those that did.
        n_false: events for which there was no such word.
        hours: length of the recording.
        delays_s: from the end of each word found to its event.
    """

    n_words: int
    n_found: int
    n_false: int
    hours: float
    delays_s: tuple[float, ...]

    @property
    def share_found(self) -> float:
        """0 .. 1."""
        return self.n_found / self.n_words

    @property
    def false_per_hour(self) -> float:
        """False events an hour."""
        return self.n_false / self.hours


def decided(posteriors: Floats, threshold: float) -> int:
    """What a clip is taken for: the label with the highest smoothed posterior of any frame, or 0 where all are low.

    Args:
        posteriors: (n_frames, n_labels), label 0 being none of ours.
        threshold: least score of a label, 0 .. 1.
    """
    best = smoothed(posteriors[:, 1:], SMOOTH_FRAMES).max(axis=0)
    return int(best.argmax()) + 1 if best.max() >= threshold else 0


def confusion(truth: Sequence[int], answers: Sequence[int], n_labels: int) -> NDArray[np.int64]:
    """Count (n_labels, n_labels): row the true label, column the answer."""
    counts = np.zeros((n_labels, n_labels), np.int64)
    np.add.at(counts, (np.array(truth, dtype=np.int64), np.array(answers, dtype=np.int64)), 1)
    return counts


def hear(
    posteriors: Floats,
    spoken: Sequence[Spoken],
    labels: Sequence[str],
    watched: Sequence[str],
    settings: LabelSettings,
) -> Heard:
    """Let a label decoder hear a recording, and hold its events against the words.

    Args:
        posteriors: (n_frames, n_labels).
        spoken: the words of the recording.
        labels: of the columns.
        watched: labels that make events; a word of another label should bring none.
        settings: of the decoder.
    """
    ignored = tuple(label for label in labels if label not in watched)
    decoder = make_decoder(
        msgspec.structs.replace(settings, ignored=ignored),
        Facts(FRAME_SAMPLES, len(labels), tuple(labels), rate_hz=FRAMES_PER_S),
    )
    found = decoder.feed(0, np.zeros((len(posteriors), 1), np.float32), posteriors)
    n_words = n_found = n_false = 0
    delays: list[float] = []
    for label in watched:
        own = [one for one in spoken if one.label == label]
        windows = [
            (one.start // FRAME_SAMPLES, one.end // FRAME_SAMPLES + round(GRACE_S * FRAMES_PER_S)) for one in own
        ]
        events = [event.seq for event in found if event.text == label]
        met = judge(events, windows, 0, len(posteriors), FRAMES_PER_S * 86400.0)
        n_words, n_found, n_false = n_words + len(own), n_found + met.n_found, n_false + met.n_false_alarms
        delays += [
            (begin + late + 1) / FRAMES_PER_S - one.end / (FRAMES_PER_S * FRAME_SAMPLES)
            for late, (begin, _), one in zip(met.found, windows, own, strict=True)
            if late is not None
        ]
    return Heard(n_words, n_found, n_false, len(posteriors) / FRAMES_PER_S / 3600.0, tuple(delays))
