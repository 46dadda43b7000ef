"""NAB: a series is read with its windows, and refused in words that help."""

from __future__ import annotations

import json

import numpy as np
import pytest

from training.data import DataMissing
from training.sets.nab import nab_series

MACHINE = "realKnownCause/machine_temperature_system_failure.csv"


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


def test_a_missing_series_is_named(tmp_path):
    with pytest.raises(DataMissing, match=r"data/x\.csv not found"):
        nab_series(tmp_path, "x.csv")


def test_the_machine_temperature_series(nab):
    series = nab_series(nab, MACHINE)
    assert series.values.shape == (22_695,) and len(series.windows) == 4
    assert series.windows[0][0] == np.datetime64("2013-12-10T06:25:00")
    assert series.index_of(series.windows[0][0]) == 2126
    assert np.all(np.diff(series.values[:2126]) < 10.0)
