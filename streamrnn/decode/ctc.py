"""CTC decoder: transcripts, partial and final, from the outputs of a network that was trained with CTC."""

from __future__ import annotations

import math
from typing import Protocol

from streamrnn.decode.beam import BeamOptions, BeamSearch
from streamrnn.decode.decoder import Facts, Floats
from streamrnn.decode.endpoint import Endpoint
from streamrnn.decode.event import Event, Word
from streamrnn.decode.greedy import GreedySearch, GreedyState
from streamrnn.decode.hypothesis import BeamState
from streamrnn.decode.lexicon import Branch, grow
from streamrnn.decode.posteriors import Posteriors, Row
from streamrnn.decode.ranges import check_range
from streamrnn.decode.record import MAX_SEQ, Record, check_state, read_record, write_record
from streamrnn.decode.settings import CtcSettings
from streamrnn.decode.transcript import Spelling, Symbol
from streamrnn.errors import OptionError

_MAX_SYMBOLS = 10_000
_MAX_TOLD_SYMBOLS = 1000
"""With partials: each holds the whole utterance, and a server keeps those of a window of frames."""
_MAX_BEAM = 100
_SYMBOLS_RANKED, _SYMBOLS_TOLD = 360, 300
"""Extensions that a beam ranks, and symbols that a partial spells, in 150 us."""
_MAX_BONUS = 1000.0


class Search(Protocol):
    """What finds the symbols of one utterance, frame by frame."""

    @property
    def now(self) -> GreedyState | BeamState:
        """Everything that a frame changes."""
        ...

    @property
    def n_symbols(self) -> int:
        """Symbols of the utterance so far."""
        ...

    @property
    def last_seq(self) -> int:
        """The last frame in which a symbol of the utterance sounded; only where there is one."""
        ...

    def hear(self, seq: int, row: Row) -> bool:
        """Take a row of log posteriors; tell whether the symbols have changed."""
        ...

    def symbols(self) -> list[Symbol]:
        """The symbols so far."""
        ...

    def close(self) -> list[Symbol]:
        """End the utterance and give its symbols; a symbol that still sounds is not heard a second time."""
        ...

    def cut(self) -> list[Symbol]:
        """End the utterance before its last symbol, which begins the next one."""
        ...

    def take_up(self, state: Record) -> None:
        """Go on from another search's `now`; raises SnapshotError."""
        ...


class _State(Record, tag="ctc1"):
    """What a frame changes.

    Attributes:
        begun: seq of the utterance's first frame, None: it has not begun.
        told: text of the last `partial`.
        search: the search's own state.
    """

    search: GreedyState | BeamState
    begun: int | None = None
    told: str = ""


