"""Sequences: whole ones trained in batches, each from a fresh state; the companion of `fit` for short ones.

A net here maps x: (n, n_frames, n_inputs) to its outputs without taking or handing back a state. Sequences of unequal
length are padded at their ends, and what is padded has NaN as its target: a causal net never sees it in an output that
counts, and a loss over known targets leaves it out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.fit import FitSettings, History, fit_steps

BatchSource = Callable[[int], Iterator[tuple[Tensor, Tensor]]]
"""epoch -> batches (x, target), each (n, n_frames, ...); as many in each epoch."""


def pad(sequences: Sequence[NDArray[np.float32]], fill: float) -> Tensor:
    """Stack sequences (n_frames, ...) of unequal length: (n, longest, ...) float32, `fill` behind each one's end."""
    return nn.utils.rnn.pad_sequence([torch.as_tensor(one) for one in sequences], batch_first=True, padding_value=fill)


def shuffled(n: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Deal 0 .. n - 1 in random order into ceil(n / batch_size) lots, the last one perhaps smaller."""
    return iter(torch.split(torch.randperm(n, generator=generator), batch_size))


def fit_sequences(
    net: nn.Module,
    batches: BatchSource,
    n_batches: int,
    loss: Callable[[Any, Tensor], Tensor],
    validate: Callable[[nn.Module], float],
    settings: FitSettings,
    show: bool = True,
) -> History:
    """Train `net` in place, one optimiser step a batch, and leave the best validated weights in it.

    Args:
        net: called as net(x) -> output, batch first, every sequence from a fresh state.
        batches: gives each epoch's batches.
        n_batches: of an epoch.
        loss: (output, target) -> scalar; the output is what the net gives, one tensor or several.
        validate: net -> validation loss, lower is better.
        settings: see `FitSettings`; the window is not looked at.
        show: draw a progress bar.

    Raises:
        FloatingPointError: the gradient is not finite; the parameters keep their last finite values.
    """

    def run_epoch(epoch: int, optimiser: torch.optim.Optimizer, after_step: Callable[[], None]) -> float:
        net.train()
        losses: list[float] = []
        for x, target in batches(epoch):
            value = loss(net(x), target)
            optimiser.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(net.parameters(), settings.clip_norm)
            if not torch.isfinite(norm):
                raise FloatingPointError(f"gradient norm is {norm.item()} in epoch {epoch}, batch {len(losses)}")
            optimiser.step()
            losses.append(value.item())
            after_step()
        return math.fsum(losses) / len(losses)

    return fit_steps(net, n_batches, run_epoch, validate, settings, show)


def answer(net: nn.Module, x: Tensor) -> Any:
    """Give net(x) of whole sequences x: (n, n_frames, n_inputs) in evaluation mode, without gradients."""
    was_training = net.training
    net.eval()
    with torch.no_grad():
        output = net(x)
    net.train(was_training)
    return output
