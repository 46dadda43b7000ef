"""Word by word: each word's most likely translation, in the source's order. What a translator must beat.

Source: Brown et al., "The mathematics of statistical machine translation", Computational Linguistics 19(2), 1993,
section 4.2: model 1, with its empty word, fitted by expectation maximisation.
"""

from collections import defaultdict
from collections.abc import Iterable

from training.translation.pieces import text_of, words_of

EMPTY = ""
"""The source word of whatever has none."""


class Lexicon:
    """Probabilities of translations of single words, fitted to sentence pairs.

    Attributes:
        table: source word -> target word -> probability.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]], n_rounds: int = 10) -> None:
        """Fit to pairs (source, target) of texts in `n_rounds` of expectation maximisation, begun evenly."""
        split = [([EMPTY, *words_of(source)], words_of(target)) for source, target in pairs]
        self.table: dict[str, dict[str, float]] = defaultdict(dict)
        for sources, targets in split:
            for source in sources:
                self.table[source].update(dict.fromkeys(targets, 1.0))
        for _ in range(n_rounds):
            self._fit(split)

    def _fit(self, split: list[tuple[list[str], list[str]]]) -> None:
        counts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for sources, targets in split:
            for target in targets:
                shares = [self.table[source][target] for source in sources]
                total = sum(shares)
                for source, share in zip(sources, shares, strict=True):
                    counts[source][target] += share / total
        for source, found in counts.items():
            total = sum(found.values())
            self.table[source] = {target: count / total for target, count in found.items()}

    def translate(self, text: str) -> str:
        """Put the most likely translation in each word's place; a word that was never seen stays as it is."""
        return text_of(self._best(word) for word in words_of(text))

    def _best(self, word: str) -> str:
        found = self.table.get(word)
        return max(found, key=lambda target: (found[target], target)) if found else word
