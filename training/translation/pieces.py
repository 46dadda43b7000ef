"""Pieces of words: byte-pair encoding, so that an unseen word is spelt from pieces that were seen.

A word carries the space before it as a mark; joining the pieces and turning the marks back gives the text again.

Source: Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units", ACL 2016. Differs:
words are marked at their beginning, and punctuation and what follows an apostrophe are words of their own.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""Stands for the space before a word."""
UNKNOWN = "<unknown>"
WORD = re.compile(rf"{SPACE}?(?:[cdjlmnst]|\w*qu)'|{SPACE}?\w+|'\w+|{SPACE}?[^\w\s]")
"""What French elides keeps its apostrophe (`j'` `ai`); elsewhere it goes with what follows (`don` `'t`)."""


def words_of(text: str) -> list[str]:
    """Cut a text into marked words; joined, they are the text with a mark for each space and one before it."""
    return WORD.findall(SPACE + text.replace(" ", SPACE))


def text_of(pieces: Iterable[str]) -> str:
    """The text of words or pieces: the inverse of `words_of`."""
    return "".join(pieces).replace(SPACE, " ").strip()


class Pieces:
    """A learned list of merges and the vocabulary that they make.

    Attributes:
        merges: pairs of pieces that are joined, the most frequent first.
        symbols: single characters, in order of their code points.
        vocabulary: the unknown piece, the symbols, then what each merge makes; without repeats.
    """

    def __init__(self, merges: Iterable[Sequence[str]], symbols: Iterable[str]) -> None:
        self.merges = [(left, right) for left, right in merges]
        self.symbols = list(symbols)
        self.vocabulary = list(dict.fromkeys([UNKNOWN, *self.symbols, *(a + b for a, b in self.merges)]))
        self._ranks = {pair: rank for rank, pair in enumerate(self.merges)}

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {piece: i for i, piece in enumerate(self.vocabulary)}

    @classmethod
    def learn(cls, texts: Iterable[str], n_merges: int, least: int = 2) -> "Pieces":
        """Learn up to `n_merges` pairs from texts, each seen `least` times or more; ties go by the letters."""
        counts = Counter(word for text in texts for word in words_of(text))
        spelt = {word: list(word) for word in counts}
        merges: list[tuple[str, str]] = []
        while len(merges) < n_merges:
            pairs: Counter[tuple[str, str]] = Counter()
            for word, pieces in spelt.items():
                for pair in pairwise(pieces):
                    pairs[pair] += counts[word]
            best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
            if best is None or pairs[best] < least:
                break
            merges.append(best)
            spelt = {word: _joined(pieces, best) for word, pieces in spelt.items()}
        return cls(merges, sorted({letter for word in counts for letter in word}))

    def split(self, word: str) -> list[str]:
        """Cut one marked word into pieces: the earliest learned merge first."""
        pieces = list(word)
        while len(pieces) > 1:
            best = min(pairwise(pieces), key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            pieces = _joined(pieces, best)
        return pieces

    def ids(self, text: str) -> list[int]:
        """Places in the vocabulary of the pieces of a text; 0 for a letter that was never seen."""
        return [self._ids.get(piece, 0) for word in words_of(text) for piece in self.split(word)]

    def text(self, ids: Iterable[int]) -> str:
        """The text of places in the vocabulary."""
        return text_of(self.vocabulary[i] for i in ids)


def _joined(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    """Pieces with each occurrence of a pair made one, from the left."""
    found: list[str] = []
    i = 0
    while i < len(pieces):
        if i + 1 < len(pieces) and (pieces[i], pieces[i + 1]) == pair:
            found.append(pieces[i] + pieces[i + 1])
            i += 2
        else:
            found.append(pieces[i])
            i += 1
    return found
