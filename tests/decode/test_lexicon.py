"""Lexicon: what may follow is what the words say, however many branches have grown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.decode import lexicon
from streamrnn.decode.lexicon import grow
from streamrnn.errors import OptionError

WORDS = st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=30)


@given(WORDS, st.lists(st.text("abcd", max_size=7), max_size=30))
def test_a_branch_is_there_exactly_where_a_word_goes_on(words, spelled):
    root = grow(words, "abcd")
    for letters in [*spelled, *words]:
        branch = root.after(letters)
        assert (branch is not None) == any(word.startswith(letters) for word in words)
        assert branch is None or branch.is_word == (letters in words)


def test_what_has_grown_is_bounded(monkeypatch):
    monkeypatch.setattr(lexicon, "MAX_GROWN", 50)
    words = [f"{i:04d}" for i in range(2000)]
    root = grow(words, "0123456789")
    held = root.after("00")
    for _ in range(2):
        for word in words:
            branch = root.after(word)
            assert branch is not None and branch.is_word
            assert branch._tree.n_grown <= 50 + 10
    assert held is not None and held.after("07").is_word, "a branch that was let go of goes on growing"


def test_one_long_word_costs_nothing_before_it_is_spelled():
    root = grow(["a" * 60_000], "a")
    assert root._tree.n_grown == 0
    assert root.after("aaa")._tree.n_grown == 3


def test_words_of_other_letters():
    with pytest.raises(OptionError, match="letters"):
        grow(["ab", "x" * 1000], "ab")
    with pytest.raises(OptionError, match="letters"):
        grow([""], "ab")
