"""The material of the commands recipe: yes, no, stop and other words of real and of synthetic speakers, and noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.data import data_folder
from training.options import Options
from training.sets.speech_commands import (
    LABELS,
    RATE_HZ,
    SILENCE,
    SPEECH_COMMANDS,
    UNKNOWN,
    CommandClip,
    Part,
    command_clips,
)
from training.speech.soundtrack import Floats, Word
from training.speech.spotting import Material
from training.speech.synthetic_words import OTHER_WORDS, synthetic_words

KEYWORDS = ("yes", "no", "stop")
N_SYNTHETIC = 90
"""Synthetic words of each keyword; of other words three times as many."""
QUICK_CLIPS = 4
"""Clips of each label that --quick keeps."""


def clips_of(options: Options, part: Part) -> list[CommandClip]:
    """Load one part; with --quick a few clips of each label."""
    clips = command_clips(data_folder(SPEECH_COMMANDS, options.data), part)
    if not options.quick:
        return clips
    return [clip for label in LABELS for clip in [one for one in clips if one.label == label][:QUICK_CLIPS]]


def words_of(clips: Sequence[CommandClip]) -> dict[str, list[Word]]:
    """The words by their labels, without the noise."""
    return {
        label: [Word.of(label, clip.samples, RATE_HZ) for clip in clips if clip.label == label] for label in LABELS[1:]
    }


def noises_of(clips: Sequence[CommandClip]) -> list[Floats]:
    """The noise."""
    return [clip.samples for clip in clips if clip.label == SILENCE]


def material_of(clips: Sequence[CommandClip], synthetic: Sequence[Word] = ()) -> Material:
    """Lanes of one part: a tenth bursts of noise, the rest words of all labels, a quarter synthetic if any are."""
    words = {**words_of(clips), **{f"synthetic {label}": [] for label in LABELS[1:]}}
    for word in synthetic:
        words[f"synthetic {word.label}"].append(word)
    words[SILENCE] = [Word(SILENCE, sound, 0, len(sound)) for sound in noises_of(clips)]
    share = 0.25 if synthetic else 0.0
    shares = dict.fromkeys(LABELS[1:], 0.9 * (1.0 - share) / 4) | {SILENCE: 0.1}
    if synthetic:
        shares |= {f"synthetic {label}": 0.9 * share / 4 for label in LABELS[1:]}
    return Material(LABELS, words, shares, noises_of(clips))


def synthetic_of(options: Options) -> list[Word]:
    """Synthetic words for training."""
    n_each = 2 if options.quick else N_SYNTHETIC
    return synthetic_words(KEYWORDS, OTHER_WORDS, UNKNOWN, RATE_HZ, n_each, options.seed)


def in_order(clips: Sequence[CommandClip], seed: int) -> list[Word]:
    """All words of the clips once, in an order drawn by `seed`."""
    words = [word for own in words_of(clips).values() for word in own]
    return [words[i] for i in np.random.default_rng(seed).permutation(len(words))]
