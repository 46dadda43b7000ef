"""Greedy CTC search: the likeliest symbol of every frame, repeats folded and blanks left out."""

from __future__ import annotations

import math

from msgspec import field

from streamrnn.decode.posteriors import Row
from streamrnn.decode.record import MAX_SEQ, Record, check_state
from streamrnn.decode.transcript import Symbol
from streamrnn.errors import SnapshotError


class GreedyState(Record, tag="greedy"):
    """What a frame changes.

    Attributes:
        sounding: index of the last frame's symbol; the blank's or -1 where none sounds.
        symbols: of the utterance.
    """

    sounding: int = -1
    symbols: list[Symbol] = field(default_factory=list)


class GreedySearch:
    """The best path of one utterance.

    Source: Graves et al., "Connectionist temporal classification", 2006, section 3.2 (best path decoding).
    """

    def __init__(self, blank: int, n_symbols: int, max_symbols: int) -> None:
        self._blank, self._n_indices, self._max_symbols = blank, n_symbols, max_symbols
        self.now = GreedyState()

    def hear(self, seq: int, row: Row) -> bool:
        """Take a row of log posteriors; tell whether the symbols have changed."""
        now = self.now
        top = max(row)
        index = row.index(top)
        if index == now.sounding:
            if now.symbols and index != self._blank:
                symbol = now.symbols[-1]
                symbol.last, symbol.peak = seq, max(symbol.peak, math.exp(top))
            return False
        now.sounding = index
        if index == self._blank:
            return False
        now.symbols.append(Symbol(index, seq, seq, math.exp(top)))
        return True

    @property
    def n_symbols(self) -> int:
        """Symbols of the utterance so far."""
        return len(self.now.symbols)

    @property
    def last_seq(self) -> int:
        """The last frame in which a symbol of the utterance sounded."""
        return self.now.symbols[-1].last

    def symbols(self) -> list[Symbol]:
        """The symbols so far."""
        return self.now.symbols

    def close(self) -> list[Symbol]:
        """End the utterance and give its symbols; a symbol that still sounds is not heard a second time."""
        symbols, self.now.symbols = self.now.symbols, []
        return symbols

    def cut(self) -> list[Symbol]:
        """End the utterance before its last symbol, which begins the next one."""
        symbols, self.now.symbols = self.now.symbols[:-1], self.now.symbols[-1:]
        return symbols

    def take_up(self, state: Record) -> None:
        """Go on from another search's `now`.

        Raises:
            SnapshotError: it is none of a search with these settings.
        """
        if not isinstance(state, GreedyState):
            raise SnapshotError("the decoder's state: of another kind of search")
        check_state(-1 <= state.sounding < self._n_indices and len(state.symbols) <= self._max_symbols, "symbols")
        for symbol in state.symbols:
            check_state(0 <= symbol.index < self._n_indices and symbol.index != self._blank, "a symbol")
            check_state(0 <= symbol.first <= symbol.last <= MAX_SEQ and 0.0 <= symbol.peak <= 1.0, "a symbol")
        self.now = state
