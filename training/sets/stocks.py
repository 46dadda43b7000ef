"""Daily closes of the S&P 500, and of the VIX on the same days, 2000 to April 2020."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.data import DataMissing, DataSet

STOCKS = DataSet(
    name="stocks",
    source="https://github.com/vega/vega-datasets at cad85578e232704bb0453544742440038038c6a2 (sp500-2000.csv); "
    "https://github.com/datasets/finance-vix at 6f56e2760520824b787cf6b85945c62186d38bc6 (vix-daily.csv)",
    licence="S&P 500: from Yahoo Finance, no licence of the data stated; VIX: CBOE, packaged under ODC-PDDL",
    attribution="S&P 500 closes of Yahoo Finance in vega-datasets (BSD-3-Clause); VIX closes of the CBOE (ODC-PDDL)",
)
SP500, VIX = "sp500-2000.csv", "vix-daily.csv"

Part = Literal["train", "validation", "test"]
YEARS: dict[Part, tuple[str, str]] = {
    "train": ("2000", "2015"),
    "validation": ("2015", "2017"),
    "test": ("2017", "2021"),
}
"""First year of each part, and the first after it."""


@dataclass(frozen=True, eq=False)
class Days:
    """Trading days from the second one on.

    Attributes:
        dates: (n,) datetime64[D], rising.
        log_return: (n,) float64, percent: 100 times the logarithm of the close over the one of the trading day before.
        vix: (n,) float64, the index's close, percent a year.
    """

    dates: NDArray[np.datetime64]
    log_return: NDArray[np.float64]
    vix: NDArray[np.float64]

    def part(self, part: Part) -> slice:
        """Give the days of a part."""
        first, stop = (np.datetime64(year, "D") for year in YEARS[part])
        return slice(*(int(np.searchsorted(self.dates, day)) for day in (first, stop)))


def trading_days(folder: Path) -> Days:
    """Load the days that both indices have; a return spans them.

    Raises:
        DataMissing: a file is not there.
    """
    closes = _closes(folder, SP500, "date", "close")
    vix = _closes(folder, VIX, "DATE", "CLOSE")
    dates = sorted(closes.keys() & vix.keys())
    log_close = np.log([closes[date] for date in dates])
    return Days(
        np.array(dates[1:], dtype="datetime64[D]"),
        100.0 * np.diff(log_close),
        np.array([vix[date] for date in dates[1:]]),
    )


def _closes(folder: Path, name: str, date: str, close: str) -> dict[str, float]:
    path = folder / name
    if not path.is_file():
        raise DataMissing(STOCKS, name, "the folder stocks/")
    with path.open(newline="", encoding="ascii") as file:
        return {row[date]: float(row[close]) for row in csv.DictReader(file)}
