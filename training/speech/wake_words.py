"""The material of the wake-word recipe: "alexa", all that is not "alexa", and long recordings made of the latter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from training.data import data_folder
from training.options import Options
from training.sets import fsdd, speech_commands, wakeword
from training.speech.soundfiles import resampled
from training.speech.soundtrack import Floats, Mix, Soundtrack, Word, soundtrack
from training.speech.spotter import RATE_HZ
from training.speech.spotting import Material
from training.speech.synthetic_words import NEAR_WAKE, OTHER_WORDS, synthetic_words

OTHER, WAKE = "_other_", wakeword.WAKE
LABELS = (OTHER, WAKE)
N_SYNTHETIC = 60
QUICK_CLIPS = 6
"""Recordings of each group that --quick keeps."""
SHARES = {WAKE: 0.3, "wake words": 0.12, "commands": 0.2, "digits": 0.08}
TRAINING_SHARES = {"backwards": 0.12}
SYNTHETIC_SHARES = {"synthetic wake": 0.04, "synthetic others": 0.16}
N_BABBLE, BABBLE_S = 20, 20.0
PIECE_S = 300.0
"""Long recordings come in pieces of five minutes, each heard by a session of its own."""
NEGATIVE_MIX = Mix(gap_s=(0.0, 0.6), gain_db=(-15.0, 3.0), noise_db=(-95.0, -30.0))

Part = wakeword.Part


def material_of(options: Options, part: Part) -> Material:
    """Words and noise of one part as they are; no speaker of commands is in two parts, no recording of the others."""
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
    return Material(LABELS, words, _to_one(SHARES), [clip.samples for clip in commands if not clip.speaker])


def training_material(options: Options) -> Material:
    """The training part with what makes it hard: words backwards, synthetic words, and babble."""
    plain = material_of(options, "train")
    words, shares = dict(plain.words), SHARES | TRAINING_SHARES
    others = [word for name, own in words.items() for word in own if name != WAKE]
    words["backwards"] = [Word.of(OTHER, word.samples[::-1].copy(), RATE_HZ) for word in others]
    n_each = 2 if options.quick else N_SYNTHETIC
    near = (*NEAR_WAKE, *NEAR_WAKE, *OTHER_WORDS)
    if synthetic := synthetic_words((WAKE,), near, OTHER, RATE_HZ, n_each * 3, options.seed):
        words["synthetic wake"] = [word for word in synthetic if word.label == WAKE]
        words["synthetic others"] = [word for word in synthetic if word.label == OTHER]
        shares |= SYNTHETIC_SHARES
    rng = np.random.default_rng(options.seed)
    n_samples = round(BABBLE_S * RATE_HZ)
    babble = [
        soundtrack(drawn_for(others, n_samples, rng), RATE_HZ, NEGATIVE_MIX, rng, plain.noises, n_samples).samples
        for _ in range(1 if options.quick else N_BABBLE)
    ]
    return Material(LABELS, words, _to_one(shares), [*plain.noises, *babble])


def _to_one(shares: dict[str, float]) -> dict[str, float]:
    return {name: share / sum(shares.values()) for name, share in shares.items()}


def negatives(material: Material, hours: float, seed: int) -> Iterator[Floats]:
    """Long recordings without the wake word, piece by piece: what is there is mixed again and again, each time anew.

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
