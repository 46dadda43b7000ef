"""The figures of the speaker recipe: the same trials, heard by the engine, by PyTorch and by the average voice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import streamrnn
from training.data import data_folder
from training.frontend import FrontendModule
from training.options import Options
from training.sets.an4 import AN4, an4_utterances, by_speaker
from training.sets.fsdd import FSDD
from training.speech.average_voice import AverageVoice
from training.speech.soundtrack import Floats
from training.speech.speaker_fit import FRONTEND, digits_by_speaker
from training.speech.speaker_models import CEPSTRA, SPOKEN, SpeakerModels
from training.speech.speaker_trial import (
    ENROLMENT_S,
    HEADLINE_S,
    SECONDS,
    Known,
    by_average,
    cut,
    features_of,
    pairs_error,
    speech_of,
    stranger_error,
)
from training.streamed import outputs_of

N_EACH = 40
"""Pieces of each speaker in a trial."""

Hearing = Callable[[Floats], NDArray[np.floating]]
"""From a recording, samples or features, to the last output."""


@dataclass(frozen=True, eq=False)
class Figures:
    """What one way of hearing reached: shares right by seconds, errors of strangers, and of AN4."""

    by_seconds: NDArray[np.float64]
    strangers: tuple[float, ...]
    an4_accuracy: float
    an4_pairs: float


class Trial:
    """All that is judged, heard by the engine, by PyTorch and by the baseline."""

    def __init__(self, options: Options) -> None:
        """Load nets and test parts, and draw the speech."""
        folder = data_folder(FSDD, options.data)
        an4 = data_folder(AN4, options.data)
        self.models, self.features = SpeakerModels.load(options), FrontendModule(FRONTEND)
        self.words, self.test = digits_by_speaker(folder, "train"), digits_by_speaker(folder, "test")
        self.speakers = sorted(self.words)
        n_each = 2 if options.quick else N_EACH
        self.speech = speech_of(self.test, SECONDS[-1], n_each, options.seed)
        self.short = speech_of(self.test, HEADLINE_S, n_each, options.seed + 1)
        self.enrolment = {one.speaker: one for one in speech_of(self.words, ENROLMENT_S, 1, options.seed)}
        parts = by_speaker(an4_utterances(an4, "train"))
        self.an4_train, self.an4_test = parts["train"], parts["test"]
        self.an4_speakers = sorted({one.speaker for one in self.an4_train})
        self.unseen = an4_utterances(an4, "test")[:: 8 if options.quick else 1]
        self.largest_difference = 0.0

    def streamed(self) -> Figures:
        """Hear by sessions of the engine, which answer after each frame for all so far; compare with PyTorch."""
        model, offline = self.models.model(SPOKEN), self.models.offline(SPOKEN)
        ends = [round(seconds * FRONTEND.rate_hz) - 1 for seconds in SECONDS]
        outputs = np.stack([outputs_of(model, one.samples.reshape(-1, FRONTEND.hop))[ends] for one in self.speech])
        for one, own in zip(self.speech[::7], outputs[::7], strict=True):
            whole = np.stack([offline(cut(one.samples, seconds)) for seconds in SECONDS])
            self.largest_difference = max(self.largest_difference, float(np.abs(own - whole).max()))

        def last(served: streamrnn.Model) -> Hearing:
            return lambda frames: outputs_of(served, frames)[-1]

        def from_samples(served: streamrnn.Model) -> Hearing:
            return lambda samples: outputs_of(served, samples.reshape(-1, FRONTEND.hop))[-1]

        strangers = [from_samples(self.models.model(f"without_{who}")) for who in self.speakers]
        return self._figures(outputs, strangers, last(self.models.model(CEPSTRA)))

    def offline(self) -> Figures:
        """Hear whole recordings in PyTorch."""
        net = self.models.offline(SPOKEN)
        outputs = np.stack([[net(cut(one.samples, seconds)) for seconds in SECONDS] for one in self.speech])
        strangers = [self.models.offline(f"without_{who}") for who in self.speakers]
        return self._figures(outputs, strangers, self.models.offline(CEPSTRA))

    def baseline(self) -> Figures:
        """Hear the average voice."""
        pieces = speech_of(self.words, HEADLINE_S, N_EACH, 0)
        every = {who: [self._heard(one.samples) for one in pieces if one.speaker == who] for who in self.speakers}
        strangers = []
        for stranger in self.speakers:
            voice = AverageVoice({who: own for who, own in every.items() if who != stranger})
            strangers.append(self._stranger(self._by(voice), stranger))
        utterances: dict[str, list[Floats]] = {}
        for one in self.an4_train:
            utterances.setdefault(one.speaker, []).append(one.features)
        voice = AverageVoice(utterances)
        right = np.mean([voice.nearest(one.features) == one.speaker for one in self.an4_test])
        unseen = [voice.embedding(one.features) for one in self.unseen]
        error = pairs_error(unseen, [one.speaker for one in self.unseen])
        shares = by_average(AverageVoice(every), self.speech, self.features)
        return Figures(shares, tuple(strangers), float(right), error)

    def _by(self, voice: AverageVoice) -> Hearing:
        return lambda samples: voice.embedding(self._heard(samples))

    def _heard(self, samples: Floats) -> Floats:
        return features_of(samples, self.features)

    def _stranger(self, embedding: Hearing, stranger: str) -> float:
        own = [one for one in self.short if one.speaker == stranger]
        others = [one for one in self.short if one.speaker != stranger]
        return stranger_error(embedding, self.enrolment[stranger], own, others)

    def _figures(self, outputs: Floats, strangers: Sequence[Hearing], an4: Hearing) -> Figures:
        n_known = len(self.speakers) - 1
        errors = [
            self._stranger(_embedding(hear, n_known), who) for hear, who in zip(strangers, self.speakers, strict=True)
        ]
        n = len(self.an4_speakers)
        right = [self.an4_speakers[int(an4(one.features)[-n:].argmax())] == one.speaker for one in self.an4_test]
        unseen = [embedding_of(an4(one.features), n) for one in self.unseen]
        return Figures(
            Known.of(outputs, self.speech, self.speakers).accuracy,
            tuple(errors),
            float(np.mean(right)),
            pairs_error(unseen, [one.speaker for one in self.unseen]),
        )


def embedding_of(output: NDArray[np.floating], n_speakers: int) -> NDArray[np.floating]:
    """The part of an output that is the embedding: all before the log-probabilities."""
    return output[:-n_speakers]


def _embedding(hear: Hearing, n_speakers: int) -> Hearing:
    return lambda recording: embedding_of(hear(recording), n_speakers)
