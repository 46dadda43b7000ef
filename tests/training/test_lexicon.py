"""Word by word: model 1 finds which word translates which, and scores count all references."""

from __future__ import annotations

import pytest
import sacrebleu

from training.translation.bleu import gain_error, scores_of
from training.translation.lexicon import EMPTY, Lexicon


def test_one_round_is_the_one_worked_out_by_hand():
    # Evenly begun, each target word is shared by its source words and the empty one: thirds in the first pair, halves
    # in the second. "b" gets x 1/3, y 1/3; "a" gets x 1/3 + 1/2 and y 1/3, so x is 5/7 of it.
    lexicon = Lexicon([("a b", "x y"), ("a", "x")], n_rounds=1)
    table = {
        source.strip("\u2581"): {t.strip("\u2581"): p for t, p in found.items()}
        for source, found in lexicon.table.items()
    }
    assert table["a"] == pytest.approx({"x": 5 / 7, "y": 2 / 7})
    assert table["b"] == pytest.approx({"x": 1 / 2, "y": 1 / 2})
    assert table[EMPTY] == pytest.approx({"x": 5 / 7, "y": 2 / 7})


def test_rounds_find_which_word_is_which():
    pairs = [("the house", "la maison"), ("the flower", "la fleur"), ("a house", "une maison")]
    lexicon = Lexicon(pairs)
    assert lexicon.translate("the house") == "la maison"
    assert lexicon.translate("a flower") == "une fleur"
    assert lexicon.translate("a zebra") == "une zebra", "what was never seen stays"


def test_any_reference_may_be_matched():
    perfect = scores_of(["je suis là .", "va le voir !"], [["ici je suis .", "je suis là ."], ["va le voir !"]])
    assert perfect == pytest.approx((100.0, 100.0))
    one = scores_of(["je suis là ."], [["je suis ici ."]])
    assert one.bleu == pytest.approx(sacrebleu.sentence_bleu("je suis là .", ["je suis ici ."]).score)
    assert one.chrf == pytest.approx(sacrebleu.sentence_chrf("je suis là .", ["je suis ici ."]).score)


def test_a_gain_is_as_sure_as_draws_of_sentences_agree():
    references = [["je suis là ."], ["va le voir !"], ["il est tard ."], ["elle a faim ."]]
    good = [one[0] for one in references]
    bad = ["tu es ici ?"] * 4
    assert gain_error(good, good, references, seed=0) == (0.0, 0.0)
    error = gain_error(["je suis là .", *bad[1:]], bad, references, seed=0)
    assert error == gain_error(["je suis là .", *bad[1:]], bad, references, seed=0)
    assert 10.0 < error.bleu < 50.0 and 5.0 < error.chrf < 50.0  # one sentence in four is perfect: drawn 0 to 4 times
