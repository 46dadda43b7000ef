"""The trial of the recogniser of AN4: transcripts by sessions with a decoder, and by the same decoder over PyTorch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import jiwer
import numpy as np
import torch
from numpy.typing import NDArray

import streamrnn
from streamrnn.decode import CtcSettings
from streamrnn.decode.decoder import Facts
from streamrnn.decode.event import Event
from streamrnn.decode.making import make_decoder
from training.sets.an4 import N_CEPSTRA
from training.sets.an4_text import Said
from training.speech.census_net import STRIDE, CensusNet
from training.speech.transcription import word_error_percent
from training.streamed import session_of

COMMANDS = frozenset({"ENTER", "ERASE", "GO", "HELP", "NO", "REPEAT", "RUBOUT", "START", "STOP", "YES"})
KINDS = ("letters", "commands", "numbers and the rest")


def frames_of(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Frames (n, 39) of cepstra (3 n, 13), each three steps; up to two steps at the end are left out."""
    return features[: len(features) // STRIDE * STRIDE].reshape(-1, STRIDE * N_CEPSTRA)


@dataclass(frozen=True, eq=False)
class Read:
    """What was read of one recording.

    Attributes:
        said: its words.
        events: of the decoder, in order.
        outputs: (n, 1 + n_words).
        speaker: of the words.
    """

    said: tuple[str, ...]
    events: tuple[Event, ...]
    outputs: NDArray[np.float32] = field(repr=False)
    speaker: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """The words of all utterances that have ended, one after another."""
        return tuple(word.text for event in self.events if event.kind == "final" for word in event.words)


def read_streamed(model: streamrnn.Model, utterance: Said, settings: CtcSettings | None = None) -> Read:
    """Step a fresh session frame by frame, with the decoder of the model's card or another."""
    session, outputs = session_of(model, settings or "model"), []
    events: list[Event] = []
    for frame in frames_of(utterance.features):
        outputs.append(session.step(frame).copy())
        events += session.last_events
    events += session.finish_decoding()
    return Read(utterance.words, tuple(events), np.array(outputs, np.float32), utterance.speaker)


@torch.no_grad()
def read_offline(net: CensusNet, model: streamrnn.Model, utterance: Said, settings: CtcSettings) -> Read:
    """Run PyTorch over the whole recording and the decoder over its outputs; `model` tells labels and rate."""
    frames = frames_of(utterance.features)
    outputs = net(torch.from_numpy(frames.reshape(1, -1, N_CEPSTRA)))[0].numpy()
    facts = Facts(frames.shape[1], outputs.shape[1], tuple(model.labels), rate_hz=model.card.rate_hz)
    decoder = make_decoder(settings, facts)
    events = decoder.feed(0, frames, outputs) + decoder.finish(len(outputs))
    return Read(utterance.words, tuple(events), outputs, utterance.speaker)


def by_speaker_unbroken(utterances: Sequence[Said]) -> list[Said]:
    """All utterances of each speaker in a row, as one."""
    rows = []
    for speaker in sorted({one.speaker for one in utterances}):
        own = [one for one in utterances if one.speaker == speaker]
        words = tuple(word for one in own for word in one.words)
        rows.append(Said(speaker, np.concatenate([one.features for one in own]), words))
    return rows


def error_percent(reads: Sequence[Read]) -> float:
    """Word error rate of all, in percent."""
    return word_error_percent([(one.said, one.words) for one in reads])


def right_percent(reads: Sequence[Read]) -> float:
    """How many recordings have no error, in percent."""
    return 100.0 * float(np.mean([one.said == one.words for one in reads]))


def percent_by_speaker(reads: Sequence[Read]) -> dict[str, float]:
    """Word error rate of each speaker."""
    speakers = sorted({one.speaker for one in reads})
    return {who: error_percent([one for one in reads if one.speaker == who]) for who in speakers}


def kind_of(word: str) -> str:
    """One of `KINDS`."""
    if len(word) == 1:
        return KINDS[0]
    return KINDS[1] if word in COMMANDS else KINDS[2]


@dataclass(frozen=True)
class Mistakes:
    """How the words that were said were met.

    Attributes:
        said: words of each kind.
        lost: of these, how many were missed or taken for others.
        inserted: words that nobody said.
        taken_for: how often a word was taken for another, by both.
    """

    said: Counter[str]
    lost: Counter[str]
    inserted: int
    taken_for: Counter[tuple[str, str]]

    @classmethod
    def of(cls, pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Mistakes:
        """Align what was said with what was read, by the fewest errors."""
        aligned = jiwer.process_words([" ".join(said) for said, _ in pairs], [" ".join(read) for _, read in pairs])
        lost: Counter[str] = Counter()
        taken_for: Counter[tuple[str, str]] = Counter()
        for (said, read), chunks in zip(pairs, aligned.alignments, strict=True):
            for chunk in chunks:
                words = said[chunk.ref_start_idx : chunk.ref_end_idx]
                if chunk.type in ("substitute", "delete"):
                    lost.update(kind_of(word) for word in words)
                if chunk.type == "substitute":
                    taken_for.update(zip(words, read[chunk.hyp_start_idx : chunk.hyp_end_idx], strict=True))
        return cls(Counter(kind_of(word) for said, _ in pairs for word in said), lost, aligned.insertions, taken_for)

    @property
    def lost_percent(self) -> dict[str, float]:
        """By kind, how many of the words said were missed or taken for others; kinds that were said."""
        return {kind: 100.0 * self.lost[kind] / self.said[kind] for kind in KINDS if self.said[kind]}


def most_frequent(utterances: Sequence[Said]) -> str:
    """The word that is said most often."""
    return Counter(word for one in utterances for word in one.words).most_common(1)[0][0]
