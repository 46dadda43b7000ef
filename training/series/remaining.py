"""Remaining useful life: the loss that trains a forecast of it, and the figures that judge one."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def clipped(remaining: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    """Give remaining life (n,) with all above `most` counted as `most`.

    Source: Heimes, "Recurrent neural networks for remaining useful life estimation", PHM 2008.
    """
    return np.minimum(remaining, most)


def life_loss(output: Tensor, target: Tensor) -> Tensor:
    """Give the mean square of the error over known targets; NaN targets are not known."""
    known = ~torch.isnan(target)
    return (output[known] - target[known]).square().mean()


def nasa_score(forecast: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Give the sum of exp(d / 10) - 1 over engines forecast too late (d >= 0 cycles), exp(-d / 13) - 1 over the others.

    Source: Saxena, Goebel, Simon and Eklund, "Damage propagation modeling for aircraft engine run-to-failure
    simulation", PHM 2008, equation 9.
    """
    late = forecast - truth
    return float(np.sum(np.exp(np.where(late < 0, -late / 13.0, late / 10.0)) - 1.0))
