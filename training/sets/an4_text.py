"""What is said in CMU AN4: the words of each utterance, how a word is pronounced, and speakers held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data import DataMissing
from training.sets.an4 import AN4, File, an4_utterances

N_HELD_OUT = 6
"""Speakers of the training file that validate."""


@dataclass(frozen=True, eq=False)
class Said:
    """One utterance with its transcript: its speaker, features (n_frames, 13) float32, its words in capitals."""

    speaker: str
    features: NDArray[np.float32]
    words: tuple[str, ...]


def an4_said(folder: Path, file: File) -> list[Said]:
    """Load one official part with its transcripts; a spelled letter is a word of one letter.

    Raises:
        DataMissing: a file is not there.
    """
    words = dict(transcript_of(line) for line in _lines(folder, f"an4_{file}.transcription"))
    return [Said(one.speaker, one.features, words[one.name]) for one in an4_utterances(folder, file)]


def transcript_of(line: str) -> tuple[str, tuple[str, ...]]:
    """Name and words of one line, such as `GO FIVE (an409-fcaw-b)`."""
    *words, name = line.split()
    return name.strip("()"), tuple(word for word in words if word not in ("<s>", "</s>"))


def pronunciations(folder: Path) -> dict[str, tuple[str, ...]]:
    """The phones of each of the 99 words: the first that the dictionary gives, but of `A` the letter's name.

    Raises:
        DataMissing: the dictionary is not there.
    """
    phones = {head: tuple(own) for head, *own in map(str.split, _lines(folder, "an4.dic"))}
    letter = {"A": phones["A(2)"]} if "A(2)" in phones else {}
    return {head: own for head, own in phones.items() if not head.endswith(")")} | letter


def without_held_out(utterances: Sequence[Said]) -> tuple[list[Said], list[Said]]:
    """Part utterances by speaker: those of six, evenly spread over the sorted names, are the second list."""
    speakers = sorted({one.speaker for one in utterances})
    step = max(2, len(speakers) // N_HELD_OUT)
    held_out = set(speakers[step // 2 :: step][:N_HELD_OUT])
    parts: Mapping[bool, list[Said]] = {False: [], True: []}
    for one in utterances:
        parts[one.speaker in held_out].append(one)
    return parts[False], parts[True]


def _lines(folder: Path, name: str) -> list[str]:
    path = folder / "etc" / name
    if not path.is_file():
        raise DataMissing(AN4, path.name, "the folder an4/etc/")
    return [line for line in path.read_text("ascii").splitlines() if line.strip()]
