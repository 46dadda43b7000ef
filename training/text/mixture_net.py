"""Mixture of two language models: each has its own state, and their probabilities are averaged."""

from typing import Any

import torch
from torch import Tensor, nn

from training.tbptt import State
from training.text.token_net import TokenNet


class MixtureNet(nn.Module):
    """Token ids (n_lanes, n_frames) to log-probabilities of the next token (n_lanes, n_frames, n_tokens).

    Two nets that were trained apart err apart: where one is sure and wrong, the other keeps the price down. What is
    averaged are probabilities, not their logarithms.
    """

    def __init__(self, first: dict[str, Any], second: dict[str, Any], share: float) -> None:
        """Build both.

        Args:
            first, second: arguments of `TokenNet`; of the same tokens.
            share: of the second one in the average, 0 .. 1.
        """
        super().__init__()
        self.first, self.second, self.share = TokenNet(**first), TokenNet(**second), share

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Map token ids x: (n_lanes, n_frames) int64 and the states before them to outputs and the states after them.

        The state is that of the first net, (h, c), and that of the second one behind it.
        """
        parts = (None, None) if state is None else (tuple(state)[:2], tuple(state)[2:])
        first, first_after = self.first(x, parts[0])
        second, second_after = self.second(x, parts[1])
        mixed = (1.0 - self.share) * torch.exp(first) + self.share * torch.exp(second)
        return torch.log(mixed), (*first_after, *second_after)
