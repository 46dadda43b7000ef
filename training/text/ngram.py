"""Character n-gram: the baseline that a language model has to beat."""

import math
from collections import Counter
from dataclasses import dataclass

_MOST_DISCOUNTED = 3
"""Counts from here on share one discount."""
_LEAST_DISCOUNT = 0.05
"""Of a count: where few grams were counted the estimate may be 0, and what was never seen would be impossible."""


@dataclass(frozen=True)
class _Level:
    """Counts for contexts of one length."""

    counts: Counter[str]
    """Gram (context and symbol) -> count; below the longest, how many kinds of character stand before the gram."""
    totals: Counter[str]
    """Context -> sum of its grams' counts."""
    discounts: tuple[float, ...]
    """What is taken from a count of 0, 1, 2, and 3 or more."""
    freed: dict[str, float]
    """Context -> all that was taken from its grams: the weight of the shorter context."""


class NGram:
    """Interpolated n-gram over characters with modified Kneser-Ney smoothing.

    Source: Chen and Goodman, "An empirical study of smoothing techniques for language modeling", 1998, section 3: the
    strongest of the classic n-grams. Below the empty context every symbol has the same probability.
    """

    def __init__(self, text: str, symbols: str, context_chars: int = 5) -> None:
        """Count `text`.

        Args:
            text: training text.
            symbols: every character that may be asked for, each once.
            context_chars: most characters looked back at (>= 0): the order of the Markov chain.
        """
        self.symbols = symbols
        self.context_chars = context_chars
        longer = Counter(text[i : i + context_chars + 1] for i in range(len(text) - context_chars))
        levels = [_level(longer)]
        for size in range(context_chars, 0, -1):
            seen = {text[i : i + size + 1] for i in range(len(text) - size)}
            levels.append(_level(Counter(gram[1:] for gram in seen)))
        self._levels = levels[::-1]

    @property
    def n_grams(self) -> int:
        """Different grams counted, over all context lengths."""
        return sum(len(level.counts) for level in self._levels)

    def probability(self, context: str, symbol: str) -> float:
        """Give p(symbol | context), 0 .. 1; only the last `context_chars` of the context count."""
        p = 1.0 / len(self.symbols)
        for size in range(min(self.context_chars, len(context)) + 1):
            level, history = self._levels[size], context[len(context) - size :]
            total = level.totals[history]
            if total:
                count = level.counts[history + symbol]
                taken = level.discounts[min(count, _MOST_DISCOUNTED)]
                p = (count - taken + level.freed[history] * p) / total
        return p

    def bits_per_char(self, text: str) -> float:
        """Give the mean of -log2 p over the characters of `text` from the second on, each given those before it."""
        bits = 0.0
        for i in range(1, len(text)):
            bits -= math.log2(self.probability(text[max(0, i - self.context_chars) : i], text[i]))
        return bits / (len(text) - 1)


def _level(counts: Counter[str]) -> _Level:
    """Sum up the grams of one length and estimate their discounts."""
    discounts = _discounts(Counter(counts.values()))
    totals: Counter[str] = Counter()
    freed: dict[str, float] = {}
    for gram, count in counts.items():
        context = gram[:-1]
        totals[context] += count
        freed[context] = freed.get(context, 0.0) + discounts[min(count, _MOST_DISCOUNTED)]
    return _Level(counts, totals, discounts, freed)


def _discounts(n_grams: Counter[int]) -> tuple[float, ...]:
    """Estimate the discounts from how many grams were counted 1, 2, 3 and 4 times (equation 26).

    Where too few grams are rare for the estimate, as for single characters, half a count is taken.
    """
    if not all(n_grams[count] for count in range(1, _MOST_DISCOUNTED + 2)):
        return (0.0, *(0.5,) * _MOST_DISCOUNTED)
    share = n_grams[1] / (n_grams[1] + 2 * n_grams[2])
    return (
        0.0,
        *(
            min(count, max(_LEAST_DISCOUNT, count - (count + 1) * share * n_grams[count + 1] / n_grams[count]))
            for count in range(1, _MOST_DISCOUNTED + 1)
        ),
    )
