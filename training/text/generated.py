"""Generated names: how many are whole, new, plausible, and of the language that was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from training.sets.names import Surname, Surnames
from training.text.ngram_classifiers import fit_ngrams
from training.text.surnames_read import labels_of


@dataclass(frozen=True)
class Shares:
    """What share of names, 0 .. 1, has each merit; a name without an end has none.

    Attributes:
        whole: has an end.
        valid: has 2 letters or more, and each three characters of it, its borders among them, stand in a training name.
        novel: is not a training name, of whatever language.
        distinct: different names by all names.
        told: the logistic regression of n-grams says that it is of the language that was asked for; the mean over the
            languages, so that those of few names count alike.
    """

    whole: float
    valid: float
    novel: float
    distinct: float
    told: float


class Judge:
    """Judges names by the training names; made once."""

    def __init__(self, surnames: Surnames) -> None:
        self.languages = surnames.languages
        self.known = {name.text for name in surnames.train}
        self.threes = {three for text in self.known for three in threes_of(text)}
        texts = [name.text for name in surnames.train]
        self._classifier = fit_ngrams("logistic regression", texts, labels_of(surnames.train, self.languages))

    def is_valid(self, text: str) -> bool:
        """Whether every three characters of it are known."""
        return sum(symbol.isalpha() for symbol in text) >= 2 and threes_of(text) <= self.threes

    def shares(self, asked: Sequence[str], texts: Sequence[str | None]) -> Shares:
        """Judge names, None where one has no end, beside the languages that they were asked in; at least one."""
        n = len(texts)
        whole = [Surname(language, text) for language, text in zip(asked, texts, strict=True) if text is not None]
        answers = self._classifier.predict([f"^{name.text}$" for name in whole]) if whole else []
        right = Counter(
            name.language for i, name in zip(answers, whole, strict=True) if self.languages[i] == name.language
        )
        asked_for = Counter(asked)
        return Shares(
            whole=len(whole) / n,
            valid=sum(self.is_valid(name.text) for name in whole) / n,
            novel=sum(name.text not in self.known for name in whole) / n,
            distinct=len({name.text for name in whole}) / n,
            told=sum(right[language] / n for language, n in asked_for.items()) / len(asked_for),
        )


def threes_of(text: str) -> set[str]:
    """Give each three characters in a row, the borders of the text as `^` and `$`."""
    whole = f"^{text}$"
    return {whole[i : i + 3] for i in range(len(whole) - 2)}
