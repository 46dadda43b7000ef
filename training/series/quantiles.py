"""Quantile forecasts: the pinball loss that trains them and the figures that judge them.

Source: Koenker and Bassett, "Regression quantiles", Econometrica 46(1), 1978.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LEVELS = (0.1, 0.5, 0.9)
"""Quantiles of a forecast: the truth lies below the first in one case of ten, above the last in one of ten."""


def pinball(output: Tensor, target: Tensor, levels: Sequence[float] = LEVELS) -> Tensor:
    """Give the mean pinball loss over levels and known targets, in the target's unit.

    Args:
        output: (..., n_levels), the quantiles.
        target: (...); NaN where it is not known.
        levels: each in (0, 1).
    """
    known = ~torch.isnan(target)
    error = target[known][..., None] - output[known]
    level = torch.tensor(levels, dtype=output.dtype)
    return torch.maximum(level * error, (level - 1.0) * error).mean()


def mean_pinball(quantiles: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Give the same of arrays: quantiles (..., 3) at the usual levels, truth (...)."""
    return float(pinball(torch.as_tensor(quantiles), torch.as_tensor(truth)))


def mean_absolute(forecast: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Give the mean of |forecast - truth| where the truth is known; both (n,)."""
    return float(np.nanmean(np.abs(forecast - truth)))


def coverage(quantiles: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Give the share (0 .. 1) of known truths (n,) from the lowest to the highest of the quantiles (n, n_levels)."""
    known = ~np.isnan(truth)
    inside = (quantiles[:, 0] <= truth) & (truth <= quantiles[:, -1])
    return float(inside[known].mean())
