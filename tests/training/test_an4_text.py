"""AN4's transcripts: read from its files, letters as words, and speakers held out whole."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.conftest import folder_or_skip
from training.data import DataMissing
from training.sets.an4 import AN4
from training.sets.an4_text import Said, an4_said, pronunciations, transcript_of, without_held_out


def test_a_line_ends_with_the_name():
    assert transcript_of("GO F FIVE (an409-fcaw-b)") == ("an409-fcaw-b", ("GO", "F", "FIVE"))
    assert transcript_of("<s> YES </s> (an1-x-b)") == ("an1-x-b", ("YES",))


def test_the_first_pronunciation_counts_but_a_is_a_letter(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "an4.dic").write_text("A AH\nA(2) EY\nAND AE N D\nAND(2) AH N D\n\n")
    assert pronunciations(tmp_path) == {"A": ("EY",), "AND": ("AE", "N", "D")}


def test_a_missing_dictionary_is_told(tmp_path):
    with pytest.raises(DataMissing, match=r"an4\.dic not found in the folder an4/etc/"):
        pronunciations(tmp_path)


def test_six_speakers_are_held_out_with_all_they_say():
    utterances = [Said(f"s{i:02}", np.zeros((1, 13), np.float32), ("GO",)) for i in range(30) for _ in range(2)]
    kept, held_out = without_held_out(utterances)
    assert {one.speaker for one in held_out} == {"s02", "s07", "s12", "s17", "s22", "s27"}
    assert len(held_out) == 12 and len(kept) == 48 and not {one.speaker for one in kept} & {"s02", "s27"}


def test_the_official_parts_have_their_words():
    folder = folder_or_skip(AN4)
    known, unseen = an4_said(folder, "train"), an4_said(folder, "test")
    assert (len(known), len(unseen)) == (948, 130)
    assert sum(len(one.words) for one in unseen) == 903 - 130
    assert ("RUBOUT", "G", "M", "E", "F", "THREE", "NINE") in {one.words for one in unseen if one.speaker == "fcaw"}
    assert {word for one in (*known, *unseen) for word in one.words} <= set(pronunciations(folder))
