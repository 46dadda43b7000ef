"""Variants: the cells under test, each with one thing that is said to help or to hurt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

CELLS: dict[str, Callable[..., nn.RNNBase]] = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}


@dataclass(frozen=True)
class Variant:
    """A cell, how its weights are drawn, and whether its gradient is clipped in training.

    Attributes:
        cell: which recurrence.
        forget_bias: of an LSTM's forget gate; None: what PyTorch draws, within 1 / sqrt(hidden_size) of 0.
        gain: each gate's recurrent matrix is a random rotation times this: 1 keeps the length of what it turns, more
            stretches it; None: what PyTorch draws, which shrinks.
        clip_norm: bound of the gradient's 2-norm, infinity: none.
    """

    cell: Literal["RNN", "LSTM", "GRU"]
    forget_bias: float | None = None
    gain: float | None = None
    clip_norm: float = 1.0

    @property
    def name(self) -> str:
        """As in the legends."""
        parts = [
            self.cell,
            f"forget bias {self.forget_bias:g}" if self.forget_bias is not None else "",
            self._gain_name,
            "not clipped" if self.clip_norm == float("inf") else "",
        ]
        return ", ".join(part for part in parts if part)

    @property
    def _gain_name(self) -> str:
        if self.gain is None:
            return ""
        return "orthogonal" if self.gain == 1.0 else f"orthogonal times {self.gain:g}"

    def build(self, input_size: int, hidden_size: int) -> nn.RNNBase:
        """Draw the weights from PyTorch's global generator."""
        cell = CELLS[self.cell](input_size, hidden_size, batch_first=True)
        with torch.no_grad():
            n_gates = {"RNN": 1, "LSTM": 4, "GRU": 3}[self.cell]
            if self.gain is not None:
                for gate in cell.get_parameter("weight_hh_l0").chunk(n_gates):
                    nn.init.orthogonal_(gate, self.gain)
            if self.forget_bias is not None:
                forget = slice(hidden_size, 2 * hidden_size)
                cell.get_parameter("bias_ih_l0")[forget] = self.forget_bias
                cell.get_parameter("bias_hh_l0")[forget] = 0.0
        return cell


PLAIN = (Variant("RNN"), Variant("LSTM", forget_bias=0.0), Variant("GRU"))
REMEDIES = (
    Variant("RNN", gain=1.0),
    Variant("LSTM", forget_bias=1.0),
    Variant("LSTM", forget_bias=3.0),
    Variant("GRU", gain=1.0),
)
STRETCHED = (Variant("RNN", gain=2.0), Variant("RNN", gain=2.0, clip_norm=float("inf")))
VARIANTS = (*PLAIN, *REMEDIES, *STRETCHED)
