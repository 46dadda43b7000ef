"""Hypotheses of a prefix beam search, and their compact form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import field

from streamrnn.decode.lexicon import Branch
from streamrnn.decode.record import Record
from streamrnn.decode.transcript import Symbol


class Trace(NamedTuple):
    """The last symbol of a hypothesis, as `Symbol`, and the trace before it, which many hypotheses share."""

    before: Trace | None
    symbol: int
    first: int
    last: int
    peak: float


class Hypothesis(NamedTuple):
    """A prefix and how likely it is.

    Attributes:
        prefix: its symbols, as one character each: `chr(index)`.
        p_blank, p_symbol: natural logarithms of the probabilities of all paths that give the prefix and end in a blank,
            and in its last symbol; all hypotheses share one factor.
        trace: its symbols with their times, None for the empty prefix.
        branch: with a lexicon, what was spelled since the last separator.
        n_words: whole words, those that a separator has ended.
    """

    prefix: str
    p_blank: float
    p_symbol: float
    trace: Trace | None
    branch: Branch | None
    n_words: int

    @property
    def total(self) -> float:
        """Logarithm of the prefix's probability."""
        return log_add(self.p_blank, self.p_symbol)


class BeamState(Record, tag="beam"):
    """The form of a beam: traces as a tree, each after the one that it follows.

    Attributes:
        held: the symbol that sounded when the utterance before this one ended, -1: none.
        traces: place of the trace before (-1: none), index, first, last, peak.
        hypotheses: place of the trace (-1: none), p_blank, p_symbol; the likeliest first.
    """

    held: int = -1
    traces: list[tuple[int, int, int, int, float]] = field(default_factory=list)
    hypotheses: list[tuple[int, float, float]] = field(default_factory=list)


def log_add(a: float, b: float) -> float:
    """log(exp(a) + exp(b)), for any two numbers below +inf."""
    if a < b:
        a, b = b, a
    return a if b == -math.inf else a + math.log1p(math.exp(b - a))


def symbols_of(trace: Trace | None) -> list[Symbol]:
    """The symbols that a trace ends, in their order."""
    symbols: list[Symbol] = []
    while trace is not None:
        symbols.append(Symbol(trace.symbol, trace.first, trace.last, trace.peak))
        trace = trace.before
    symbols.reverse()
    return symbols


def pack(held: int, hypotheses: Sequence[Hypothesis]) -> BeamState:
    """The form of a beam; equal traces stand in it once, so that one beam has one form."""
    places: dict[int, int] = {}
    rows: dict[tuple[int, int, int, int, float], int] = {}
    form = BeamState(held)
    for hypothesis in hypotheses:
        new: list[Trace] = []
        trace = hypothesis.trace
        while trace is not None and id(trace) not in places:
            new.append(trace)
            trace = trace.before
        place = -1 if trace is None else places[id(trace)]
        for trace in reversed(new):
            place = places[id(trace)] = rows.setdefault((place, *trace[1:]), len(rows))
        form.hypotheses.append((place, hypothesis.p_blank, hypothesis.p_symbol))
    form.traces = list(rows)
    return form
