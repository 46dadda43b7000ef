"""The CTC decoder, by hand: symbols, words and their times, endpoints and lengths."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.decode.ctc import CtcDecoder
from streamrnn.decode.decoder import Facts
from streamrnn.decode.event import Event, Word
from streamrnn.decode.settings import CtcSettings, EndpointSettings, Rule
from streamrnn.errors import OptionError

LABELS = ("-", "a", "b", "|")
FACTS = Facts(1, len(LABELS), LABELS, rate_hz=10.0)
OPEN = CtcSettings(input="probability", endpoint=None)
LETTERS = CtcSettings(input="probability", endpoint=None, separator="", word_separator="|")


def rows(text: str, sure: float = 0.75) -> np.ndarray:
    """One row of probabilities a letter of `text`, (n, 4) float32; in a capital's row 0.5 instead of `sure`."""
    ys = np.full((len(text), len(LABELS)), 0.0625, dtype=np.float32)
    for row, letter in zip(ys, text, strict=True):
        row[LABELS.index(letter.lower())] = 0.5 if letter.isupper() else sure
    return ys


def hear(decoder: CtcDecoder, text: str, seq: int = 0) -> list[Event]:
    ys = rows(text)
    return decoder.feed(seq, ys[:, :1], ys)


def told(events: list[Event]) -> list[tuple[str, int, str, str]]:
    return [(event.kind, event.seq, event.text, event.cause) for event in events]


def decoder(settings: CtcSettings = OPEN, facts: Facts = FACTS, **endpoint: Rule) -> CtcDecoder:
    """With `endpoint`, only these rules."""
    if endpoint:
        never = {name: Rule(True, 1e4) for name in EndpointSettings.__struct_fields__}
        settings = msgspec.structs.replace(settings, endpoint=EndpointSettings(**(never | endpoint)))
    return CtcDecoder(settings, facts)


@given(st.lists(st.integers(0, 2), max_size=40))
def test_greedy_folds_repeats_and_leaves_blanks_out(path):
    ys = np.eye(3, dtype=np.float32)[path].reshape(-1, 3)
    greedy = CtcDecoder(CtcSettings(input="probability", endpoint=None), Facts(1, 3, ("-", "a", "b")))
    greedy.feed(0, ys, ys)
    expected = " ".join("-ab"[symbol] for symbol, _ in itertools.groupby(path) if symbol)
    assert [event.text for event in greedy.finish(len(path))] == ([expected] if expected else [])


def test_words_have_times_and_scores():
    greedy = decoder()
    assert hear(greedy, "-aA-bB-") == [
        Event("partial", 1, "a", 0.75, words=(Word("a", 1, 1, 0.75),)),
        Event("partial", 4, "a b", 0.75, words=(Word("a", 1, 2, 0.75), Word("b", 4, 4, 0.75))),
    ]
    words = (Word("a", 1, 2, 0.75), Word("b", 4, 5, 0.75))
    assert greedy.finish(7) == [Event("final", 6, "a b", 0.75, cause="finish", words=words)]
    assert greedy.finish(7) == []


def test_letters_become_words():
    greedy = decoder(LETTERS)
    events = hear(greedy, "|aB-b||a")
    assert [event.text for event in events] == ["a", "ab", "abb", "abb a"]
    final = greedy.finish(8)[0]
    assert final.words == (Word("abb", 1, 4, (0.75 + 0.5 + 0.75) / 3), Word("a", 7, 7, 0.75))
    assert final.score == pytest.approx((2 / 3 + 0.75) / 2)


def test_outputs_that_come_late_are_told_by_the_frames_they_belong_to():
    late = Facts(1, len(LABELS), LABELS, rate_hz=10.0, delay=3)
    events = hear(decoder(facts=late), "-a---b")
    assert [(e.seq, [(w.first_seq, w.last_seq) for w in e.words]) for e in events] == [
        (1, [(0, 0)]),
        (5, [(0, 0), (2, 2)]),
    ]


