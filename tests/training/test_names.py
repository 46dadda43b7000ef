"""Surnames: how they are parted, written as tokens, drawn, and judged."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from tests.training.conftest import folder_or_skip
from training.data import DataMissing
from training.sets.names import NAMES, Surname, count_ambiguous, load_surnames, part_surnames
from training.text.f1 import f1_by_class, macro_f1
from training.text.generated import Judge, threes_of
from training.text.likelihood import UNKNOWN
from training.text.line_ngram import LineNGram, bits_per_char
from training.text.ngram_classifiers import predict
from training.text.surname_nets import KINDS, CellNet, Committee, Foreteller, Reader, make_all
from training.text.surname_tokens import MAX_CHARS, Shuffled, Tokens
from training.text.surnames_read import END, Alphabet, Drawn, at_ends, foretelling_loss, labels_of, reading_loss

FEW = {"A": [f"a{chr(98 + i)}" for i in range(20)], "B": [f"b{chr(98 + i)}" for i in range(10)] + ["ab"]}


def test_every_language_has_its_share_of_every_part():
    parts = part_surnames(FEW)
    count = {name: Counter(one.language for one in getattr(parts, name)) for name in ("train", "validation", "test")}
    assert count == {"train": {"A": 16, "B": 9}, "validation": {"A": 2, "B": 1}, "test": {"A": 2, "B": 1}}
    together = [*parts.train, *parts.validation, *parts.test]
    assert sorted(together) == sorted(Surname(language, text) for language in FEW for text in FEW[language])
    assert part_surnames(FEW) == parts, "the draw is fixed"
    assert parts.languages == ("A", "B") and parts.symbols == "".join(sorted("abcdefghijklmnopqrstu"))


def test_languages_of_few_names():
    assert part_surnames(FEW).languages_of(11) == {"B"} and part_surnames(FEW).languages_of(10) == set()


def test_f1_of_each_class_counts_alike():
    """Class 0: precision 2/3, recall 1; class 1: 1, 1/2; class 2 is never right, class 3 never answered."""
    truth, answers = np.array([0, 0, 1, 1, 3]), np.array([0, 0, 0, 1, 2])
    assert f1_by_class(truth, answers, "abcd") == pytest.approx({"a": 0.8, "b": 2 / 3, "c": 0.0, "d": 0.0})
    assert macro_f1(truth, answers, 4) == pytest.approx((0.8 + 2 / 3) / 4)


def test_a_name_of_two_languages_counts_twice():
    assert part_surnames(FEW).ambiguous == 2
    assert count_ambiguous([Surname("A", "x"), Surname("A", "x"), Surname("B", "y")]) == 0


def test_files_are_read_in_lower_case_without_duplicates(tmp_path):
    (tmp_path / "Irish.txt").write_text("O'Neal\no'neal \n\nDaly\nFay\n", encoding="utf-8")
    (tmp_path / "Polish.txt").write_text("Wójcik\nNowak\nMaly\n", encoding="utf-8")
    found = load_surnames(tmp_path)
    assert {name.text for name in (*found.train, *found.validation, *found.test)} == {
        *("o'neal", "daly", "fay", "wójcik", "nowak", "maly")
    }
    with pytest.raises(DataMissing, match="names/"):
        load_surnames(tmp_path / "nothing")


def test_the_real_names():
    found = load_surnames(folder_or_skip(NAMES))
    assert len(found.languages) == 18
    assert (len(found.train), len(found.validation), len(found.test)) == (14407, 1802, 1802)
    assert max(len(name.text) for name in (*found.train, *found.validation, *found.test)) == MAX_CHARS
    assert len({*found.train, *found.validation, *found.test}) == 18011


def test_a_name_as_frames_and_padded():
    parts = part_surnames({"A": ["ab", "b", "ba"]})
    alphabet = Alphabet(parts)
    assert alphabet.symbols == ("a", "b", END) and alphabet.n_frames == 3
    assert alphabet.ids("ab") == [0, 1, 2]
    assert alphabet.padded([Surname("A", "ab"), Surname("A", "b")]).tolist() == [[0, 1, 2], [1, 2, 2]]
    assert alphabet.frames("b").tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    outputs = torch.arange(6.0).reshape(2, 3, 1)
    assert at_ends(outputs, [Surname("A", "ab"), Surname("A", "b")]).flatten().tolist() == [2.0, 4.0]
    assert labels_of([Surname("A", "b")], ("B", "A")).tolist() == [1]


def test_rare_languages_are_drawn_as_often_as_balance_says():
    parts = part_surnames({"A": [f"a{i}" for i in range(1000)], "B": [f"b{i}" for i in range(10)]})
    for balance, expected in ((0.0, 8 / 808), (1.0, 0.5)):
        drawn = Drawn(parts, Alphabet(parts), 8, balance, torch.Generator().manual_seed(0))
        ids, targets = drawn(0)
        assert ids.shape == targets.shape == (8, 808 // 8 * 5)
        firsts = targets.reshape(8, -1, 5)[:, :, 0]
        assert float((firsts == 1).double().mean()) == pytest.approx(expected, abs=0.05)


def test_the_loss_is_half_that_of_the_marks():
    """Two names of 2 and 1 frames; p of the right one is 1/2 at the marks, 1/4 elsewhere."""
    target = torch.tensor([[0, 0, UNKNOWN], [1, UNKNOWN, UNKNOWN]])
    p = torch.tensor([[[0.25, 0.75], [0.5, 0.5], [0.9, 0.1]], [[0.5, 0.5], [0.9, 0.1], [0.9, 0.1]]])
    marks, every = -np.log(0.5), -(2 * np.log(0.5) + np.log(0.25)) / 3
    assert float(reading_loss(p.log(), target)) == pytest.approx(0.5 * marks + 0.5 * every, rel=1e-6)


def test_a_foretold_character_counts_half():
    """What follows 2 characters was foretold with 1/2 and 1/4; what stands at the mark does not count."""
    target = torch.tensor([[0, 0, 0, UNKNOWN]])
    languages = torch.tensor([[[0.5, 0.5]] * 4]).log()
    foretold = torch.tensor([[[0.5], [0.25], [0.1], [0.1]]]).log()
    loss = foretelling_loss(torch.cat((languages, foretold), dim=-1), target)
    assert float(loss) == pytest.approx(np.log(2) + 0.5 * 1.5 * np.log(2), rel=1e-6)


def test_a_foreteller_foretells_only_while_it_trains():
    torch.manual_seed(0)
    net, ids = CellNet("GRU", 3, 4, 2), torch.tensor([[0, 1, 2]])
    net.dropout = torch.nn.Dropout(0.0)
    foreteller = Foreteller(net, 3)
    output = foreteller.train()(ids)[0].detach()
    assert output.shape == (1, 3, 3)
    h = net.cell(foreteller.frames(ids))[0]
    expected = foreteller.foretell(h).log_softmax(-1)[0, [0, 1], [1, 2]]
    torch.testing.assert_close(output[0, :, 2], torch.cat((expected, torch.zeros(1))))
    torch.testing.assert_close(foreteller.eval()(ids)[0], output[..., :2])
    assert foreteller.train().unseen == 0.0 and float(Foreteller(net, 3, 1.0).frames(ids).sum()) == 0.0


def test_a_committee_answers_with_the_geometric_mean():
    """One member says 1/2 and 1/2, the other 1/5 and 4/5: the means 0.316 and 0.632 are as 1 to 2."""
    members = [CellNet("GRU", 3, 4, 2) for _ in range(2)]
    for member, p in zip(members, ([0.5, 0.5], [0.2, 0.8]), strict=True):
        torch.nn.init.zeros_(member.fc.weight)
        member.fc.bias.data = torch.tensor(p).log()
    answered = Committee(members).eval()(torch.eye(3)[None]).exp()
    torch.testing.assert_close(answered, torch.tensor([1 / 3, 2 / 3]).expand(1, 3, 2))


def test_the_first_of_the_committee_is_the_gru():
    nets = make_all(5, dict.fromkeys(("RNN", "LSTM", "GRU"), 8), 3, 3)
    assert nets["GRUs"].members[0] is nets["GRU"] and list(nets["GRUs"].further) == ["GRU 2", "GRU 3"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_does_not_see_what_comes_later_or_came_before(kind):
    torch.manual_seed(0)
    reader = Reader(make_all(5, dict.fromkeys(("RNN", "LSTM", "GRU"), 8), 3, 2)[kind], 5).eval()
    ids = torch.tensor([[0, 1, 2, 4], [0, 1, 3, 3]])
    with torch.no_grad():
        first, state = reader(ids)
        again, _ = reader(ids, "whatever")
    assert first.shape == (2, 4, 3) and state is None and torch.equal(first, again)
    torch.testing.assert_close(first[0, :2], first[1, :2])
    torch.testing.assert_close(first.exp().sum(-1), torch.ones(2, 4))
    assert not torch.allclose(first[0, 3], first[1, 3])


def test_tokens_of_a_generator():
    tokens = Tokens(part_surnames({"A": ["ab", "b", "ba"], "B": ["b", "a", "aa"]}))
    assert tokens.labels == ("a", "b", END, "A", "B") and tokens.end == 2
    name = Surname("B", "ab")
    assert tokens.ids(name) == [4, 0, 1, 2] and tokens.frames(name).tolist() == [[4.0], [0.0], [1.0]]
    ids, targets = tokens.padded([name])
    assert ids.shape == targets.shape == (1, MAX_CHARS + 1)
    assert ids[0, :4].tolist() == [4, 0, 1, 2] and targets[0, :4].tolist() == [0, 1, 2, UNKNOWN]
    assert tokens.text([0, 1, 2]) == "ab" and tokens.text([2]) == ""
    assert tokens.text([0, 1]) is None and tokens.text([0, 3, 2]) is None and tokens.text([]) is None


def test_an_epoch_holds_every_name_once_in_another_order():
    ids = torch.arange(12).reshape(6, 2)
    shuffled = Shuffled((ids, ids + 100), 3, torch.Generator().manual_seed(0))
    x, target = shuffled(0)
    assert x.shape == (3, 4) and torch.equal(target, x + 100)
    rows = x.reshape(6, 2)
    assert sorted(rows[:, 0].tolist()) == list(range(0, 12, 2)) and torch.equal(rows[:, 1], rows[:, 0] + 1)
    assert not torch.equal(shuffled(1)[0], x)


def test_an_n_gram_of_lines_is_a_distribution_over_lines():
    """Over lines of `a` and `b`, the probabilities of the short ones and of all longer ones sum to 1."""
    n_gram = LineNGram(["ab", "a", "abb"], "ab", 2)
    total, open_lines = 0.0, [""]
    for _ in range(14):
        total += sum(2 ** -n_gram.bits(line) for line in open_lines)
        open_lines = [line + symbol for line in open_lines for symbol in "ab"]
    assert 0.97 < total < 1.0
    assert bits_per_char([n_gram, n_gram], ["a", "ab"]) == pytest.approx((n_gram.bits("a") + n_gram.bits("ab")) / 5)


def test_an_n_gram_draws_lines_like_those_it_counted():
    n_gram, rng = LineNGram(["abc"] * 50, "abcdef", 3), np.random.default_rng(0)
    drawn = [n_gram.draw(rng, 6) for _ in range(50)]
    assert drawn.count("abc") > 20 and all(line is None or len(line) <= 6 for line in drawn)
    assert {line[:1] for line in drawn if line} >= {"a"} and max(map(drawn.count, drawn)) == drawn.count("abc")


def test_merits_of_made_up_names():
    parts = part_surnames({"A": ["aba", "abab", "ababa", "aab", "baa"], "B": ["cdc", "cdcd", "dcdcd", "ccd", "ddc"]})
    judge = Judge(parts)
    known = parts.train[0].text
    shares = judge.shares(["A", "A", "B", "B"], [known, known, None, "x"])
    assert (shares.whole, shares.novel, shares.distinct, shares.valid) == (0.75, 0.25, 0.5, 0.5)
    assert shares.told >= 0.5
    assert threes_of("ab") == {"^ab", "ab$"} and not judge.is_valid("a")


def test_classifiers_without_a_state():
    train, labels = ["aaa", "aab", "aba", "ccc", "ccd"], np.array([0, 0, 0, 1, 1])
    assert predict("majority", train, labels, ["ccc", "a"]).tolist() == [0, 0]
    for kind in ("naive Bayes", "logistic regression"):
        assert predict(kind, train, labels, ["ccdc", "abaa"]).tolist() == [1, 0]
