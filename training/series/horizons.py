"""Horizons of a forecast: what came so many hours later, and what is known already to go by."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.series.observations import frames, held
from training.series.quantiles import LEVELS
from training.sets.weather import Part, Station

HORIZONS_H = (1, 6, 24)


def truths(station: Station, part: Part | None = None) -> NDArray[np.float64]:
    """Give the temperatures that came 1, 6 and 24 hours after each row, (n_rows, 3); NaN where not known.

    Args:
        station: the airport.
        part: only rows of this part know their targets, and only targets within it are known; None: all.
    """
    later = np.stack([station.later("temp", horizon) for horizon in HORIZONS_H], axis=1)
    if part is not None:
        rows, known = station.part(part), np.full(later.shape, np.nan)
        stop = station.hours[min(rows.stop, len(station.hours) - 1)]
        within = station.hours[rows, None] + np.array(HORIZONS_H, "timedelta64[h]") < stop
        known[rows] = np.where(within, later[rows], np.nan)
        return known
    return later


def on_the_clock(station: Station, target: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
    """Give frames (n_hours, 13) and targets (n_hours, 3) with missing rows held and their targets not known."""
    rows, places = held(station)
    wanted = np.full((len(rows), len(HORIZONS_H)), np.nan)
    wanted[places] = target
    return torch.as_tensor(frames(station)[rows]), torch.tensor(wanted, dtype=torch.float32)


def cut_to_known(x: Tensor, target: Tensor, n_warm: int = 336) -> tuple[Tensor, Tensor]:
    """Leave a fortnight before the first known target and what follows up to the last one."""
    known = torch.nonzero(~torch.isnan(target).all(1))[:, 0]
    part = slice(max(0, int(known[0]) - n_warm), int(known[-1]) + 1)
    return x[part], target[part]


class Naive:
    """A baseline: a temperature that is known already, spread by the quantiles of its own errors in training."""

    def __init__(self, airports: list[Station], ago_h: Sequence[int]) -> None:
        """Take for each horizon how many hours before the row the temperature was, 0: at the row itself."""
        self.ago_h = ago_h
        errors = np.concatenate([truths(one, "train") - self.points(one) for one in airports])
        self.spread = np.nanquantile(errors, LEVELS, axis=0)

    def points(self, station: Station) -> NDArray[np.float64]:
        """Give the temperature it goes by, (n_rows, 3)."""
        return np.stack([station.later("temp", -ago) for ago in self.ago_h], axis=1)

    def quantiles(self, station: Station) -> NDArray[np.float64]:
        """Give (n_rows, 3 horizons, 3 quantiles)."""
        return np.asarray(self.points(station)[:, :, None] + self.spread.T[None])
