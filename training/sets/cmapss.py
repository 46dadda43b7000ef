"""C-MAPSS FD001: simulated turbofan engines that run to failure, one row a flight cycle."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data import DataMissing, DataSet

CMAPSS = DataSet(
    name="cmapss",
    source="https://github.com/rajarshiroydev/industry_4.0 at b4fd25621133c3d1a38ca2be06152e018f70b4ca (CMAPSSData), "
    "a copy of the turbofan engine degradation simulation of NASA's Prognostics Data Repository",
    licence="NASA open data, a work of the US Government",
    attribution="C-MAPSS turbofan engine degradation simulation, A. Saxena and K. Goebel, NASA Ames, 2008",
)
CHANNELS = (*(f"setting_{i}" for i in range(1, 4)), *(f"sensor_{i}" for i in range(1, 22)))
"""Columns behind the engine's number and the cycle: settings and sensors, numbered as in the paper (Saxena 2008)."""
VALIDATION_UNITS = frozenset(range(5, 101, 5))
"""Every fifth training engine, 20 whole ones, validates."""


@dataclass(frozen=True, eq=False)
class Run:
    """One engine, cycle by cycle.

    Attributes:
        unit: the engine's number, from 1.
        channels: (n_cycles, 24) float64 by `CHANNELS`.
        remaining: (n_cycles,) float64, cycles until it fails after each row, >= 0.
    """

    unit: int
    channels: NDArray[np.float64]
    remaining: NDArray[np.float64]


def train_runs(folder: Path) -> tuple[list[Run], list[Run]]:
    """Load the engines that run until they fail: those to train on, and those that validate.

    Raises:
        DataMissing: the file is not there.
    """
    runs = _runs(folder, "train_FD001.txt", {})
    return (
        [run for run in runs if run.unit not in VALIDATION_UNITS],
        [run for run in runs if run.unit in VALIDATION_UNITS],
    )


def runs_to_judge(folder: Path) -> list[Run]:
    """Load the published test part: engines that stop some time before they fail, with what they had left then.

    Raises:
        DataMissing: a file is not there.
    """
    left = _table(folder, "RUL_FD001.txt").reshape(-1)
    return _runs(folder, "test_FD001.txt", {unit: float(cycles) for unit, cycles in enumerate(left, start=1)})


def _runs(folder: Path, name: str, left: dict[int, float]) -> list[Run]:
    table = _table(folder, name)
    runs = []
    for unit in np.unique(table[:, 0]).astype(int):
        rows = table[table[:, 0] == unit]
        assert (np.diff(rows[:, 1]) == 1).all(), "cycles follow one another"
        runs.append(Run(int(unit), rows[:, 2:], rows[-1, 1] - rows[:, 1] + left.get(int(unit), 0.0)))
    return runs


def _table(folder: Path, name: str) -> NDArray[np.float64]:
    path = folder / name
    if not path.is_file():
        raise DataMissing(CMAPSS, name, "the folder cmapss/")
    return np.loadtxt(path, ndmin=2)