class CtcDecoder:
    """Events `partial` and `final` of one utterance after the other, see `CtcSettings`.

    The score of a word is the mean over its symbols of each one's highest posterior while it sounded; that of an event
    is the mean of its words'. An utterance that ends without a word is not told. An unknown row is passed over: time
    goes on, but nothing is heard and nothing ends.
    """

    def __init__(self, settings: CtcSettings, facts: Facts) -> None:
        """Start afresh.

        Raises:
            OptionError: a setting is out of range, or does not fit the model.
        """
        self._posteriors = Posteriors(settings.head, settings.input, facts)
        check_range("blank", settings.blank, 0, self._posteriors.size - 1)
        most = _MAX_TOLD_SYMBOLS if settings.partials else _MAX_SYMBOLS
        check_range("max_symbols", settings.max_symbols, 1, most)
        check_range("beam", settings.beam, 1, _MAX_BEAM)
        names = facts.names(settings.head)
        word_separator = _place_of(settings.word_separator, names, settings.blank)
        self._spelling = Spelling(names, settings.separator, word_separator, facts.delay)
        self._endpoint = Endpoint(settings.endpoint, facts)
        self._settings = settings
        check_range("n_best_symbols", settings.n_best_symbols, 0, self._posteriors.size)
        check_range("word_bonus", settings.word_bonus, -_MAX_BONUS, _MAX_BONUS)
        lexicon = _lexicon_of(settings, names) if settings.words else None
        self._beam_options = BeamOptions(
            names, settings.blank, settings.beam, settings.n_best_symbols, word_separator, lexicon,
            settings.word_bonus, settings.max_symbols,
        )  # fmt: skip
        width = settings.n_best_symbols or self._posteriors.size
        self._beam_effort = settings.beam * width // _SYMBOLS_RANKED if settings.beam > 1 else 0
        self.reset()

    @property
    def effort(self) -> int:
        """As `Decoder.effort`: of a beam by its width, of partials by how long the utterance has become."""
        n_told = self._search.n_symbols if self._settings.partials else 0
        return self._beam_effort + n_told // _SYMBOLS_TOLD

    def feed(self, seq: int, xs: Floats, ys: Floats) -> list[Event]:
        """Take frames and their outputs, as `Decoder.feed`."""
        events: list[Event] = []
        for at, row in enumerate(self._posteriors.logs(ys), seq):
            if row is not None:
                self._hear(at, row, events)
        return events

    def finish(self, seq: int) -> list[Event]:
        """Tell the utterance that is open; what comes is heard anew."""
        events: list[Event] = []
        self._tell_final(max(0, seq - 1), "finish", self._search.close(), events)
        self.reset()
        return events

    def reset(self) -> None:
        """Be as one that has seen nothing."""
        self._search = self._fresh_search()
        self._begun: int | None = None
        self._told = ""

    def state(self) -> bytes:
        """Everything that `feed` changes."""
        return write_record(_State(self._search.now, self._begun, self._told))

    def restore(self, state: bytes) -> None:
        """Go on from a state; on an error nothing has changed.

        Raises:
            SnapshotError: it is none of a decoder with these settings.
        """
        now, search = read_record(state, _State), self._fresh_search()
        search.take_up(now.search)
        check_state(now.begun is None or 0 <= now.begun <= MAX_SEQ, "a seq")
        self._search, self._begun, self._told = search, now.begun, now.told

    def _fresh_search(self) -> Search:
        settings = self._settings
        if settings.beam > 1:
            return BeamSearch(self._beam_options)
        return GreedySearch(settings.blank, self._posteriors.size, settings.max_symbols)

    def _hear(self, at: int, row: Row, events: list[Event]) -> None:
        search = self._search
        if self._begun is None:
            self._begun = at
        if search.hear(at, row):
            if search.n_symbols > self._settings.max_symbols:
                self._tell_final(at, "length", search.cut(), events)
                self._begun = at
            if self._settings.partials:
                self._tell_partial(at, events)
        n_frames = at - self._begun + 1
        n_silent = at - search.last_seq if search.n_symbols else n_frames
        rule = self._endpoint.rule(n_frames, n_silent)
        if rule:
            self._tell_final(at, rule, search.close(), events)
            self._begun = None

    def _tell_partial(self, at: int, events: list[Event]) -> None:
        words = self._spelling.words(self._search.symbols())
        text = self._spelling.text(words)
        if text != self._told:
            self._told = text
            events.append(Event("partial", at, text, _mean_score(words), words=words))

    def _tell_final(self, at: int, cause: str, symbols: list[Symbol], events: list[Event]) -> None:
        self._told = ""
        words = self._spelling.words(symbols)
        if words:
            events.append(Event("final", at, self._spelling.text(words), _mean_score(words), cause=cause, words=words))


def _mean_score(words: tuple[Word, ...]) -> float:
    return math.fsum([word.score for word in words]) / len(words) if words else 0.0


def _place_of(word_separator: str, names: tuple[str, ...], blank: int) -> int:
    """Index of the symbol that parts words, -1 for none."""
    if not word_separator:
        return -1
    if word_separator not in names or names.index(word_separator) == blank:
        got = f"got {word_separator!r}"
        raise OptionError(f"decoder: expected word_separator to be a symbol's label, {got}", field="word_separator")
    return names.index(word_separator)


def _lexicon_of(settings: CtcSettings, names: tuple[str, ...]) -> Branch:
    """The tree of the words that there are."""
    if settings.beam == 1 or not settings.word_separator:
        raise OptionError("decoder: expected words with a beam above 1 and a word_separator", field="words")
    letters = [name for i, name in enumerate(names) if i != settings.blank and name != settings.word_separator]
    return grow(settings.words, letters)
