"""Prefix beam search for CTC: the likeliest symbols over all paths that give them, not the likeliest path.

Source: Hannun, Maas, Jurafsky and Ng, "First-pass large vocabulary continuous speech recognition using bi-directional
recurrent DNNs", 2014, algorithm 1. We differ: the word bonus is added to the logarithm and not a power of the number of
words, and in place of a language model there is a list of words, or none.
"""

from __future__ import annotations

import math
from heapq import nlargest
from operator import itemgetter
from typing import NamedTuple

from streamrnn.decode.hypothesis import BeamState, Hypothesis, Trace, log_add, pack, symbols_of
from streamrnn.decode.lexicon import Branch
from streamrnn.decode.posteriors import Row
from streamrnn.decode.record import MAX_SEQ, Record, check_state
from streamrnn.decode.transcript import Symbol
from streamrnn.errors import SnapshotError

_NONE = -math.inf

_Ranked = tuple[float, Hypothesis, int]
"""Rank, hypothesis, and the index of a symbol that follows it, -1: none."""

_rank_of = itemgetter(0)


class BeamOptions(NamedTuple):
    """What a search is to do, see `CtcSettings`.

    Attributes:
        names: of the symbols.
        blank: index of the blank.
        beam: most hypotheses.
        n_best: most symbols that a hypothesis is extended by in a frame; 0: all.
        word_separator: index of the symbol that ends words, -1: every symbol is a word.
        lexicon: the words that there are, None: any.
        word_bonus: natural logarithm.
        max_symbols: of an utterance.
    """

    names: tuple[str, ...]
    blank: int
    beam: int
    n_best: int
    word_separator: int
    lexicon: Branch | None
    word_bonus: float
    max_symbols: int


