"""Padded sequences: many short ones of unequal length in lanes, so that `fit` trains on each from a fresh state."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.tbptt import State


class Afresh(nn.Module):
    """A net whose every window is a sequence of its own: what `fit` carries from window to window is left out."""

    def __init__(self, net: nn.Module) -> None:
        """Wrap `net`, called as net(x, state) -> (output, state), batch first; its parameters stay its own."""
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Map x: (n_lanes, n_frames, ...) to outputs from a fresh state; the state that is handed in does not count."""
        output, _ = self.net(x, None)
        return output, None


def pad(sequences: Sequence[Sequence[int]], n_frames: int, fill: int) -> Tensor:
    """Give sequences of at most `n_frames` as one (n_sequences, n_frames) int64, `fill` where they have ended.

    Raises:
        ValueError: a sequence is longer.
    """
    longest = max(len(one) for one in sequences)
    if longest > n_frames:
        raise ValueError(f"a sequence of {longest} does not fit in {n_frames} frames")
    return torch.tensor([[*one, *(fill,) * (n_frames - len(one))] for one in sequences])


def in_lanes(padded: Tensor, n_lanes: int) -> Tensor:
    """Lay (n, n_frames) sequences behind one another in lanes: (n_lanes, n // n_lanes * n_frames).

    What does not fill the last row of lanes is dropped.
    """
    rows = len(padded) // n_lanes
    return padded[: rows * n_lanes].reshape(rows, n_lanes, -1).transpose(0, 1).reshape(n_lanes, -1)
