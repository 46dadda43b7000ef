"""Sequences: padded at their ends, dealt in random order, and trained to the best validated weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.fit import FitSettings
from training.sequences import answer, fit_sequences, pad, shuffled


class Level(nn.Module):
    """One weight, given as output whatever comes in, and dropped half the time while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.weight * torch.ones_like(x))


def settings(max_epochs: int) -> FitSettings:
    return FitSettings(max_epochs, patience_epochs=max_epochs, window_frames=0, learning_rate=0.05)


def test_what_is_short_is_filled_behind_its_end():
    padded = pad([np.float32([[1], [2]]), np.float32([[3]])], math.nan)
    assert padded.shape == (2, 2, 1)
    assert padded[0].tolist() == [[1.0], [2.0]] and padded[1, 0].item() == 3.0 and padded[1, 1].isnan().all()


def test_every_item_is_dealt_once_and_in_another_order_next_time():
    generator = torch.Generator().manual_seed(0)
    lots = [lot.tolist() for lot in shuffled(10, 4, generator)]
    assert [len(lot) for lot in lots] == [4, 4, 2]
    assert sorted(i for lot in lots for i in lot) == list(range(10))
    assert lots != [lot.tolist() for lot in shuffled(10, 4, generator)]


def test_every_batch_is_one_step_and_the_best_weights_stay():
    net, n_calls = Level(), 0
    net.dropout.p = 0.0

    def batches(epoch):
        nonlocal n_calls
        for _ in range(3):
            n_calls += 1
            yield torch.zeros(2, 4), torch.ones(2, 4)

    def validate(candidate):
        return abs(candidate.weight.item() - 0.5)

    history = fit_sequences(net, batches, 3, nn.functional.mse_loss, validate, settings(12), show=False)
    assert n_calls == 36 and len(history.train_loss) == 12
    assert history.validation_loss[history.best_epoch] == min(history.validation_loss) == validate(net)
    assert 0 < history.best_epoch < 11, "the weight passes the best value on its way to 1"
    assert history.train_loss[0] > history.train_loss[-1]


def test_a_gradient_that_is_not_finite_is_an_error_and_changes_nothing():
    net = Level()

    def batches(epoch):
        yield torch.zeros(1, 2), torch.full((1, 2), math.inf)

    with pytest.raises(FloatingPointError, match="epoch 0, batch 0"):
        fit_sequences(net, batches, 1, nn.functional.mse_loss, lambda _: 0.0, settings(1), show=False)
    assert net.weight.item() == 0.0


def test_an_answer_is_given_in_evaluation_mode_and_the_mode_put_back():
    net = Level().train()
    with torch.no_grad():
        net.weight.fill_(3.0)
    answered = answer(net, torch.zeros(50, 4))
    assert (answered == 3.0).all() and not answered.requires_grad
    assert net.training
