"""Gradients over time: how strongly what is answered late depends on what was read early."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def gradient_by_lag(cell: nn.RNNBase, x: Tensor) -> Tensor:
    """Give the norm of the gradient of a late loss with respect to the input at each lag before it.

    The loss is the last output in a random direction of length 1. The norm is that of each sequence by itself, and the
    mean over sequences is geometric: a single one whose gradient explodes does not hide the others.

    Args:
        cell: batch first.
        x: (n_sequences, n_frames, input_size).

    Returns:
        (n_frames,) float32, lag 0 first: the last frame's own input.
    """
    x = x.clone().requires_grad_()
    h, _ = cell(x)
    direction = nn.functional.normalize(torch.randn(len(x), h.shape[-1]), dim=-1)
    (gradient,) = torch.autograd.grad((h[:, -1] * direction).sum(), x)
    norms = gradient.norm(dim=-1).clamp_min(1e-38)
    by_lag: Tensor = norms.log().mean(dim=0).exp().flip(0)
    return by_lag


def frames_to_tenth(norms: Tensor) -> float:
    """Give the lag at which the gradient has fallen to a tenth, from the slope of its logarithm over all lags.

    Args:
        norms: (n_lags,), lag 0 first, all above 0.

    Returns:
        Frames; infinity where the gradient does not fall.
    """
    lags = torch.arange(len(norms), dtype=torch.float64)
    logs = norms.double().log()
    slope = float(((lags - lags.mean()) * (logs - logs.mean())).sum() / ((lags - lags.mean()) ** 2).sum())
    return -math.log(10.0) / slope if slope < 0.0 else math.inf
