"""Random PyTorch modules that can be streamed and exported: what they compute is known only to their own forward."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

N_STEPS = 48
"""Steps of an example: a multiple of every stride that a module may have."""

ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.Tanh, nn.Sigmoid, nn.ReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Softplus, nn.Softsign, nn.Hardsigmoid, nn.Hardswish,
    nn.Mish, nn.ReLU6, nn.SELU, nn.CELU, lambda: nn.LeakyReLU(0.1), lambda: nn.GELU("tanh"),
    lambda: nn.Softmax(-1), lambda: nn.LogSoftmax(-1),
)  # fmt: skip


class Conv(nn.Module):
    """A convolution of (1, T, n): causal by padding, causal by cutting the end off, or looking ahead."""

    def __init__(self, n_in: int, n_out: int, kernel: int, dilation: int, groups: int, stride: int, way: str) -> None:
        super().__init__()
        reach = (kernel - 1) * dilation
        self.way, self.reach = way, reach
        padding = {"pad": 0, "chomp": reach, "ahead": reach // 2}[way]
        self.conv = nn.Conv1d(n_in, n_out, kernel, stride, padding, dilation, groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.transpose(1, 2)
        if self.way == "pad":
            x = functional.pad(x, (self.reach, 0))
        x = self.conv(x)
        if self.way == "chomp" and self.reach:
            x = x[..., : -self.reach]
        return x.transpose(1, 2)


class Normed(nn.Module):
    """Batch normalisation of (1, T, n), with figures as after training."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(n)
        assert self.norm.running_mean is not None and self.norm.running_var is not None
        nn.init.normal_(self.norm.running_mean)
        nn.init.uniform_(self.norm.running_var, 0.5, 2.0)
        nn.init.normal_(self.norm.weight)
        nn.init.normal_(self.norm.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


class Recurrent(nn.Module):
    """A cell, its states dropped."""

    def __init__(self, cell: nn.RNNBase) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cell(x)[0]


class Joined(nn.Module):
    """A part and what it reads, joined: added, concatenated, multiplied or gated."""

    def __init__(self, part: nn.Module, way: str) -> None:
        super().__init__()
        self.part, self.way = part, way

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.part(x)
        match self.way:
            case "add":
                return x + y
            case "concat":
                return torch.cat([y, x], -1)
            case "multiply":
                return torch.sigmoid(y) * x
            case _:
                a, b = y.chunk(2, -1)
                return torch.tanh(a) * torch.sigmoid(b)


class Net(nn.Module):
    """A trunk and its heads; `ending` is what becomes of the time: all steps, the last one, or their mean."""

    def __init__(self, trunk: nn.Module, heads: Sequence[nn.Module], ending: str) -> None:
        super().__init__()
        self.trunk, self.heads, self.ending = trunk, nn.ModuleList(heads), ending

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        x = self.trunk(x)
        if self.ending == "last":
            x = x[:, -1]
        if self.ending == "mean":
            x = x.mean(1)
        outputs = tuple(head(x) for head in self.heads)
        return outputs if len(outputs) > 1 else outputs[0]


class Drawing:
    """Draws the parts of one net.

    Args:
        rng: where all choices come from.
        may_look_ahead: whether windows may reach beyond a step; outputs then come late.
    """

    def __init__(self, rng: random.Random, may_look_ahead: bool) -> None:
        self._rng, self._may_look_ahead = rng, may_look_ahead

    def size(self, least: int = 1) -> int:
        """Channels, mostly few."""
        return self._rng.choice([least, 2, 3, 4, 6, 8, 12, 17, 24])

    def conv(self, n_in: int, n_out: int, stride: int = 1) -> nn.Module:
        """A convolution, depthwise where it may be."""
        groups = n_in if n_in == n_out and self._rng.random() < 0.3 else 1
        way = self._rng.choice(["pad", "pad", "chomp", *(["ahead"] if self._may_look_ahead else [])])
        kernel = self._rng.choice([1, 3, 5]) if way == "ahead" else self._rng.choice([1, 2, 3, 4])
        if stride > 1:
            way = "pad"
        return Conv(n_in, n_out, kernel, self._rng.choice([1, 1, 2, 4]), groups, stride, way)

    def recurrent(self, n_in: int, n_out: int) -> nn.Module:
        """A cell of one or two layers."""
        kind = self._rng.choice([nn.RNN, nn.GRU, nn.LSTM])
        bias = self._rng.random() < 0.8
        return Recurrent(kind(n_in, n_out, self._rng.choice([1, 1, 2]), bias=bias, batch_first=True))

    def layer(self, n_in: int, n_out: int) -> nn.Module:
        """A layer with weights."""
        match self._rng.choice(["conv", "recurrent", "linear"]):
            case "conv":
                return self.conv(n_in, n_out)
            case "recurrent":
                return self.recurrent(n_in, n_out)
            case _:
                return nn.Linear(n_in, n_out, bias=self._rng.random() < 0.8)

    def between(self, n: int) -> nn.Module:
        """What stands between layers: an activation or a norm."""
        if n > 1 and self._rng.random() < 0.3:
            return self._rng.choice([nn.LayerNorm, Normed])(n)
        return self._rng.choice(ACTIVATIONS)()

    def part(self, n: int) -> tuple[nn.Module, int]:
        """A part of the trunk that reads `n` channels, and how many it gives."""
        way = self._rng.choice(["plain", "plain", "add", "concat", "multiply", "gate"])
        if way == "plain":
            n_out = self.size(2)
            return nn.Sequential(self.layer(n, n_out), self.between(n_out)), n_out
        if way == "gate":
            n_out = self.size()
            return Joined(self.layer(n, 2 * n_out), way), n_out
        n_out = self.size() if way == "concat" else n
        inner = self.size(2)
        part = nn.Sequential(self.layer(n, inner), self.between(inner), self.layer(inner, n_out))
        return Joined(part, way), n_out + (n if way == "concat" else 0)


def draw_module(rng: random.Random, *, may_stride: bool = True) -> tuple[nn.Module, torch.Tensor]:
    """A module in eval mode and an example of its input, (1, N_STEPS, channels) float32.

    Args:
        rng: all that is random comes from it, the weights as well (it seeds torch).
        may_stride: whether an output may stand for several steps of the input.
    """
    torch.manual_seed(rng.randrange(2**32))
    ending = rng.choice(["all", "all", "all", "last", "mean"])
    drawing = Drawing(rng, may_look_ahead=ending == "all")
    n_in = n = drawing.size()
    parts: list[nn.Module] = []
    for _ in range(rng.randint(1, 4)):
        if may_stride and ending == "all" and rng.random() < 0.1:
            n_out = drawing.size()
            parts.append(drawing.conv(n, n_out, stride=2))
            n = n_out
        part, n = drawing.part(n)
        parts.append(part)
    heads = [
        nn.Sequential(nn.Linear(n, drawing.size()), rng.choice(ACTIVATIONS)()) for _ in range(rng.choice([1, 1, 2, 3]))
    ]
    module = Net(nn.Sequential(*parts), heads, ending).eval().requires_grad_(False)
    return module, torch.randn(1, N_STEPS, n_in)
