"""Weather observations as a model hears them: one frame for each row that came, and what stands for what did not.

A value that is missing keeps the last one known, and a mask says so; a wind without a direction is variable, and blows
nowhere on average. A whole row that is missing is not made up here: sessions are opened with the gap policy `hold`,
which steps the state by the last frame again, and `held` gives the same sequence for PyTorch.
"""

import numpy as np
from numpy.typing import NDArray

from training.sets.weather import Station

INPUTS = (
    *("temp", "dewp", "humid", "pressure", "visib"),
    *("wind_speed", "wind_east", "wind_north"),
    *("hour_sin", "hour_cos", "season"),
    *("pressure_missing", "other_missing"),
)
UNITS = {
    "temp": "degrees Fahrenheit",
    "dewp": "degrees Fahrenheit",
    "humid": "percent",
    "pressure": "millibar",
    "visib": "miles",
    "wind_speed": "miles an hour",
    "wind_east": "miles an hour that the wind comes from the east",
    "wind_north": "the same, from the north",
    "hour_sin": "sine of the hour of the day, UTC",
    "hour_cos": "its cosine",
    "season": "cosine of the day of the year, 1 at the shortest day",
    "pressure_missing": "1: the last one known",
    "other_missing": "1: another value is the last one known",
}
KEPT = ("temp", "dewp", "humid", "pressure", "visib", "wind_speed")
"""Columns of which the last value known stands for a missing one."""
STANDARD = {"temp": 55.0, "dewp": 41.0, "humid": 63.0, "pressure": 1017.0, "visib": 10.0, "wind_speed": 10.0}
"""Stands for values missing before any is known."""
SHORTEST_DAY = np.datetime64("2012-12-21", "h")
HOUR = np.timedelta64(1, "h")


def last_known(values: NDArray[np.float64], first: float) -> NDArray[np.float64]:
    """Give values (n,) with each NaN replaced by the last number before it, or by `first`."""
    known = np.where(np.isnan(values), -1, np.arange(len(values)))
    at = np.maximum.accumulate(known)
    return np.where(at < 0, first, values[np.maximum(at, 0)])


def frames(station: Station) -> NDArray[np.float32]:
    """Give the frames of one airport: (n_rows, 13) float32 by `INPUTS`."""
    columns = {name: last_known(station.column(name), STANDARD[name]) for name in KEPT}
    direction = np.deg2rad(station.column("wind_dir"))
    for name, share in (("wind_east", np.sin(direction)), ("wind_north", np.cos(direction))):
        columns[name] = columns["wind_speed"] * np.nan_to_num(share)
    hour = 2.0 * np.pi * (station.hours.astype("datetime64[h]").astype(np.int64) % 24) / 24.0
    year = 2.0 * np.pi * ((station.hours - SHORTEST_DAY) / HOUR) / (365.25 * 24.0)
    columns |= {"hour_sin": np.sin(hour), "hour_cos": np.cos(hour), "season": np.cos(year)}
    missing = {name: np.isnan(station.column(name)) for name in KEPT}
    others = np.any([missing[name] for name in KEPT if name != "pressure"], axis=0)
    columns |= {"pressure_missing": missing["pressure"].astype(float), "other_missing": others.astype(float)}
    return np.stack([columns[name] for name in INPUTS], axis=1).astype(np.float32)


def held(station: Station) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give for each hour from the first row to the last the row that stands for it, and the places of the rows in that.

    Returns:
        rows: (n_hours,), the row of that hour, else the last one before it.
        places: (n_rows,), so that rows[places] is 0 .. n_rows - 1.
    """
    places = ((station.hours - station.hours[0]) / HOUR).astype(np.int64)
    return np.searchsorted(places, np.arange(places[-1] + 1), side="right") - 1, places
