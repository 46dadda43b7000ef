"""What the recogniser of digits is tried on: clean, noisy and synthetic speech, and sounds that hold none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.sets.fsdd import RATE_HZ, Clip
from training.speech import digit_voices, synthesis
from training.speech.connected import Floats, Plan, Utterance
from training.speech.digits_drill import speakers_of
from training.speech.noises import KINDS, no_speech, noise
from training.speech.transcription import (
    Outputs,
    Transcript,
    error_percent,
    transcribe,
    transcribe_unbroken,
    word_error_percent,
)

SNR_DB = (20, 10, 5)
QUIET_S = 60
"""Of silence and of each kind of sound."""
QUIET_DB = -20.0
"""Level of those sounds below full scale."""
SEED = 20260200


@dataclass(frozen=True, eq=False)
class Trial:
    """Everything that is listened to, the same for whoever listens.

    Attributes:
        clean: connected test digits.
        others: the same with noise, and synthetic voices that training does not know, by name.
        sounds: without speech, by name.
    """

    clean: list[Utterance]
    others: dict[str, list[Utterance]]
    sounds: dict[str, Floats]

    @classmethod
    def of(cls, test: Sequence[Clip], n: int, quiet_s: float = QUIET_S) -> Trial:
        """Make one of `n` utterances a kind, with synthetic voices where espeak-ng is installed."""
        clean = Plan().utterances(speakers_of(test), n, SEED)
        others = {f"noise at {snr_db} dB": [noisy(one, snr_db, i) for i, one in enumerate(clean)] for snr_db in SNR_DB}
        if synthesis.is_installed():
            others["unknown synthetic voices"] = synthetic(max(2, n // 4))
        rng, length = np.random.default_rng(SEED), int(quiet_s * RATE_HZ)
        sounds = {"silence": np.zeros(length, np.float32)}
        for kind in KINDS:
            sounds[kind] = np.clip(10 ** (QUIET_DB / 20) * no_speech(length, RATE_HZ, rng, kind), -1.0, 1.0)
        return cls(clean, others, sounds)


def noisy(utterance: Utterance, snr_db: float, seed: int) -> Utterance:
    """The utterance with noise of some colour, `snr_db` below the level of its words."""
    rng, n = np.random.default_rng(SEED + seed), len(utterance.samples)
    level = np.sqrt(np.mean(utterance.samples[np.abs(utterance.samples) > 0.01] ** 2))
    samples = utterance.samples + level * 10 ** (-snr_db / 20) * noise(n, rng)
    return replace(utterance, samples=np.clip(samples, -1.0, 1.0).astype(np.float32))


def synthetic(n: int) -> list[Utterance]:
    """Digits that synthetic voices unknown to training say in a row; where a word ends in them is not known."""
    rng = np.random.default_rng(SEED)
    utterances = []
    for voice in digit_voices.voices(digit_voices.TEST_VARIANTS, n, rng):
        digits = tuple(int(digit) for digit in rng.integers(0, 10, rng.integers(3, 6)))
        speech, words = digit_voices.in_a_row(digits, voice)
        samples = np.pad(0.5 * speech, (RATE_HZ // 2, RATE_HZ)) + 1e-3 * rng.standard_normal(len(speech) + 12_000)
        utterances.append(Utterance(samples.astype(np.float32), words, (len(samples),) * len(words), voice.name))
    return utterances


@dataclass(frozen=True, eq=False)
class Heard:
    """What one listener made of a trial.

    Attributes:
        clean: transcripts.
        clean_percent, unbroken_percent: word error rates, each utterance in a session of its own, and all in one.
        others_percent: word error rates by name.
        false_words: read where nobody spoke, a minute of each sound.
    """

    clean: list[Transcript]
    clean_percent: float
    unbroken_percent: float
    others_percent: dict[str, float]
    false_words: dict[str, float]

    @property
    def false_words_a_minute(self) -> float:
        """The mean over all sounds."""
        return float(np.mean(list(self.false_words.values())))


def listen(trial: Trial, outputs: Outputs) -> Heard:
    """Let `outputs` hear all of a trial; every call is a session of its own."""
    clean = transcribe(trial.clean, outputs)
    quiet = {
        name: (len(transcribe([Utterance(sound, (), ())], outputs)[0].words), len(sound) / RATE_HZ / 60)
        for name, sound in trial.sounds.items()
    }
    return Heard(
        clean=clean,
        clean_percent=error_percent(clean),
        unbroken_percent=error_percent([transcribe_unbroken(trial.clean, outputs)]),
        others_percent={name: error_percent(transcribe(some, outputs)) for name, some in trial.others.items()},
        false_words={name: n / minutes for name, (n, minutes) in quiet.items()},
    )


def listen_by_words(trial: Trial, words: Callable[[Floats], tuple[int, ...]]) -> tuple[float, dict[str, float], float]:
    """The same of a recogniser of whole recordings: clean percent, others' percent, false words a minute."""

    def percent(some: Sequence[Utterance]) -> float:
        return word_error_percent([(one.words, words(one.samples)) for one in some])

    rates = [len(words(sound)) / (len(sound) / RATE_HZ / 60) for sound in trial.sounds.values()]
    return percent(trial.clean), {name: percent(some) for name, some in trial.others.items()}, float(np.mean(rates))


def percent_by_length(transcripts: Sequence[Transcript]) -> dict[str, float]:
    """Word error rate by the number of words in an utterance."""
    lengths = sorted({len(one.utterance.words) for one in transcripts})
    return {str(n): error_percent([one for one in transcripts if len(one.utterance.words) == n]) for n in lengths}


def percent_by_speaker(transcripts: Sequence[Transcript]) -> dict[str, float]:
    """Word error rate by speaker."""
    speakers = sorted({one.utterance.speaker for one in transcripts})
    return {name: error_percent([one for one in transcripts if one.utterance.speaker == name]) for name in speakers}
