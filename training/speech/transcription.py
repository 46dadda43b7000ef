"""Transcripts judged: word error rates, and how soon after its end each word is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
from numpy.typing import NDArray

from training.speech.connected import Floats, Utterance
from training.speech.ctc import Emission, greedy

Outputs = Callable[[Floats], NDArray[np.float32]]
"""Maps samples (n,) to outputs (n // frame, 1 + n_labels)."""


@dataclass(frozen=True, eq=False)
class Transcript:
    """What was read of an utterance."""

    utterance: Utterance
    emissions: tuple[Emission, ...]

    @property
    def words(self) -> tuple[int, ...]:
        """The labels that were read."""
        return tuple(emission.label for emission in self.emissions)

    @property
    def is_right(self) -> bool:
        """Whether they are those that were said."""
        return self.words == self.utterance.words


def transcribe(utterances: Sequence[Utterance], outputs: Outputs) -> list[Transcript]:
    """Read each utterance in a session of its own."""
    return [Transcript(one, tuple(greedy(outputs(one.samples)))) for one in utterances]


def transcribe_unbroken(utterances: Sequence[Utterance], outputs: Outputs) -> Transcript:
    """Read all utterances, one after another, in a single session."""
    starts = np.cumsum([0, *(len(one.samples) for one in utterances)])
    whole = Utterance(
        np.concatenate([one.samples for one in utterances]),
        tuple(word for one in utterances for word in one.words),
        tuple(int(start) + end for start, one in zip(starts, utterances, strict=False) for end in one.ends),
    )
    return transcribe([whole], outputs)[0]


def word_error_percent(pairs: Sequence[tuple[Sequence[object], Sequence[object]]]) -> float:
    """Substitutions, deletions and insertions over the words said, at least one, in percent; pairs of said and read."""
    said, read = ([" ".join(map(str, words)) for words in side] for side in zip(*pairs, strict=True))
    return 100.0 * float(jiwer.wer(said, read))


def error_percent(transcripts: Sequence[Transcript]) -> float:
    """`word_error_percent` of transcripts."""
    return word_error_percent([(one.utterance.words, one.words) for one in transcripts])


def delays_ms(transcripts: Sequence[Transcript], frame: int, rate_hz: float) -> NDArray[np.float64]:
    """For each word of the transcripts that are right: from its last sample to the end of the frame that gives it.

    Below 0 where a word is read before it is over.

    Args:
        transcripts: those with errors are left out, since it is not known which word is which.
        frame: samples of one.
        rate_hz: of the samples.
    """
    delays = [
        (emission.frame + 1) * frame - end
        for one in transcripts
        if one.is_right
        for emission, end in zip(one.emissions, one.utterance.ends, strict=True)
    ]
    return np.array(delays, np.float64) * 1000.0 / rate_hz
