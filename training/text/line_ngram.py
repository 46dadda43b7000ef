"""N-grams of lines: each line begins from nothing, and its end is a symbol like any other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from training.text.ngram import NGram

BREAK = "\n"


class LineNGram:
    """An n-gram of short lines, such as names."""

    def __init__(self, lines: Sequence[str], symbols: str, context_chars: int) -> None:
        """Count lines of `symbols`; a context never reaches behind the beginning of its line."""
        self.symbols = symbols + BREAK
        self._ngram = NGram(BREAK + "".join(line + BREAK for line in lines), self.symbols, context_chars)

    def bits(self, line: str) -> float:
        """Give -log2 p of a line's characters and its end."""
        whole = BREAK + line + BREAK
        return -sum(math.log2(self._ngram.probability(whole[:i], whole[i])) for i in range(1, len(whole)))

    def draw(self, rng: np.random.Generator, max_chars: int) -> str | None:
        """Draw a line, or None where it has no end within `max_chars`."""
        line = BREAK
        while len(line) <= max_chars + 1:
            p = np.array([self._ngram.probability(line, symbol) for symbol in self.symbols])
            symbol = self.symbols[int(rng.choice(len(p), p=p / p.sum()))]
            if symbol == BREAK:
                return line[1:]
            line += symbol
        return None


def bits_per_char(n_grams: Sequence[LineNGram], lines: Sequence[str]) -> float:
    """Give the mean of -log2 p over the characters and ends of lines, the i-th judged by the i-th n-gram."""
    total = sum(n_gram.bits(line) for n_gram, line in zip(n_grams, lines, strict=True))
    return total / sum(len(line) + 1 for line in lines)
