"""Transcript: symbols with their times, spelled out as words and text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from streamrnn.decode.event import Word


class Symbol(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """One symbol of an utterance.

    Attributes:
        index: which one.
        first, last: outputs' numbers between which it was the symbol that sounded, both included.
        peak: its highest posterior there, 0 .. 1.
    """

    index: int
    first: int
    last: int
    peak: float


class Spelling:
    """How symbols become words and a text.

    Args:
        names: of the symbols.
        separator: what stands between symbols.
        word_separator: index of the symbol that parts words, or -1: every symbol is a word.
        delay: frames by which outputs come late.
    """

    def __init__(self, names: tuple[str, ...], separator: str, word_separator: int, delay: int) -> None:
        self._names, self._separator, self._delay = names, separator, delay
        self._word_separator = word_separator
        self._last: tuple[Word, ...] = ()

    def words(self, symbols: Sequence[Symbol]) -> tuple[Word, ...]:
        """The words of an utterance; a word's score is the mean of its symbols' peaks.

        Those that are as they were the last time are the same objects: a server keeps the transcripts of a window of
        frames, each of which repeats the one before.
        """
        words: list[Word] = []
        spelled: list[Symbol] = []
        for symbol in symbols:
            if symbol.index != self._word_separator:
                spelled.append(symbol)
            if spelled and (self._word_separator < 0 or symbol.index == self._word_separator):
                words.append(self._word(spelled))
                spelled = []
        if spelled:
            words.append(self._word(spelled))
        n_same = 0
        for old, new in zip(self._last, words, strict=False):
            if old != new:
                break
            n_same += 1
        self._last = self._last[:n_same] + tuple(words[n_same:])
        return self._last

    def text(self, words: Sequence[Word]) -> str:
        """The words as one text."""
        return (self._separator if self._word_separator < 0 else " ").join([word.text for word in words])

    def _word(self, symbols: list[Symbol]) -> Word:
        text = self._separator.join([self._names[symbol.index] for symbol in symbols])
        first, last = symbols[0].first - self._delay, symbols[-1].last - self._delay
        return Word(text, max(0, first), max(0, last), math.fsum([s.peak for s in symbols]) / len(symbols))
