"""Synthetic speakers of digits: which voices of espeak-ng teach, which ones test, and which one the recording has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.sets.fsdd import RATE_HZ, WORDS
from training.speech.connected import Speaker
from training.speech.mixture import Phrase
from training.speech.synthesis import Voice, speak

ACCENTS = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc")
VARIANTS = (
    "m1", "m2", "m4", "m5", "m6", "m8", "f1", "f2", "f4", "f5", "Andy", "Alex", "Annie", "Gene", "Hugo", "Marco",
    "Mike", "adam", "anika", "belinda", "caleb", "david", "edward", "iven", "linda", "max", "paul", "rob", "steph",
    "victor",
)  # fmt: skip
TEST_VARIANTS = ("m3", "m7", "f3", "Denis", "Alicia")
"""No accent speaks with these in training."""
RECORDING_VOICE = Voice("en-us+m3", 45, 150)
"""Of the bundled recording; one of the test variants."""

OTHER_WORDS = (
    "hello", "yes", "no", "stop", "go", "left", "right", "up", "down", "please", "thank you", "the", "and", "a house",
    "water", "music", "open the door", "good morning", "what time is it", "play", "again", "never", "window", "father",
    "computer", "hundred", "and then", "is it", "telephone", "my name is", "maybe", "sunday", "forest", "sick", "fire",
    "tree", "wander", "height", "heaven", "wine", "hero", "never mind", "people", "because", "yellow", "mountain",
)  # fmt: skip
"""Speech that holds no digit, some of it close to one."""


@dataclass(frozen=True)
class SyntheticSpeech:
    """What the synthetic voices of training say: digits by themselves, digits in a row, and other words."""

    speakers: tuple[Speaker, ...]
    phrases: tuple[Phrase, ...]
    other: tuple[Phrase, ...]


def voices(variants: tuple[str, ...], n: int, rng: np.random.Generator) -> list[Voice]:
    """Draw `n` voices: variants in turn, each with an accent, a pitch and a pace."""
    drawn = []
    for i in range(n):
        accent, pitch, pace = rng.choice(ACCENTS), rng.integers(25, 80), rng.integers(110, 210)
        drawn.append(Voice(f"{accent}+{variants[i % len(variants)]}", int(pitch), int(pace)))
    return drawn


def digits_of(voice: Voice) -> Speaker:
    """Each digit, said once."""
    return [[speak(word, voice, RATE_HZ)] for word in WORDS]


def in_a_row(digits: tuple[int, ...], voice: Voice) -> Phrase:
    """Digits said as one phrase, as people do."""
    return speak(" ".join(WORDS[digit] for digit in digits), voice, RATE_HZ), digits


def training_speech(seed: int, n_voices: int = 60, n_phrases: int = 450, n_other: int = 150) -> SyntheticSpeech:
    """Say everything that training hears of synthetic voices.

    Raises:
        SynthesiserMissing: espeak-ng is not installed.
    """
    rng = np.random.default_rng(seed)
    alone = voices(VARIANTS, n_voices, rng)
    rows = [tuple(map(int, rng.integers(0, len(WORDS), rng.integers(2, 5)))) for _ in range(n_phrases)]
    words = [str(rng.choice(OTHER_WORDS)) for _ in range(n_other)]
    return SyntheticSpeech(
        speakers=tuple(digits_of(voice) for voice in alone),
        phrases=tuple(in_a_row(row, voice) for row, voice in zip(rows, voices(VARIANTS, n_phrases, rng), strict=True)),
        other=tuple(
            (speak(word, voice, RATE_HZ), ()) for word, voice in zip(words, voices(VARIANTS, n_other, rng), strict=True)
        ),
    )
