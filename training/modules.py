"""Modules that PyTorch lacks and the importer knows."""

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
