"""The material of the wake-word recipe: "alexa", all that is not "alexa", and long recordings made of the latter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from training.data import data_folder
from training.options import Options
from training.sets import fsdd, speech_commands, wakeword
from training.soundfiles import resampled
from training.soundtrack import Floats, Mix, Soundtrack, Word, soundtrack
from training.spotter import RATE_HZ
from training.spotting import Material
from training.synthetic_words import NEAR_WAKE, OTHER_WORDS, synthetic_words

OTHER, WAKE = "_other_", wakeword.WAKE
LABELS = (OTHER, WAKE)
N_SYNTHETIC = 60
QUICK_CLIPS = 6
"""Recordings of each group that --quick keeps."""
SHARES = {WAKE: 0.3, "wake words": 0.15, "commands": 0.2, "digits": 0.1}
SYNTHETIC_SHARES = {"synthetic wake": 0.05, "synthetic others": 0.2}
PIECE_S = 300.0
"""Long recordings come in pieces of five minutes, each heard by a session of its own."""
NEGATIVE_MIX = Mix(gap_s=(0.0, 0.6), gain_db=(-15.0, 3.0), noise_db=(-95.0, -30.0))

Part = wakeword.Part


def material_of(options: Options, part: Part, with_synthetic: bool = False) -> Material:
    """Words and noise of one part; no speaker of commands is in two parts, no recording of the others."""
    wake = wakeword.wake_clips(data_folder(wakeword.WAKEWORD, options.data), part)
    commands = speech_commands.command_clips(data_folder(speech_commands.SPEECH_COMMANDS, options.data), part)
    digits = fsdd.fsdd_clips(data_folder(fsdd.FSDD, options.data), part)
    if options.quick:
        digits = digits[:QUICK_CLIPS]
    words = {
        WAKE: [Word.of(WAKE, clip.samples, RATE_HZ) for clip in wake if clip.word == WAKE],
        "wake words": [Word.of(OTHER, clip.samples, RATE_HZ) for clip in wake if clip.word != WAKE],
        "commands": [Word.of(OTHER, clip.samples, RATE_HZ) for clip in commands if clip.speaker],
        "digits": [Word.of(OTHER, resampled(clip.samples, fsdd.RATE_HZ, RATE_HZ), RATE_HZ) for clip in digits],
    }
    if options.quick:
        words = {name: own[:QUICK_CLIPS] for name, own in words.items()}
    shares = dict(SHARES)
    if with_synthetic and (synthetic := _synthetic(options)):
        words |= {name: [word for word in synthetic if word.label == label] for name, label in _GROUPS.items()}
        shares |= SYNTHETIC_SHARES
    total = sum(shares.values())
    noises = [clip.samples for clip in commands if not clip.speaker]
    return Material(LABELS, words, {name: share / total for name, share in shares.items()}, noises)


_GROUPS = {"synthetic wake": WAKE, "synthetic others": OTHER}


def _synthetic(options: Options) -> list[Word]:
    n_each, others = 2 if options.quick else N_SYNTHETIC, (*NEAR_WAKE, *NEAR_WAKE, *OTHER_WORDS)
    return synthetic_words((WAKE,), others, OTHER, RATE_HZ, n_each * 2, options.seed)


def negatives(material: Material, hours: float, seed: int) -> Iterator[Floats]:
    """Long recordings without the wake word, piece by piece: what is there is mixed again and again, each time otherwise.

    Two layers of words, so that they also fall upon one another, with gains, gaps and noise of their own.

    Args:
        material: of one part.
        hours: length in all, a whole number of pieces of five minutes.
        seed: of every draw.
    """
    rng = np.random.default_rng(seed)
    words = [word for own in material.words.values() for word in own if word.label == OTHER]
    n_samples = round(PIECE_S * RATE_HZ)
    for _ in range(round(hours * 3600.0 / PIECE_S)):
        layers = []
        for sparse in (1.0, 4.0):
            mix = Mix((0.0, 0.6 * sparse), NEGATIVE_MIX.gain_db, NEGATIVE_MIX.speed, NEGATIVE_MIX.noise_db)
            drawn = drawn_for(words, n_samples, rng)
            layers.append(soundtrack(drawn, RATE_HZ, mix, rng, material.noises, n_samples).samples)
        yield np.clip(layers[0] + layers[1], -1.0, 1.0)


def drawn_for(words: Sequence[Word], n_samples: int, rng: np.random.Generator) -> list[Word]:
    """Words drawn evenly, as many as fill `n_samples`."""
    drawn, n = [], 0
    while n < n_samples:
        drawn.append(words[int(rng.integers(len(words)))])
        n += len(drawn[-1].samples)
    return drawn


def positives(material: Material, seed: int) -> Soundtrack:
    """Every recording of the wake word once, with pauses of 1 to 2 s, over quiet noise."""
    mix = Mix(gap_s=(1.0, 2.0), noise_db=(-75.0, -75.0))
    return soundtrack(material.words[WAKE], RATE_HZ, mix, np.random.default_rng(seed), material.noises)
