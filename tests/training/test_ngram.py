"""The n-gram baseline is a probability distribution, and as good as an independent one."""

from __future__ import annotations

import math

import pytest

from training.text.ngram import NGram

TEXT = "the cat sat on the mat and the rat sat on the cat that ate the hat " * 3 + "zebra quilt jumps over vexed dogs"
SYMBOLS = "".join(sorted(set(TEXT))) + "?"


@pytest.mark.parametrize("context", ["", "t", "the c", "at the", "zzzzz", "?????", "qqthe"])
def test_probabilities_sum_to_one_and_are_positive(context):
    ngram = NGram(TEXT, SYMBOLS, context_chars=4)
    p = [ngram.probability(context, symbol) for symbol in SYMBOLS]
    assert sum(p) == pytest.approx(1.0)
    assert min(p) > 0.0


def test_without_context_and_counts_it_is_uniform():
    ngram = NGram("", "abcd", context_chars=2)
    assert ngram.probability("ab", "c") == 0.25
    assert ngram.bits_per_char("abcd") == pytest.approx(2.0)


def test_a_distribution_worked_out_by_hand():
    """No context, counts a 3, b 1: too few kinds for the estimate, so half a count is taken from each."""
    ngram = NGram("aaab", "abc", context_chars=0)
    assert ngram.probability("", "a") == pytest.approx((3 - 0.5 + 2 * 0.5 / 3) / 4)
    assert ngram.probability("", "c") == pytest.approx((2 * 0.5 / 3) / 4)


def test_shorter_contexts_count_what_stands_before_and_not_how_often():
    """Kneser-Ney's point: `b` is frequent but only ever follows `a`, `c` is rare but follows anything."""
    ngram = NGram("abababababababab" + "xcyczc", "abcxyz", context_chars=1)
    assert ngram.probability("", "c") > ngram.probability("", "b")


def test_longer_contexts_help_on_text_that_repeats():
    bits = [NGram(TEXT, SYMBOLS, context_chars=size).bits_per_char(TEXT[:201]) for size in (0, 1, 3, 5)]
    assert bits == sorted(bits, reverse=True)
    assert bits[-1] < 1.0 < bits[0] < math.log2(len(SYMBOLS))


def test_bits_are_the_mean_over_all_but_the_first_character():
    ngram = NGram(TEXT, SYMBOLS, context_chars=2)
    p = ngram.probability("t", "h") * ngram.probability("th", "e")
    assert ngram.bits_per_char("the") == pytest.approx(-math.log2(p) / 2)


def test_symbols_that_were_never_seen_have_a_finite_cost():
    ngram = NGram("abab", "abz", context_chars=5)
    assert 1.0 < ngram.bits_per_char("azz") < 10.0
    assert ngram.n_grams == len({"a", "b", "ab", "ba", "bab"})  # those with a character before them


def test_nothing_is_impossible_where_few_grams_were_counted():
    """Counts of 1, 2, 3 and 4 for 3, 2, 6 and 1 symbols: the estimate for 2 is below 0, and is not taken."""
    text = "abc" + "dd" + "ee" + "".join(symbol * 3 for symbol in "fghijk") + "llll"
    ngram = NGram(text, "abcdefghijklz", context_chars=0)
    assert ngram._levels[0].discounts[2] == 0.05
    alone = NGram("dxdx", "dxz", context_chars=1)
    assert alone.probability("d", "z") > 0.0
