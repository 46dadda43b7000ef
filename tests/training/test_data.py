"""Data: found where the user says, loaded and split as its README tells, and missed in words that help."""

from __future__ import annotations

import pytest

from training import data
from training.data import VARIABLE, DataMissing, data_folder, split_contiguous
from training.sets.nab import NAB
from training.sets.tinyshakespeare import TINYSHAKESPEARE, shakespeare_text


def test_the_command_line_goes_before_the_environment(tmp_path, monkeypatch):
    for place in ("option", "variable", "shared/data"):
        (tmp_path / place / "nab").mkdir(parents=True)
    monkeypatch.setattr(data, "PROJECT_ROOT", tmp_path / "project")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "variable"))
    assert data_folder(NAB, tmp_path / "option") == tmp_path / "option" / "nab"
    assert data_folder(NAB) == tmp_path / "variable" / "nab"
    monkeypatch.delenv(VARIABLE)
    assert data_folder(NAB) == tmp_path / "shared" / "data" / "nab"


def test_a_named_place_without_the_data_is_an_error_and_not_skipped(tmp_path, monkeypatch):
    (tmp_path / "shared" / "data" / "nab").mkdir(parents=True)
    monkeypatch.setattr(data, "PROJECT_ROOT", tmp_path / "project")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "empty"))
    with pytest.raises(DataMissing, match=VARIABLE) as caught:
        data_folder(NAB)
    assert NAB.source in str(caught.value) and "--data DIR" in str(caught.value)
    with pytest.raises(DataMissing, match="--data"):
        data_folder(NAB, tmp_path / "empty")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataMissing, match=r"input\.txt not found"):
        shakespeare_text(tmp_path)


def test_splits_are_contiguous_and_complete():
    parts = split_contiguous(1_115_394)
    assert [part.stop - part.start for part in parts] == [1_003_855, 55_769, 55_770]
    assert parts[0].start == 0 and parts[0].stop == parts[1].start and parts[1].stop == parts[2].start
    assert parts[2].stop == 1_115_394


def test_the_text(tinyshakespeare):
    text = shakespeare_text(tinyshakespeare)
    assert len(text) == 1_115_394 and len(set(text)) == 65
    assert text.startswith("First Citizen:")
    assert TINYSHAKESPEARE.licence.startswith("text: public domain")
