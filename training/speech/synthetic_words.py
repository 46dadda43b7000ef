"""Synthetic words: yes, no, stop and others in many voices of espeak-ng, some of them kept out of training."""

from __future__ import annotations

import numpy as np

from training.speech.soundtrack import Word
from training.speech.synthesis import SynthesiserMissing, Voice, is_installed, speak

ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029")
VARIANTS = ("m1", "m2", "m4", "m5", "m6", "m7", "m8", "f1", "f3", "f4", "f5")
HELD_OUT = ("m3", "f2")
"""Variants that no training word is spoken in."""
NEAR_WAKE = (
    *("alex", "alexander", "a lexus", "election", "alaska", "elixir", "relax", "a letter", "elect a", "annexe a"),
    *("election day", "i like sir", "all exits", "malaysia", "galaxy", "flex a muscle", "electric", "axle", "alexis"),
)
"""What sounds like "alexa" and is not."""
_PLAIN = "up down left right on off go house dog cat bird happy wow sheila marvin bed tree learn follow visual"
_NEAR = "start top stock step snow now note yet yard guess nine never nose past spot shop west less knob"
_MORE = "one two three four five six seven eight zero hello computer music light door open close please good"
OTHER_WORDS = tuple(f"{_PLAIN} {_NEAR} {_MORE}".split())
"""What is none of ours; some sound a little like one of them."""


def synthetic_words(
    keywords: tuple[str, ...], others: tuple[str, ...], other: str, rate_hz: int, n_each: int, seed: int
) -> list[Word]:
    """Speak each keyword `n_each` times, and thrice as often one of the others, each in a voice drawn by `seed`.

    Where espeak-ng is missing the list is empty, and a line says so.

    Args:
        keywords: each is its own label.
        others: words or phrases that are none of them.
        other: label of the other words.
        rate_hz: of the samples.
        n_each: of each keyword.
        seed: of the voices, speeds and pitches.
    """
    if not is_installed():
        print(f"{SynthesiserMissing()}; training goes on without synthetic words")
        return []
    rng = np.random.default_rng(seed)
    texts = [(word, word) for word in keywords for _ in range(n_each)]
    texts += [(others[int(rng.integers(len(others)))], other) for _ in range(n_each * 3)]
    words = []
    for text, label in texts:
        voice = f"{ACCENTS[int(rng.integers(len(ACCENTS)))]}+{VARIANTS[int(rng.integers(len(VARIANTS)))]}"
        words_a_minute, pitch = int(rng.integers(110, 200)), int(rng.integers(25, 75))
        spoken = speak(text, Voice(voice, pitch, words_a_minute), rate_hz, is_trimmed=False)
        words.append(Word.of(label, spoken, rate_hz))
    return words
