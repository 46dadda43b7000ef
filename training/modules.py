"""Modules that PyTorch lacks and the importer knows."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Affine(nn.Module):
    """Scale and shift every feature: y = x * scale + shift.

    The normaliser of a model that takes raw sensor values. Scale and shift are buffers, not parameters: they are
    measured on the training data and stay as they are. The importer knows the class by its name and these two buffers.

    Attributes:
        scale: (n,) float32.
        shift: (n,) float32.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        """Keep copies of `scale` and `shift`, both (n,).

        Raises:
            ValueError: they are not of one shape (n,).
        """
        super().__init__()
        if scale.ndim != 1 or scale.shape != shift.shape:
            raise ValueError(f"scale and shift are both (n,), not {tuple(scale.shape)} and {tuple(shift.shape)}")
        self.register_buffer("scale", scale.detach().to(torch.float32).clone())
        self.register_buffer("shift", shift.detach().to(torch.float32).clone())

    @classmethod
    def normaliser(cls, mean: float, deviation: float) -> "Affine":
        """Build the affine of one feature that takes `mean` to 0 and one standard deviation (> 0) to 1."""
        return cls(torch.tensor([1.0 / deviation]), torch.tensor([-mean / deviation]))

    def forward(self, x: Tensor) -> Tensor:
        """Map x: (..., n) float32 to the same shape."""
        return x * self.scale + self.shift


class Standardise(nn.Module):
    """Take each feature's mean away, then divide by its deviation: y = (x - mean) * scale.

    The normaliser where a mean is large beside its deviation, say 9,000 and 20: `Affine` would subtract two large
    numbers after they were rounded; here the first difference is exact, and every framework gives the same bits.

    Attributes:
        mean: (n,) float32.
        scale: (n,) float32, 1 / deviation.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, means: Sequence[float], deviations: Sequence[float]) -> None:
        """Take one mean and one deviation (> 0) a feature."""
        super().__init__()
        self.register_buffer("mean", torch.tensor(means, dtype=torch.float32))
        self.register_buffer("scale", 1.0 / torch.tensor(deviations, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Map x: (..., n) float32 to the same shape."""
        return (x - self.mean) * self.scale
