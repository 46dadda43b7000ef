"""Hourly weather of the three airports of New York in 2013, with its gaps: rows that are missing, and values."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.data import DataMissing, DataSet

WEATHER = DataSet(
    name="weather",
    source="https://github.com/tidyverse/nycflights13 at df98ef215aa8216fe0838a0b8ac5bada646d814c "
    "(data-raw/weather.csv)",
    licence="NOAA observations: public domain; nycflights13: CC0",
    attribution="NOAA weather observations, collected as nycflights13 by Hadley Wickham (CC0)",
)
FILE = "nyc-weather-hourly-2013.csv"
AIRPORTS = ("EWR", "JFK", "LGA")
COLUMNS = ("temp", "dewp", "humid", "pressure", "wind_dir", "wind_speed", "precip", "visib")
"""Degrees Fahrenheit twice, percent, millibar, degrees from north, miles an hour, inches, miles."""

Part = Literal["train", "validation", "test"]
MONTHS: dict[Part, tuple[str, str]] = {
    "train": ("2013-01", "2013-10"),
    "validation": ("2013-10", "2013-11"),
    "test": ("2013-11", "2014-01"),
}
"""First month of each part, and the first after it, in UTC."""


@dataclass(frozen=True, eq=False)
class Station:
    """One airport's observations, as they came.

    Attributes:
        airport: its code.
        hours: (n,) datetime64[h], UTC, rising; an hour without a row is not there.
        values: (n, 8) float64 by `COLUMNS`; NaN where the file says NA.
    """

    airport: str
    hours: NDArray[np.datetime64]
    values: NDArray[np.float64]

    def column(self, name: str) -> NDArray[np.float64]:
        """Give one of `COLUMNS`, (n,)."""
        return self.values[:, COLUMNS.index(name)]

    def part(self, part: Part) -> slice:
        """Give the rows of a part."""
        first, stop = (np.datetime64(month, "h") for month in MONTHS[part])
        return slice(*(int(np.searchsorted(self.hours, hour)) for hour in (first, stop)))

    def later(self, name: str, n_hours: int) -> NDArray[np.float64]:
        """Give (n,) what a column was `n_hours` after each row (before it, where negative); NaN: not known."""
        wanted = self.hours + np.timedelta64(n_hours, "h")
        at = np.minimum(np.searchsorted(self.hours, wanted), len(self.hours) - 1)
        return np.where(self.hours[at] == wanted, self.column(name)[at], np.nan)


def stations(folder: Path) -> list[Station]:
    """Load the airports in the order of `AIRPORTS`.

    Raises:
        DataMissing: the file is not there.
    """
    path = folder / FILE
    if not path.is_file():
        raise DataMissing(WEATHER, FILE, "the folder weather/")
    with path.open(newline="", encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    return [_station(airport, [row for row in rows if row["origin"] == airport]) for airport in AIRPORTS]


def _station(airport: str, rows: list[dict[str, str]]) -> Station:
    hours = np.array([np.datetime64(row["time_hour"].removesuffix("Z"), "h") for row in rows])
    values = [[float("nan") if row[name] == "NA" else float(row[name]) for name in COLUMNS] for row in rows]
    assert (np.diff(hours) > np.timedelta64(0, "h")).all(), "rows are in order of time"
    return Station(airport, hours, np.array(values))
