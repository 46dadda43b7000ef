"""Forecasts of returns: what a mean with a deviation is worth, and what there is to go by without a model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.series.forecast import rmse
from training.sets.stocks import Days

DAYS_PER_YEAR = 252
MONTH_DAYS = 21
_HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)


def gaussian_loss(output: dict[str, Tensor], target: Tensor) -> Tensor:
    """Give the mean of -log N(target; mean, deviation) in nats; heads (n, n_days, 1), target (n, n_days)."""
    mean, deviation = output["mean"][..., 0], output["deviation"][..., 0]
    return (0.5 * ((target - mean) / deviation).square() + torch.log(deviation)).mean() + _HALF_LOG_2_PI


def nats(mean: NDArray[np.float64], deviation: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Give the mean of -log N(truth; mean, deviation); all (n,)."""
    return float(np.mean(0.5 * ((truth - mean) / deviation) ** 2 + np.log(deviation))) + _HALF_LOG_2_PI


@dataclass(frozen=True)
class Judged:
    """What a forecast of days is worth.

    Attributes:
        rmse: of the mean, percent.
        direction: share of days that moved whose direction was told; None for a mean that never tells one.
        nats: -log likelihood a day; None for a forecast without a deviation.
    """

    rmse: float
    direction: float | None
    nats: float | None

    @classmethod
    def of(
        cls, mean: NDArray[np.float64], truth: NDArray[np.float64], deviation: NDArray[np.float64] | None = None
    ) -> Judged:
        """Judge means (n,), and deviations (n,) if there are any, against what came, (n,)."""
        moved = truth != 0.0
        direction = float((np.sign(mean) == np.sign(truth))[moved].mean()) if mean.any() else None
        return cls(rmse(mean - truth), direction, None if deviation is None else nats(mean, deviation, truth))

    def plain(self) -> dict[str, float]:
        """The figures that there are, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


def sureness(gain: NDArray[np.float64]) -> float:
    """Give the mean of daily gains (n,) over its standard error: below 2 it may well be chance.

    Source: Diebold and Mariano, "Comparing predictive accuracy", Journal of Business & Economic Statistics 13(3), 1995,
    for forecasts of one step.
    """
    return float(gain.mean() / (gain.std() / math.sqrt(len(gain))))


def trailing_deviation(log_return: NDArray[np.float64], n_days: int = MONTH_DAYS) -> NDArray[np.float64]:
    """Give for each day the root of the mean square return of the last `n_days`, itself the last; NaN before that."""
    means = np.lib.stride_tricks.sliding_window_view(log_return**2, n_days).mean(-1)
    return np.concatenate([np.full(n_days - 1, np.nan), np.sqrt(means)])


def implied_deviation(days: Days) -> NDArray[np.float64]:
    """Give for each day what its VIX says of the next, (n,) percent, scaled to what came in the training years.

    The VIX is a price and lies above what comes; one number, the ratio of the two in training, takes that away.
    """
    raw = days.vix / math.sqrt(DAYS_PER_YEAR)
    part = days.part("train")
    told = raw[part.start : part.stop - 1]
    ratio = np.sqrt(np.mean((days.log_return[part.start + 1 : part.stop] / told) ** 2))
    return np.asarray(raw * ratio)
