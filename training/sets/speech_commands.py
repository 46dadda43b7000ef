"""Google Speech Commands, a subset of its test clips: yes, no, stop, other words and background noise, 16 kHz."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.data import DataMissing, DataSet
from training.speech.soundfiles import read_sound

SPEECH_COMMANDS = DataSet(
    name="speech_commands",
    source="https://github.com/thegtagamer/PICO-tinyML-benchmark at c66f6b0d78fe9218f6de9d07189691cfae077bee "
    "(Speech Commands v0.02, part of the test set)",
    licence="CC BY 4.0",
    attribution="Speech Commands v0.02, Pete Warden, Google, CC BY 4.0 (arXiv:1804.03209); a part of its test set",
)
RATE_HZ = 16000
SILENCE, UNKNOWN = "_silence_", "_unknown_"
LABELS = (SILENCE, UNKNOWN, "yes", "no", "stop")

Part = Literal["train", "validation", "test"]
N_SILENCE: dict[Part, slice] = {"train": slice(0, 96), "validation": slice(96, 108), "test": slice(108, 120)}


@dataclass(frozen=True, eq=False)
class CommandClip:
    """One second of one speaker's word, or of noise: samples (16000,) float32 in [-1, 1].

    Attributes:
        label: one of `LABELS`.
        word: what was said; for noise an empty text.
        speaker: 32 bits in hexadecimal; for noise an empty text.
        samples: of 16 kHz.
    """

    label: str
    word: str
    speaker: str
    samples: NDArray[np.float32]


def part_of(speaker: str) -> Part:
    """Which part all words of a speaker belong to: by the last decimal digit, 0 test, 1 validation, else train."""
    match int(speaker, 16) % 10:
        case 0:
            return "test"
        case 1:
            return "validation"
        case _:
            return "train"


def command_clips(folder: Path, part: Part) -> list[CommandClip]:
    """Load one part, label by label, no speaker in two parts.

    Raises:
        DataMissing: a label has no clips.
    """
    noises = sorted(_files(folder, SILENCE), key=lambda path: int(path.stem))
    clips = [CommandClip(SILENCE, "", "", read_sound(path, RATE_HZ)) for path in noises[N_SILENCE[part]]]
    for label in LABELS[1:]:
        for path in sorted(_files(folder, label)):
            *word, speaker, _, _ = path.stem.split("_")
            if part_of(speaker) == part:
                clips.append(CommandClip(label, word[0] if word else label, speaker, read_sound(path, RATE_HZ)))
    return clips


def _files(folder: Path, label: str) -> list[Path]:
    found = list((folder / label).glob("*.flac"))
    if not found:
        raise DataMissing(SPEECH_COMMANDS, f"{label}/*.flac", "the folder speech_commands/")
    return found
