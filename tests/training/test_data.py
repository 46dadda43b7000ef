"""Data: found where the user says, loaded and split as its README tells, and missed in words that help."""

from __future__ import annotations

import json

import numpy as np
import pytest

from training import data
from training.data import (
    NAB,
    TINYSHAKESPEARE,
    VARIABLE,
    DataMissing,
    data_folder,
    nab_series,
    shakespeare_text,
    split_contiguous,
)

MACHINE = "realKnownCause/machine_temperature_system_failure.csv"


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
    with pytest.raises(DataMissing, match=r"data/x\.csv not found"):
        nab_series(tmp_path, "x.csv")
    with pytest.raises(DataMissing, match=r"input\.txt not found"):
        shakespeare_text(tmp_path)


def write_series(folder, header="timestamp,value"):
    (folder / "data").mkdir()
    (folder / "labels").mkdir()
    (folder / "data" / "x.csv").write_text(f"{header}\n2020-01-01 00:00:00,1.5\n2020-01-01 00:05:00,2\n")
    windows = {"x.csv": [["2020-01-01 00:01:00.000000", "2020-01-01 00:05:00.000000"]]}
    (folder / "labels" / "combined_windows.json").write_text(json.dumps(windows))


def test_a_series_is_read_with_its_windows(tmp_path):
    write_series(tmp_path)
    series = nab_series(tmp_path, "x.csv")
    assert series.values.tolist() == [1.5, 2.0]
    assert series.times[1] - series.times[0] == np.timedelta64(300, "s")
    (first, last) = series.windows[0]
    assert (series.index_of(first), series.index_of(last)) == (1, 1)


def test_other_columns_are_refused(tmp_path):
    write_series(tmp_path, header="time,value")
    with pytest.raises(ValueError, match="expected"):
        nab_series(tmp_path, "x.csv")


def test_splits_are_contiguous_and_complete():
    parts = split_contiguous(1_115_394)
    assert [part.stop - part.start for part in parts] == [1_003_855, 55_769, 55_770]
    assert parts[0].start == 0 and parts[0].stop == parts[1].start and parts[1].stop == parts[2].start
    assert parts[2].stop == 1_115_394


def test_the_machine_temperature_series(nab):
    series = nab_series(nab, MACHINE)
    assert series.values.shape == (22_695,) and len(series.windows) == 4
    assert series.windows[0][0] == np.datetime64("2013-12-10T06:25:00")
    assert series.index_of(series.windows[0][0]) == 2126
    assert np.all(np.diff(series.values[:2126]) < 10.0)


def test_the_text(tinyshakespeare):
    text = shakespeare_text(tinyshakespeare)
    assert len(text) == 1_115_394 and len(set(text)) == 65
    assert text.startswith("First Citizen:")
    assert TINYSHAKESPEARE.licence.startswith("text: public domain")