def test_an_endpoint_ends_the_utterance_and_the_next_one_begins():
    greedy = decoder(rule2=Rule(True, 0.3, 0.0))
    assert told(hear(greedy, "-a---" + "-----" + "b---")) == [
        ("partial", 1, "a", ""),
        ("final", 4, "a", "rule2"),
        ("partial", 10, "b", ""),
        ("final", 13, "b", "rule2"),
    ]


def test_silence_alone_begins_the_utterance_anew_without_a_word():
    """Rule 5 counts from there: 0.8 s after the silence of 0.4 s."""
    greedy = decoder(rule1=Rule(False, 0.4, 0.0), rule5=Rule(False, 0.0, 0.8))
    assert told(hear(greedy, "----" + "-ab-abab" + "--")) == [
        *(("partial", seq, text, "") for seq, text in [(5, "a"), (6, "a b"), (8, "a b a"), (9, "a b a b")]),
        *(("partial", seq, text, "") for seq, text in [(10, "a b a b a"), (11, "a b a b a b")]),
        ("final", 11, "a b a b a b", "rule5"),
    ]


def test_a_symbol_that_sounds_over_an_endpoint_is_heard_once():
    greedy = decoder(rule5=Rule(False, 0.0, 0.3))
    assert told(hear(greedy, "--aaa")) == [("partial", 2, "a", ""), ("final", 2, "a", "rule5")]
    assert told(hear(greedy, "---a", seq=5)) == [("partial", 8, "a", ""), ("final", 8, "a", "rule5")]


def test_one_symbol_more_than_the_most_ends_the_utterance():
    greedy = decoder(msgspec.structs.replace(OPEN, max_symbols=2))
    assert told(hear(greedy, "abab")) == [
        ("partial", 0, "a", ""),
        ("partial", 1, "a b", ""),
        ("final", 2, "a b", "length"),
        ("partial", 2, "a", ""),
        ("partial", 3, "a b", ""),
    ]


def test_without_partials_only_what_is_final_is_told():
    greedy = decoder(msgspec.structs.replace(OPEN, partials=False))
    assert hear(greedy, "-a-b-") == []
    assert told(greedy.finish(5)) == [("final", 4, "a b", "finish")]


def test_an_utterance_of_separators_alone_is_not_told():
    greedy = decoder(LETTERS)
    assert hear(greedy, "-|-|-") == []
    assert greedy.finish(5) == []


def test_missing_frames_count_as_silence():
    greedy = decoder(rule2=Rule(True, 0.3, 0.0))
    hear(greedy, "a")
    assert told(hear(greedy, "-", seq=3)) == [("final", 3, "a", "rule2")]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (CtcSettings(blank=4), "blank"),
        (CtcSettings(blank=-1), "blank"),
        (CtcSettings(input="odds"), "input"),
        (CtcSettings(head="words"), "head"),
        (CtcSettings(beam=0), "beam"),
        (CtcSettings(beam=101), "beam"),
        (CtcSettings(max_symbols=0), "max_symbols"),
        (CtcSettings(max_symbols=10**6, partials=False), "max_symbols"),
        (CtcSettings(max_symbols=1001), "max_symbols"),
        (CtcSettings(word_separator="-"), "word_separator"),
        (CtcSettings(word_separator="x"), "word_separator"),
    ],
)
def test_a_setting_that_is_wrong_is_named(settings, field):
    with pytest.raises(OptionError, match=field):
        CtcDecoder(settings, FACTS)


def test_transcripts_share_the_words_that_have_not_changed():
    greedy = decoder()
    events = [event for event in hear(greedy, "a-b-a-b") if event.kind == "partial"]
    assert len(events) == 4
    for before, after in itertools.pairwise(events):
        assert all(old is new for old, new in zip(before.words[:-1], after.words, strict=False))
