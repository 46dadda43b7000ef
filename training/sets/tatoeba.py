"""Tatoeba: short English sentences, each with one or more French translations.

Sentences that differ in case or punctuation alone fall into the same part, so no test sentence was seen in training.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.data import DataMissing, DataSet

TATOEBA = DataSet(
    name="tatoeba",
    source="eng-fra.txt of https://github.com/NJUxlj/seq2seq-attention-translation"
    " at b20755b1c81f2d82526ab967dbc8ec6465f22f14 (an export of manythings.org/anki)",
    licence="CC BY 2.0 FR",
    attribution="sentences of tatoeba.org by its contributors, named in the third column of eng-fra.txt, CC BY 2.0 FR",
)
FILE = "eng-fra.txt"
N_BUCKETS = 10

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Sentence:
    """One English sentence and all its French translations, in the file's order; lower case."""

    english: str
    french: tuple[str, ...]


def normalised(text: str) -> str:
    """Lower case, one kind of apostrophe and of space.

    The data is too small to learn a word twice, with and without a capital.
    """
    return " ".join(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split())


def part_of(english: str) -> Part:
    """The part of an English sentence: by its words alone, through a hash that is the same on every machine."""
    words = " ".join(re.findall(r"[\w']+", english.lower()))
    bucket = int.from_bytes(hashlib.sha256(words.encode()).digest()) % N_BUCKETS
    return "test" if bucket == 0 else "validation" if bucket == 1 else "train"


def sentences_of(lines: list[str], part: Part) -> list[Sentence]:
    """Gather lines `english TAB french TAB attribution` by their English side, in the order they first stand in."""
    found: dict[str, list[str]] = {}
    for line in lines:
        english, french = (normalised(side) for side in line.split("\t")[:2])
        if part_of(english) == part:
            translations = found.setdefault(english, [])
            if french not in translations:
                translations.append(french)
    return [Sentence(english, tuple(french)) for english, french in found.items()]


def tatoeba_sentences(folder: Path, part: Part) -> list[Sentence]:
    """Load one part.

    Raises:
        DataMissing: the file is not there.
    """
    path = folder / FILE
    if not path.is_file():
        raise DataMissing(TATOEBA, FILE, "the folder tatoeba/")
    return sentences_of(path.read_text(encoding="utf-8").splitlines(), part)
