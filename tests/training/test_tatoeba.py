"""Tatoeba: translations are gathered by sentence, and no sentence stands in two parts."""

from __future__ import annotations

import re

import pytest

from tests.training.conftest import folder_or_skip
from training.data import DataMissing
from training.sets.tatoeba import TATOEBA, Sentence, normalised, part_of, sentences_of, tatoeba_sentences


def test_the_parts_hold_all_sentences_and_share_none():
    folder = folder_or_skip(TATOEBA)
    parts = {part: tatoeba_sentences(folder, part) for part in ("train", "validation", "test")}
    assert {part: len(found) for part, found in parts.items()} == {"train": 2061, "validation": 262, "test": 274}
    assert sum(len(one.french) for found in parts.values() for one in found) == 4950  # 50 are twice there
    words = [{" ".join(re.findall(r"[\w']+", one.english)) for one in found} for found in parts.values()]
    assert not (words[0] & words[1] or words[0] & words[2] or words[1] & words[2])
    assert all(text == text.lower() for found in parts.values() for one in found for text in (one.english, *one.french))


def test_a_part_is_known_by_its_words_alone():
    # SHA-256 of "d", "j" and "go", as `sha256sum` gives them, modulo 10: 0, 1 and 9
    assert [part_of(text) for text in ("d", "j", "go")] == ["test", "validation", "train"]
    assert part_of("D.") == part_of("d!") == part_of('  "d" ?') == "test"
    texts = [f"sentence {i}" for i in range(1000)]
    counts = {part: sum(part_of(text) == part for text in texts) for part in ("train", "validation", "test")}
    assert 70 < counts["test"] < 130 and 70 < counts["validation"] < 130


def test_translations_of_one_sentence_stand_together_once():
    lines = ["Go.\tVa !\tby x", "Run!\tFile !\tby y", "Go.\tMarche.\tby z", "GO.\tva\u202f!\tby x"]
    found = [one for part in ("train", "validation", "test") for one in sentences_of(lines, part)]
    assert sorted(found, key=lambda one: one.english) == [
        Sentence("go.", ("va !", "marche.")),
        Sentence("run!", ("file !",)),
    ]


def test_apostrophes_and_spaces_are_of_one_kind():
    assert normalised("J\u2019ai\u00a0faim\u202f!") == "j'ai faim !"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataMissing, match=r"eng-fra\.txt"):
        tatoeba_sentences(tmp_path, "test")
