"""The Free Spoken Digit Dataset: single spoken digits of six speakers, 8 kHz."""

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.data import DataMissing, DataSet

FSDD = DataSet(
    name="fsdd",
    source="https://github.com/Jakobovski/free-spoken-digit-dataset at 26eb9aaf76e81b692f806f9140c2d2777410d7a1",
    licence="CC BY-SA 4.0",
    attribution="Free Spoken Digit Dataset, Zohar Jackson and others, CC BY-SA 4.0",
)
RATE_HZ = 8000
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

Part = Literal["train", "validation", "test"]
INDICES: dict[Part, range] = {"train": range(15, 50), "validation": range(10, 15), "test": range(5, 10)}
"""Recordings of each digit and speaker by part. The published test part, 0 to 4, is not among the data used here."""


@dataclass(frozen=True, eq=False)
class Clip:
    """One recording of one digit: samples (n,) float32 in [-1, 1], 8 kHz."""

    digit: int
    speaker: str
    index: int
    samples: NDArray[np.float32]


def read_wav(path: Path) -> NDArray[np.float32]:
    """The samples of a 16-bit mono file of 8 kHz, over 32768."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE_HZ)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)


def fsdd_clips(folder: Path, part: Part) -> list[Clip]:
    """Load one part, in the order of the files' names.

    Raises:
        DataMissing: there are no recordings.
    """
    clips = []
    for path in sorted((folder / "recordings").glob("*.wav")):
        digit, speaker, index = path.stem.split("_")
        if int(index) in INDICES[part]:
            clips.append(Clip(int(digit), speaker, int(index), read_wav(path)))
    if not clips:
        raise DataMissing(FSDD, "recordings/*.wav", "the folder fsdd/")
    return clips
