"""The prefix beam search against brute force over all paths, and with a list of words."""

from __future__ import annotations

import itertools
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.decode.beam import BeamOptions, BeamSearch
from streamrnn.decode.ctc import CtcDecoder
from streamrnn.decode.decoder import Facts
from streamrnn.decode.event import Event
from streamrnn.decode.lexicon import Branch, grow
from streamrnn.decode.settings import CtcSettings, EndpointSettings, Rule
from streamrnn.errors import OptionError

NAMES = ("-", "a", "b", "|")
SEEDS = st.integers(0, 2**32 - 1)


def posteriors(seed: int, n: int, size: int) -> np.ndarray:
    """Rows of log probabilities, (n, size) float64."""
    logits = np.random.default_rng(seed).standard_normal((n, size)) * 2.0
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def prefixes(rows: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of every sequence of symbols, summed over all paths that give it; 0 is the blank."""
    sums: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(rows.shape[1]), repeat=len(rows)):
        symbols = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)
        p = math.exp(sum(row[symbol] for row, symbol in zip(rows, path, strict=True)))
        sums[symbols] = sums.get(symbols, 0.0) + p
    return sums


def search(beam: int = 10**6, n_names: int = 3, separator: int = -1, lexicon: Branch | None = None, bonus: float = 0.0):
    return BeamSearch(BeamOptions(NAMES[:n_names], 0, beam, 0, separator, lexicon, bonus, 100))


def found(searched: BeamSearch) -> dict[tuple[int, ...], float]:
    """The probabilities in a beam, the likeliest as 1."""
    totals = {tuple(ord(c) for c in h.prefix): h.total for h in searched._beam}
    return {symbols: math.exp(total - max(totals.values())) for symbols, total in totals.items()}


@given(seed=SEEDS, n=st.integers(1, 7))
def test_a_beam_that_is_wide_enough_finds_every_sequence(seed, n):
    rows, wide = posteriors(seed, n, 3), search()
    for seq, row in enumerate(rows.tolist()):
        wide.hear(seq, row)
    expected = prefixes(rows)
    most = max(expected.values())
    assert found(wide) == pytest.approx({symbols: p / most for symbols, p in expected.items()}, rel=1e-9)
    likeliest = max(expected, key=lambda symbols: expected[symbols])
    assert tuple(symbol.index for symbol in wide.symbols()) == likeliest


@given(seed=SEEDS, n=st.integers(1, 6), bonus=st.sampled_from([-1.0, 0.0, 2.0]))
def test_with_a_lexicon_the_likeliest_words_are_found(seed, n, bonus):
    """Against brute force over the sequences of whole words; the bonus is one for each word."""
    words = ("a", "ab", "bb")
    rows = posteriors(seed, n, 4)
    wide = search(n_names=4, separator=3, lexicon=grow(words, "ab"), bonus=bonus)
    for seq, row in enumerate(rows.tolist()):
        wide.hear(seq, row)
    scores = {}
    for symbols, p in prefixes(rows).items():
        spelled = [word for word in "".join(NAMES[i] for i in symbols).split("|") if word]
        if all(word in words for word in spelled):
            scores[symbols] = math.log(p) + bonus * len(spelled)
    assert tuple(symbol.index for symbol in wide.close()) == max(scores, key=lambda symbols: scores[symbols])


@given(seed=SEEDS, n=st.integers(1, 30), beam=st.integers(2, 6))
def test_a_narrow_beam_keeps_at_most_so_many_and_never_claims_too_much(seed, n, beam):
    rows, narrow = posteriors(seed, n, 3), search(beam)
    for seq, row in enumerate(rows.tolist()):
        narrow.hear(seq, row)
    assert 1 <= len(found(narrow)) <= beam


def test_many_paths_outweigh_the_likeliest_one():
    """Graves' example: the likeliest path is all blanks, the likeliest sequence is `a`."""
    ys = np.log(np.array([[0.6, 0.4], [0.6, 0.4]], dtype=np.float32))
    facts = Facts(1, 2, ("-", "a"))
    told = {}
    for beam in (1, 4):
        decoder = CtcDecoder(CtcSettings(beam=beam, endpoint=None), facts)
        decoder.feed(0, ys, ys)
        told[beam] = [event.text for event in decoder.finish(2)]
    assert told == {1: [], 4: ["a"]}


def hear(settings: CtcSettings, text: str, sure: float = 0.9, then: str = "", rate_hz: float = 10.0) -> list[Event]:
    """Events of one row a letter; in a capital's row its probability is `sure`, shared with `then`."""
    ys = np.full((len(text), len(NAMES)), (1 - sure) / 3)
    for row, letter in zip(ys, text, strict=True):
        row[NAMES.index(letter.lower())] = sure
        if letter.isupper():
            row[NAMES.index(letter.lower())], row[NAMES.index(then)] = 0.5, 0.45
            row[[i for i in range(4) if NAMES[i] not in (letter.lower(), then)]] = 0.025
    decoder = CtcDecoder(settings, Facts(1, 4, NAMES, rate_hz=rate_hz))
    events = decoder.feed(0, ys[:, :1].astype(np.float32), ys.astype(np.float32))
    return events + decoder.finish(len(text))


LETTERS = CtcSettings(input="probability", beam=8, separator="", word_separator="|", endpoint=None, partials=False)


def test_a_beam_tells_words_with_times_and_scores():
    final = hear(LETTERS, "-aab|-bb-")[-1]
    assert (final.text, final.cause) == ("ab b", "finish")
    assert [(word.first_seq, word.last_seq) for word in final.words] == [(1, 3), (6, 7)]
    assert [word.score for word in final.words] == pytest.approx([0.9, 0.9])


def test_a_list_of_words_corrects_a_letter():
    """`aB` is heard as `ab` and might be `aa`."""
    assert hear(LETTERS, "-a-B-", then="a")[-1].text == "ab"
    only = msgspec.structs.replace(LETTERS, words=("aa", "b"))
    assert hear(only, "-a-B-", then="a")[-1].text == "aa"


def test_an_unfinished_word_is_left_off():
    only = msgspec.structs.replace(LETTERS, words=("b", "abbb"), beam=2)
    assert hear(only, "b|a-b-b", sure=0.999)[-1].text == "b"


def test_a_bonus_wins_more_words():
    """`aBa` is `aba`, one word, or `a a`, two."""
    assert hear(LETTERS, "-aBa-", then="|")[-1].text == "aba"
    assert hear(msgspec.structs.replace(LETTERS, word_bonus=2.0), "-aBa-", then="|")[-1].text == "a a"


def test_an_endpoint_ends_the_utterance_and_a_sounding_symbol_is_heard_once():
    never = {name: Rule(True, 1e4) for name in EndpointSettings.__struct_fields__}
    rules = EndpointSettings(**(never | {"rule5": Rule(False, 0.0, 0.3)}))
    settings = msgspec.structs.replace(LETTERS, endpoint=rules)
    events = hear(settings, "--aaa-" + "-bb")
    assert [(event.seq, event.text, event.cause) for event in events] == [(2, "a", "rule5"), (8, "b", "rule5")]


def test_one_symbol_more_than_the_most_ends_the_utterance():
    events = hear(msgspec.structs.replace(LETTERS, max_symbols=2), "abab")
    assert [(event.seq, event.text, event.cause) for event in events] == [(2, "ab", "length"), (3, "ab", "finish")]


def test_what_neither_words_nor_posteriors_allow_is_passed_over():
    settings = CtcSettings(beam=4, separator="", word_separator="|", words=("a",), endpoint=None)
    decoder = CtcDecoder(settings, Facts(1, 4, NAMES))
    ys = np.full((2, 4), -np.inf, dtype=np.float32)
    ys[0, 1] = ys[1, 2] = 0.0
    decoder.feed(0, ys, ys)
    assert [event.text for event in decoder.finish(2)] == ["a"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"words": ("a",), "beam": 1}, "words"),
        ({"words": ("a",), "word_separator": ""}, "words"),
        ({"words": ("",)}, "words"),
        ({"words": ("cab",)}, "words"),
        ({"n_best_symbols": -1}, "n_best_symbols"),
        ({"n_best_symbols": 5}, "n_best_symbols"),
        ({"word_bonus": float("inf")}, "word_bonus"),
    ],
)
def test_a_setting_that_is_wrong_is_named(changes, field):
    with pytest.raises(OptionError, match=field):
        CtcDecoder(msgspec.structs.replace(LETTERS, **changes), Facts(1, 4, NAMES))
