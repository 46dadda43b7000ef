"""Rotation of motion sensors: the same movement as a device sees it that is turned a little."""

import math

import torch
from torch import Tensor


def rotations(n: int, most_degrees: float, generator: torch.Generator) -> Tensor:
    """Draw n rotation matrices (n, 3, 3) about axes of any direction, by angles uniform in 0 .. `most_degrees`.

    Source: Rodrigues' formula, R = I + sin(a) K + (1 - cos(a)) K K.
    """
    axis = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=1)
    angle = torch.rand(n, 1, 1, generator=generator) * math.radians(most_degrees)
    x, y, z = axis.unbind(1)
    zero = torch.zeros_like(x)
    k = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(n, 3, 3)
    return torch.eye(3) + torch.sin(angle) * k + (1.0 - torch.cos(angle)) * k @ k


def rotated(x: Tensor, most_degrees: float, generator: torch.Generator) -> Tensor:
    """Turn each sequence by a rotation of its own, the same for all its sensors; x: (n, n_frames, 3 a sensor)."""
    matrices = rotations(len(x), most_degrees, generator)
    sensors = x.view(len(x), x.shape[1], -1, 3)
    return torch.einsum("nij,ntsj->ntsi", matrices, sensors).reshape(x.shape)
