"""The trials of the speaker recipe: known speakers by seconds heard, strangers who enrol, and pairs of utterances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.frontend import FrontendModule
from training.speech.average_voice import AverageVoice
from training.speech.soundtrack import Floats, Mix, Word
from training.speech.speaker_net import Listener, SpeakerNet
from training.speech.speaker_pieces import RATE_HZ, said
from training.speech.verification import against, equal_error_rate, pairs

SECONDS = (0.25, 0.5, 1.0, 2.0, 4.0)
HEADLINE_S = 1.0
ENROLMENT_S = 10.0
MIX = Mix(gap_s=(0.0, 0.0))

Embedding = Callable[[Floats], NDArray[np.floating]]
"""From a recording, samples or features, to a vector."""


@dataclass(frozen=True, eq=False)
class Speech:
    """Speech of one speaker, samples (n,) float32 of 8 kHz: recordings without the quiet around them, joined."""

    speaker: str
    samples: Floats


def speech_of(words: Mapping[str, Sequence[Word]], seconds: float, n_each: int, seed: int) -> list[Speech]:
    """So many joined recordings of each speaker, drawn by `seed`."""
    rng = np.random.default_rng(seed)
    n_samples = round(seconds * RATE_HZ)
    return [Speech(who, said(words[who], n_samples, MIX, rng)) for who in sorted(words) for _ in range(n_each)]


class OfflineListener:
    """A net in PyTorch, over whole recordings of features or of samples."""

    def __init__(self, net: SpeakerNet, features: FrontendModule | None = None) -> None:
        """Take the trained net, and the front end where recordings are samples."""
        self.listener, self.features = Listener(net).eval(), features

    @torch.no_grad()
    def __call__(self, recording: Floats) -> Floats:
        """Map samples (n,), or features (n_frames, n_features), to (embedding_size + n_speakers,)."""
        x = torch.from_numpy(np.ascontiguousarray(recording))[None]
        heads = self.listener(x if self.features is None else self.features(x))
        return np.asarray(torch.cat([heads["embedding"], heads["speaker"]], -1)[0].numpy(), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Known:
    """What known speakers were taken for.

    Attributes:
        outputs: (n_recordings, n_seconds, output_size), what was answered after so many seconds.
        accuracy: (n_seconds,), shares that are right.
    """

    outputs: Floats
    accuracy: NDArray[np.float64]

    @classmethod
    def of(cls, outputs: Floats, speech: Sequence[Speech], speakers: Sequence[str]) -> Known:
        """Judge outputs whose last values are the log-probabilities of `speakers`."""
        truth = np.array([speakers.index(one.speaker) for one in speech])
        answers = outputs[..., -len(speakers) :].argmax(-1)
        return cls(outputs, (answers == truth[:, None]).mean(axis=0))


def stranger_error(embedding: Embedding, enrolment: Speech, own: Sequence[Speech], others: Sequence[Speech]) -> float:
    """The equal error rate of one stranger: enrolled with one recording, held against own and others' recordings."""
    enrolled = embedding(enrolment.samples)
    same, different = (np.stack([embedding(one.samples) for one in speech]) for speech in (own, others))
    return equal_error_rate(against(enrolled, same), against(enrolled, different))[0]


def pairs_error(embeddings: Sequence[NDArray[np.floating]], speakers: Sequence[str]) -> float:
    """The equal error rate of all pairs of recordings."""
    return equal_error_rate(*pairs(np.stack(embeddings), speakers))[0]


def by_average(voice: AverageVoice, speech: Sequence[Speech], features: FrontendModule) -> NDArray[np.float64]:
    """Shares (n_seconds,) that the baseline gets right."""
    right = [
        [voice.nearest(features_of(cut(one.samples, seconds), features)) == one.speaker for seconds in SECONDS]
        for one in speech
    ]
    return np.asarray(np.mean(right, axis=0))


@torch.no_grad()
def features_of(samples: Floats, features: FrontendModule) -> Floats:
    """Samples (n,) to features (n_frames, n_features)."""
    return np.asarray(features(torch.from_numpy(samples)[None])[0].numpy(), dtype=np.float32)


def cut(samples: Floats, seconds: float) -> Floats:
    """The first seconds."""
    return samples[: round(seconds * RATE_HZ)]
