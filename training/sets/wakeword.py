"""Picovoice's wake-word recordings: many people who say "alexa", and some who say five other wake words, 16 kHz."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.data import DataMissing, DataSet
from training.speech.soundfiles import read_sound

WAKEWORD = DataSet(
    name="wakeword",
    source="https://github.com/Picovoice/wake-word-benchmark at 84919190fb1891bf0936dcb577d9268e467f876f",
    licence="Apache-2.0",
    attribution="wake-word-benchmark recordings, Picovoice Inc. and its contributors, Apache-2.0",
)
RATE_HZ = 16000
WAKE = "alexa"
OTHERS = ("computer", "jarvis", "smart_mirror", "snowboy", "view_glass")

Part = Literal["train", "validation", "test"]
NUMBERS: dict[Part, range] = {"train": range(230), "validation": range(230, 280), "test": range(280, 329)}
"""Of "alexa": contiguous, since neighbours may share a speaker."""
PLACES: dict[Part, slice] = {"train": slice(0, 14), "validation": slice(14, 17), "test": slice(17, 20)}
"""Of each other word, in the order of the files' names."""


@dataclass(frozen=True, eq=False)
class WakeClip:
    """One recording of one wake word, some seconds: samples (n,) float32 in [-1, 1], 16 kHz."""

    word: str
    samples: NDArray[np.float32]


def wake_clips(folder: Path, part: Part) -> list[WakeClip]:
    """Load one part: "alexa" in the order of its numbers, then the other words.

    Raises:
        DataMissing: a word has no recordings.
    """
    wake = sorted(_files(folder, WAKE), key=lambda path: int(path.stem))
    paths = [(WAKE, path) for path in wake if int(path.stem) in NUMBERS[part]]
    for word in OTHERS:
        paths += [(word, path) for path in sorted(_files(folder, word))[PLACES[part]]]
    return [WakeClip(word, read_sound(path, RATE_HZ)) for word, path in paths]


def _files(folder: Path, word: str) -> list[Path]:
    found = [path for path in (folder / word).glob("*.*") if path.suffix in (".flac", ".wav")]
    if not found:
        raise DataMissing(WAKEWORD, f"{word}/*.flac", "the folder wakeword/")
    return found
