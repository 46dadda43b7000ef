"""Recall: a symbol is shown, distractors follow, a cue comes, and the symbol must be named.

Source: the problem is that of Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997,
section 5 (long time lags), in its smallest form.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.diagnostics.variants import Variant

N_SYMBOLS, N_DISTRACTORS = 4, 4
INPUT_SIZE = N_SYMBOLS + N_DISTRACTORS + 1
"""A one for each symbol, each distractor, and the cue."""


@dataclass(frozen=True)
class Lessons:
    """How long a net may practise, and what counts as success.

    Attributes:
        lags: frames from symbol to cue, rising; the next one is tried where this one was learnt.
        n_steps: optimiser steps for one lag, each on fresh sequences.
        hidden_size: of the cell.
        n_sequences: of a step, and a quarter of those that it is examined on.
        learning_rate: of Adam.
        pass_accuracy: that ends a lesson; guessing has 0.25.
        check_steps: steps between two examinations.
    """

    lags: tuple[int, ...] = (4, 8, 16, 32, 64, 128)
    n_steps: int = 1200
    hidden_size: int = 32
    n_sequences: int = 32
    learning_rate: float = 5e-3
    pass_accuracy: float = 0.95
    check_steps: int = 25


class RecallNet(nn.Module):
    """A cell and a linear layer on its last output."""

    def __init__(self, variant: Variant, hidden_size: int) -> None:
        super().__init__()
        self.cell = variant.build(INPUT_SIZE, hidden_size)
        self.fc = nn.Linear(hidden_size, N_SYMBOLS)

    def forward(self, x: Tensor) -> Tensor:
        """Map x: (n_sequences, n_frames, 9) to scores (n_sequences, 4) of the symbols."""
        y: Tensor = self.fc(self.cell(x)[0][:, -1])
        return y


def sequences(n: int, lag: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw x: (n, lag + 1, 9), the symbol first, the cue last, and the symbols (n,) int64."""
    ids = torch.randint(N_SYMBOLS, N_SYMBOLS + N_DISTRACTORS, (n, lag + 1), generator=generator)
    symbols = torch.randint(0, N_SYMBOLS, (n,), generator=generator)
    ids[:, 0], ids[:, -1] = symbols, INPUT_SIZE - 1
    return nn.functional.one_hot(ids, INPUT_SIZE).to(torch.float32), symbols


def steps_to_learn(variant: Variant, lag: int, lessons: Lessons, seed: int) -> int | None:
    """Train a fresh net for one lag; give the steps until it passed, or None: it did not."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    net = RecallNet(variant, lessons.hidden_size)
    optimiser = torch.optim.Adam(net.parameters(), lr=lessons.learning_rate)
    for step in range(1, lessons.n_steps + 1):
        x, symbols = sequences(lessons.n_sequences, lag, generator)
        loss = nn.functional.cross_entropy(net(x), symbols)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), variant.clip_norm)
        optimiser.step()
        if step % lessons.check_steps == 0 and accuracy(net, lag, lessons, generator) >= lessons.pass_accuracy:
            return step
    return None


def accuracy(net: RecallNet, lag: int, lessons: Lessons, generator: torch.Generator) -> float:
    """Give the share of fresh sequences whose symbol is named, 0 .. 1."""
    x, symbols = sequences(4 * lessons.n_sequences, lag, generator)
    with torch.no_grad():
        return float((net(x).argmax(dim=-1) == symbols).double().mean())


def longest_lag(variant: Variant, lessons: Lessons, seed: int) -> tuple[int, dict[str, int | None]]:
    """Grow the lag until a fresh net cannot learn it.

    Returns:
        The longest lag that was learnt, 0: none; and for each lag tried the steps that it took, None: not learnt.
    """
    longest, took = 0, {}
    for lag in lessons.lags:
        took[str(lag)] = steps_to_learn(variant, lag, lessons, seed)
        if took[str(lag)] is None:
            break
        longest = lag
    return longest, took
