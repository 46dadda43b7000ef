"""The Numenta Anomaly Benchmark: series of single sensors with labelled anomaly windows."""

import csv
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data import DataMissing, DataSet

NAB = DataSet(
    name="nab",
    source="https://github.com/numenta/NAB at ea702d75cc2258d9d7dd35ca8e5e2539d71f3140",
    licence="MIT",
    attribution="Numenta Anomaly Benchmark (NAB), Copyright 2014-2024 Numenta Inc., MIT licence",
)


@dataclass(frozen=True)
class Series:
    """One sensor's labelled series.

    Attributes:
        times: (n,) datetime64[s], rising.
        values: (n,) float64, in the sensor's own unit.
        windows: first and last time of each labelled anomaly window, in order.
    """

    times: NDArray[np.datetime64]
    values: NDArray[np.float64]
    windows: tuple[tuple[np.datetime64, np.datetime64], ...]

    def index_of(self, time: np.datetime64) -> int:
        """Give the index of the first frame at or after `time` (0 .. n)."""
        return int(np.searchsorted(self.times, time))


def nab_series(folder: Path, name: str) -> Series:
    """Load one NAB series and its labelled windows.

    Args:
        folder: the nab/ folder.
        name: for example `realKnownCause/machine_temperature_system_failure.csv`.

    Raises:
        DataMissing: the series or the label file is not there.
        ValueError: the csv's columns are not timestamp,value.
    """
    csv_path, label_path = folder / "data" / name, folder / "labels" / "combined_windows.json"
    for path in (csv_path, label_path):
        if not path.is_file():
            raise DataMissing(NAB, str(path.relative_to(folder)), "the folder nab/")
    with csv_path.open(newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        if header != ["timestamp", "value"]:
            raise ValueError(f"{name}: columns are {header}, expected ['timestamp', 'value']")
        rows = list(reader)
    labels: dict[str, list[list[str]]] = json.loads(label_path.read_text())
    return Series(
        times=np.array([_time(row[0]) for row in rows]),
        values=np.array([float(row[1]) for row in rows]),
        windows=tuple((_time(first), _time(last)) for first, last in labels[name]),
    )


def _time(text: str) -> np.datetime64:
    return np.datetime64(datetime.fromisoformat(text), "s")
