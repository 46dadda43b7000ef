"""Surnames of eighteen languages, one text file each: classification by language, and generation."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data import DataMissing, DataSet

NAMES = DataSet(
    name="names",
    source="https://github.com/spro/practical-pytorch at c520c52e68e945d88fff563dba1c028b6ec0197b (data/names)",
    licence="MIT",
    attribution="surnames by language, collected by Sean Robertson, Copyright (c) 2017, MIT licence",
)
SPLIT_SEED = 0
"""Of the draw that parts the names; not the seed of a training, so that every training is judged by the same names."""


@dataclass(frozen=True, order=True)
class Surname:
    """One surname in lower case, and the language of the file it stands in."""

    language: str
    text: str


@dataclass(frozen=True)
class Surnames:
    """All surnames in three parts, each with the same share of every language.

    A name that stands in the files of several languages is kept once for each, as it should be: `martin` is French and
    English, and no reader could tell. `ambiguous` says how many there are; they bound what any classifier can reach.

    Attributes:
        languages: in the order of the alphabet; a language's index is its label.
        symbols: every character of a name, in the order of their code points.
        train, validation, test: 80, 10 and 10 % of each language, in random order.
    """

    languages: tuple[str, ...]
    symbols: str
    train: tuple[Surname, ...]
    validation: tuple[Surname, ...]
    test: tuple[Surname, ...]

    @property
    def ambiguous(self) -> int:
        """How many of all the surnames stand in more than one language."""
        return count_ambiguous([*self.train, *self.validation, *self.test])

    def languages_of(self, n_names: int) -> set[str]:
        """The languages that have at most `n_names` in all parts together."""
        counts = Counter(name.language for name in (*self.train, *self.validation, *self.test))
        return {language for language, n in counts.items() if n <= n_names}


def load_surnames(folder: Path) -> Surnames:
    """Load the files of names/ in lower case, without duplicates inside a language, and part them.

    Raises:
        DataMissing: there is no file of surnames.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.txt")):
        lines = (line.strip().lower() for line in path.read_text(encoding="utf-8").splitlines())
        found[path.stem] = sorted({line for line in lines if line})
    if not found:
        raise DataMissing(NAMES, "*.txt", "the folder names/")
    return part_surnames(found)


def part_surnames(found: dict[str, list[str]]) -> Surnames:
    """Part the surnames of each language: the first 10 % of a fixed shuffle are the test, the next 10 % validation.

    Args:
        found: language -> its surnames, each once; at least 3 of every language.
    """
    rng = np.random.default_rng(SPLIT_SEED)
    train, validation, test = [], [], []
    for language in sorted(found):
        names = [Surname(language, found[language][i]) for i in rng.permutation(len(found[language]))]
        n = max(1, round(0.1 * len(names)))
        test += names[:n]
        validation += names[n : 2 * n]
        train += names[2 * n :]
    symbols = "".join(sorted({symbol for names in found.values() for name in names for symbol in name}))
    return Surnames(tuple(sorted(found)), symbols, tuple(train), tuple(validation), tuple(test))


def count_ambiguous(names: list[Surname]) -> int:
    """Count the surnames that are in the list under more than one language."""
    languages: dict[str, set[str]] = {}
    for name in names:
        languages.setdefault(name.text, set()).add(name.language)
    return sum(len(languages[name.text]) > 1 for name in names)
