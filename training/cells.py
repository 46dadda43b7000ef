"""Recurrent cells without a matrix over the state: they train in parallel over time, and stream as single ops.

While a module is exported, each appears as one operator (`streamrnn::min_gru` and so on), which is how the importer
knows it; in training it is plain PyTorch, its time axis by a scan of log2(T) vectorised passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

Cell = Callable[..., Tensor]


def scan(a: Tensor, x: Tensor) -> Tensor:
    """`h[t] = a[t] * h[t - 1] + x[t]` from `h = 0`, along dimension 1; real or complex, differentiable.

    a, x: (batch, time, ...). Source: Hillis and Steele 1986.
    """
    shift = 1
    while shift < x.shape[1]:
        earlier_x = torch.cat([torch.zeros_like(x[:, :shift]), x[:, :-shift]], 1)
        earlier_a = torch.cat([torch.zeros_like(a[:, :shift]), a[:, :-shift]], 1)
        x = a * earlier_x + x
        a = a * earlier_a
        shift *= 2
    return x


def min_gru(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`h += z * (n - h)`, `z = sigmoid(W_z x + b_z)`, `n = W_n x + b_n`; x (batch, time, n_in), weight (2 n, n_in)."""
    gate, new = nn.functional.linear(x, weight, bias).chunk(2, -1)
    z = torch.sigmoid(gate)
    return scan(1.0 - z, z * new)


min_gru_op = torch.library.custom_op("streamrnn::min_gru", min_gru, mutates_args=())
"""`min_gru` as one operator."""


@min_gru_op.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty((*x.shape[:-1], weight.shape[0] // 2))


def diagonal(x: Tensor, decay_re: Tensor, decay_im: Tensor) -> Tensor:
    """`h = decay * h + x`, complex, real parts first; x (batch, time, 2 n), decay_re and decay_im (n,)."""
    re, im = x.chunk(2, -1)
    h = scan(torch.complex(decay_re, decay_im).expand(re.shape), torch.complex(re, im))
    return torch.cat([h.real, h.imag], -1)


diagonal_op = torch.library.custom_op("streamrnn::diagonal", diagonal, mutates_args=())
"""`diagonal` as one operator."""


@diagonal_op.register_fake
def _(x: Tensor, decay_re: Tensor, decay_im: Tensor) -> Tensor:
    return torch.empty_like(x)


def selective_scan(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """`h = exp(delta a) h + delta b x`, `y = c h + d x`; x, delta (batch, time, n), a (n, m), b, c (batch, time, m)."""
    decay = torch.exp(delta.unsqueeze(-1) * a)
    h = scan(decay, (delta * x).unsqueeze(-1) * b.unsqueeze(-2))
    return (h * c.unsqueeze(-2)).sum(-1) + d * x


selective_scan_op = torch.library.custom_op("streamrnn::selective_scan", selective_scan, mutates_args=())
"""`selective_scan` as one operator."""


@selective_scan_op.register_fake
def _(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    return torch.empty_like(x)


class MinGRU(nn.Module):
    """The minimal GRU: its gates see the input alone. Source: Feng et al. 2024, "Were RNNs all we needed?", 3.1."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        """Draw weights as `nn.Linear` does."""
        super().__init__()
        self.gates = nn.Linear(input_size, 2 * hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """Map x: (batch, time, input_size) to (batch, time, hidden_size)."""
        cell: Cell = min_gru_op if torch.compiler.is_exporting() else min_gru
        return cell(x, self.gates.weight, self.gates.bias)


class LRU(nn.Module):
    """A linear recurrent unit: complex decays inside the unit circle, a real output. Source: Orvieto et al. 2023.

    The input's normaliser gamma is part of `enter`'s weights, as in the paper's initialisation.
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int, least: float = 0.5) -> None:
        """Draw decays of magnitude in [least, 1), of any phase up to pi / 10."""
        super().__init__()
        magnitude = torch.sqrt(torch.rand(hidden_size) * (0.998**2 - least**2) + least**2)
        self.nu = nn.Parameter(torch.log(-torch.log(magnitude)))
        self.theta = nn.Parameter(torch.log(torch.rand(hidden_size) * math.pi / 10 + 1e-4))
        self.enter = nn.Linear(input_size, 2 * hidden_size, bias=False)
        self.leave = nn.Linear(2 * hidden_size, output_size)
        with torch.no_grad():
            self.enter.weight.mul_(torch.sqrt(1.0 - magnitude**2).repeat(2)[:, None])

    def forward(self, x: Tensor) -> Tensor:
        """Map x: (batch, time, input_size) to (batch, time, output_size)."""
        magnitude, phase = torch.exp(-torch.exp(self.nu)), torch.exp(self.theta)
        cell: Cell = diagonal_op if torch.compiler.is_exporting() else diagonal
        h = cell(self.enter(x), magnitude * torch.cos(phase), magnitude * torch.sin(phase))
        y: Tensor = self.leave(h)
        return y


class SelectiveSSM(nn.Module):
    """The selective scan of Mamba with its projections: steps, input and output matrices depend on the input.

    Source: Gu and Dao 2023, "Mamba", algorithm 2 (S6).
    """

    def __init__(self, size: int, state_size: int = 16) -> None:
        """Begin with decays 1 to `state_size` in each channel (S4D-real) and steps near 0.01."""
        super().__init__()
        self.log_a = nn.Parameter(torch.log(torch.arange(1.0, state_size + 1)).repeat(size, 1))
        self.d = nn.Parameter(torch.ones(size))
        self.step = nn.Linear(size, size)
        self.matrices = nn.Linear(size, 2 * state_size, bias=False)
        nn.init.constant_(self.step.bias, math.log(math.expm1(0.01)))

    def forward(self, x: Tensor) -> Tensor:
        """Map x: (batch, time, size) to the same shape."""
        delta = nn.functional.softplus(self.step(x))
        b, c = self.matrices(x).chunk(2, -1)
        cell: Cell = selective_scan_op if torch.compiler.is_exporting() else selective_scan
        return cell(x, delta, -torch.exp(self.log_a), b, c, self.d)