class BeamSearch:
    """The beam of one utterance.

    A symbol's times are those of the share of paths that weighs most: they begin anew when paths that come to the
    symbol in a frame outweigh all that had it before. An utterance ends with a whole word: its likeliest such
    hypothesis is taken, or the likeliest of all without the letters of its last word.
    """

    def __init__(self, options: BeamOptions) -> None:
        self._options = options
        self._symbols = [i for i in range(len(options.names)) if i != options.blank]
        self._held = -1
        self._beam = [Hypothesis("", 0.0, _NONE, None, options.lexicon, 0)]

    def hear(self, seq: int, row: Row) -> bool:
        """Take a row of log posteriors; tell whether the symbols have changed."""
        options, likeliest = self._options, self._likeliest(row)
        totals = [log_add(h.p_blank, h.p_symbol) for h in self._beam]
        stays = self._stays(seq, row, likeliest, totals)
        bonus = options.word_bonus
        ranked = [(log_add(h.p_blank, h.p_symbol) + bonus * h.n_words, h, -1) for h in stays]
        floor = min([rank for rank, _, _ in ranked]) if len(ranked) == options.beam else _NONE
        ranked += self._extensions(row, likeliest, totals, floor)
        ranked.sort(key=_rank_of, reverse=True)
        kept = [
            h if index < 0 else self._extended(seq, row, h, index)
            for rank, h, index in ranked[: options.beam]
            if rank > _NONE
        ]
        if not kept:  # nothing that the lexicon and the posteriors both allow: as an unknown row
            return False
        best = self._beam[0].prefix
        top = max([max(h.p_blank, h.p_symbol) for h in kept])
        self._beam = [Hypothesis(a, b - top, c - top, d, e, f) for a, b, c, d, e, f in kept]
        return self._beam[0].prefix != best

    @property
    def n_symbols(self) -> int:
        """Symbols of the likeliest hypothesis."""
        return len(self._beam[0].prefix)

    @property
    def last_seq(self) -> int:
        """The last frame in which the likeliest hypothesis' last symbol sounded."""
        trace = self._beam[0].trace
        assert trace is not None
        return trace.last

    @property
    def now(self) -> BeamState:
        """Everything that a frame changes."""
        return pack(self._held, self._beam)

    def symbols(self) -> list[Symbol]:
        """The symbols of the likeliest hypothesis."""
        return symbols_of(self._beam[0].trace)

    def close(self) -> list[Symbol]:
        """End the utterance and give its symbols; a symbol that still sounds is not heard a second time."""
        chosen = self._whole_words()
        best = chosen or self._beam[0]
        symbols = symbols_of(best.trace)
        while chosen is None and symbols and symbols[-1].index != self._options.word_separator:
            symbols.pop()
        self._held = self._last(best)
        self._beam = [Hypothesis("", best.p_blank, best.p_symbol, None, self._options.lexicon, 0)]
        return symbols

    def cut(self) -> list[Symbol]:
        """End the utterance before its last symbol, which begins the next one, if a word may begin with it."""
        best = self._beam[0]
        assert best.trace is not None
        trace = best.trace._replace(before=None)
        branch = self._spelled(self._options.lexicon, trace.symbol)
        symbols = symbols_of(best.trace.before)
        if self._options.lexicon is not None and branch is None:
            self.close()
        else:
            n_words = self._n_words("", trace.symbol)
            self._held = -1
            self._beam = [Hypothesis(best.prefix[-1], best.p_blank, best.p_symbol, trace, branch, n_words)]
        return symbols

    def take_up(self, state: Record) -> None:
        """Go on from another search's `now`.

        Raises:
            SnapshotError: it is none of a search with these settings.
        """
        if not isinstance(state, BeamState):
            raise SnapshotError("the decoder's state: of another kind of search")
        n = len(self._options.names)
        check_state(-1 <= state.held < n and state.held != self._options.blank, "a symbol")
        check_state(1 <= len(state.hypotheses) <= self._options.beam, "hypotheses")
        traces: list[Trace] = []
        for before, index, first, last, peak in state.traces:
            check_state(-1 <= before < len(traces), "a trace")
            check_state(0 <= index < n and index != self._options.blank, "a symbol")
            check_state(0 <= first <= last <= MAX_SEQ and 0.0 <= peak <= 1.0, "a symbol")
            traces.append(Trace(traces[before] if before >= 0 else None, index, first, last, peak))
        beam = [self._unpacked(traces, *form) for form in state.hypotheses]
        check_state(len({h.prefix for h in beam}) == len(beam), "hypotheses")
        check_state(pack(state.held, beam) == state, "hypotheses")
        self._held, self._beam = state.held, beam

    def _unpacked(self, traces: list[Trace], place: int, p_blank: float, p_symbol: float) -> Hypothesis:
        check_state(-1 <= place < len(traces), "a trace")
        check_state(p_blank <= 0.0 and p_symbol <= 0.0 and max(p_blank, p_symbol) > _NONE, "a probability")
        trace = traces[place] if place >= 0 else None
        indices = [symbol.index for symbol in symbols_of(trace)]
        check_state(len(indices) <= self._options.max_symbols + 1, "symbols")
        branch, n_words, prefix = self._options.lexicon, 0, ""
        for index in indices:
            branch = self._spelled(branch, index)
            check_state(branch is not None or self._options.lexicon is None, "a word")
            n_words += self._n_words(prefix, index)
            prefix += chr(index)
        return Hypothesis(prefix, p_blank, p_symbol, trace, branch, n_words)

    def _likeliest(self, row: Row) -> list[int]:
        """The symbols by which hypotheses are extended, the likeliest first."""
        if self._options.n_best:
            return nlargest(self._options.n_best, self._symbols, key=row.__getitem__)
        return sorted(self._symbols, key=row.__getitem__, reverse=True)

    def _last(self, hypothesis: Hypothesis) -> int:
        """Index of the symbol that must not be heard again without a blank, -1: none."""
        return ord(hypothesis.prefix[-1]) if hypothesis.prefix else self._held

    def _stays(self, seq: int, row: Row, likeliest: list[int], totals: list[float]) -> list[Hypothesis]:
        """Every hypothesis after the frame, as the same prefix: by a blank, a repeat, or from one a symbol shorter."""
        blank = row[self._options.blank]
        places = {h.prefix: place for place, h in enumerate(self._beam)}
        stays = []
        for h, total in zip(self._beam, totals, strict=True):
            prefix, trace = h.prefix, h.trace
            last = ord(prefix[-1]) if prefix else self._held
            p_blank = total + blank
            p_symbol = h.p_symbol + row[last] if last >= 0 else _NONE
            if trace is not None:
                come, shorter = _NONE, places.get(prefix[:-1])
                if shorter is not None and (not self._options.n_best or last in likeliest):
                    source = self._beam[shorter]
                    come = (source.p_blank if self._last(source) == last else totals[shorter]) + row[last]
                    if come > log_add(p_blank, p_symbol):
                        trace = Trace(source.trace, last, seq, seq, math.exp(row[last]))
                    p_symbol = log_add(p_symbol, come)
                if p_symbol > p_blank and trace is h.trace:
                    peak = max(trace.peak, math.exp(row[last]))
                    trace = Trace(trace.before, last, trace.first, seq, peak)
            stays.append(Hypothesis(prefix, p_blank, p_symbol, trace, h.branch, h.n_words))
        return stays

    def _extensions(self, row: Row, likeliest: list[int], totals: list[float], floor: float) -> list[_Ranked]:
        """Hypotheses and symbols that may follow them where the beam has no such prefix, ranked above `floor`."""
        options, there = self._options, {h.prefix for h in self._beam}
        found: list[_Ranked] = []
        for h, total in zip(self._beam, totals, strict=True):
            if len(h.prefix) > options.max_symbols:
                continue
            last = self._last(h)
            base = options.word_bonus * h.n_words
            bound = total + base + max(options.word_bonus, 0.0)
            for index in likeliest:
                if bound + row[index] <= floor:
                    break
                rank = (h.p_blank if index == last else total) + row[index] + base
                rank += options.word_bonus * self._n_words(h.prefix, index)
                if rank > floor and h.prefix + chr(index) not in there and self._may_follow(h.branch, index):
                    found.append((rank, h, index))
        return found

    def _extended(self, seq: int, row: Row, h: Hypothesis, index: int) -> Hypothesis:
        """A hypothesis with one symbol more."""
        p = (h.p_blank if index == self._last(h) else h.total) + row[index]
        trace = Trace(h.trace, index, seq, seq, math.exp(row[index]))
        n_words = h.n_words + self._n_words(h.prefix, index)
        return Hypothesis(h.prefix + chr(index), _NONE, p, trace, self._spelled(h.branch, index), n_words)

    def _n_words(self, prefix: str, index: int) -> int:
        """Whole words that a prefix gains by a symbol: 0 or 1."""
        separator = self._options.word_separator
        return int(separator < 0 or (index == separator and prefix != "" and ord(prefix[-1]) != separator))

    def _may_follow(self, branch: Branch | None, index: int) -> bool:
        return self._options.lexicon is None or self._spelled(branch, index) is not None

    def _spelled(self, branch: Branch | None, index: int) -> Branch | None:
        """Where a symbol leads in the lexicon, None: nowhere, or there is no lexicon."""
        root = self._options.lexicon
        if root is None or branch is None:
            return None
        if index == self._options.word_separator:
            return root if branch is root or branch.is_word else None
        return branch.after(self._options.names[index])

    def _whole_words(self) -> Hypothesis | None:
        """The likeliest hypothesis that ends with a whole word, which gets its bonus; None: there is none."""
        root, separator = self._options.lexicon, self._options.word_separator
        whole = [h for h in self._beam if root is None or h.branch is root or (h.branch and h.branch.is_word)]
        if separator < 0:
            return whole[0]
        bonus = self._options.word_bonus
        ends = [h.total + bonus * (h.n_words + self._n_words(h.prefix, separator)) for h in whole]
        return whole[ends.index(max(ends))] if whole else None
