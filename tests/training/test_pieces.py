"""Pieces: what is cut can be joined again, and the merges are those of byte-pair encoding."""

from __future__ import annotations

import pytest

from tests.training.conftest import folder_or_skip
from training.sets.tatoeba import TATOEBA, tatoeba_sentences
from training.translation.pieces import SPACE, UNKNOWN, Pieces, text_of, words_of
from training.translation.translator import END, GO
from training.translation.vocabulary import Vocabulary

WORDS = {
    "i'm here, don't go.": ["_i", "'m", "_here", ",", "_don", "'t", "_go", "."],
    "j'ai vu l'école.": ["_j'", "ai", "_vu", "_l'", "école", "."],
    "qu'est-ce ?": ["_qu'", "est", "-", "ce", "_?"],
    "aujourd'hui": ["_aujourd", "'hui"],
    "va !": ["_va", "_!"],
}


@pytest.mark.parametrize("text", WORDS)
def test_words_are_marked_and_give_the_text_again(text):
    words = words_of(text)
    assert [word.replace(SPACE, "_") for word in words] == WORDS[text]
    assert text_of(words) == text


def test_the_most_frequent_pair_is_merged_first():
    pieces = Pieces.learn(["aa ab", "ab"], n_merges=10)
    # the words are _aa once, _ab twice: _a is seen 3 times, then _ab twice, and nothing else twice
    assert pieces.merges == [(SPACE, "a"), (SPACE + "a", "b")]
    assert pieces.vocabulary == [UNKNOWN, "a", "b", SPACE, SPACE + "a", SPACE + "ab"]
    assert pieces.split(SPACE + "ab") == [SPACE + "ab"]
    assert pieces.split(SPACE + "aab") == [SPACE + "a", "a", "b"]


def test_equally_frequent_pairs_go_by_their_letters():
    assert Pieces.learn(["ba"] * 2, n_merges=1).merges == [("b", "a")]
    assert Pieces.learn(["ab ba"] * 2, n_merges=1, least=2).merges == [("a", "b")]


def test_a_letter_never_seen_is_unknown_and_the_rest_is_spelt():
    pieces = Pieces.learn(["aa ab", "ab"], n_merges=10)
    assert pieces.ids("abz") == [5, 0]
    assert pieces.text(pieces.ids("ab aa")) == "ab aa"


def test_every_sentence_of_tatoeba_comes_back():
    sentences = tatoeba_sentences(folder_or_skip(TATOEBA), "test")
    texts = [text for one in sentences for text in (one.english, *one.french)]
    pieces = Pieces.learn(texts, n_merges=50)
    assert [pieces.text(pieces.ids(text)) for text in texts] == texts
    assert sum(map(len, map(pieces.ids, texts))) < sum(len(text) + 1 for text in texts) * 0.8


class TestVocabulary:
    """Tokens of both languages."""

    vocabulary = Vocabulary.learn(["aa ab", "ab"], ["ba ba"], n_merges=10)

    def test_what_may_be_said_stands_first(self):
        # said: END, GO, <unknown>, a, b, SPACE, and the merges _b and _ba (ties by letters: "b","a" before SPACE,"b")
        assert self.vocabulary.n_targets == len(self.vocabulary.labels) == 2 + 6
        assert self.vocabulary.n_tokens == 8 + 1 + 6
        assert self.vocabulary.source_tokens("ab") == [8, 8 + 1 + 5]
        assert [self.vocabulary.labels[token] for token in (END, GO)] == ["<end>", "<go>"]

    def test_what_is_said_is_text_without_marks(self):
        tokens = self.vocabulary.target_tokens("ba ba")
        assert tokens == [7, 7] and self.vocabulary.text([GO, *tokens, END]) == "ba ba"

    def test_plain_values_hold_all_of_it(self):
        plain = self.vocabulary.as_plain()
        again = Vocabulary.of_plain({**plain, "something": "else"})
        assert again.labels == self.vocabulary.labels and again.as_plain() == plain
        assert (plain["start_token"], plain["go_token"], plain["end_token"]) == (8, GO, END)
        assert again.source_tokens("aab") == self.vocabulary.source_tokens("aab")
