"""Fitting by batches finds a known solution, keeps the best weights, and stops at a gradient that is not finite."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.batches import fit_batches
from training.fit import FitSettings


def settings(**changes: float) -> FitSettings:
    values = {"max_epochs": 6, "patience_epochs": 6, "window_frames": 1, "learning_rate": 0.1}
    return FitSettings(**{**values, **changes})  # type: ignore[arg-type]


def squares(net: nn.Linear) -> torch.Tensor:
    x = torch.randn(64, 1)
    return nn.functional.mse_loss(net(x), 3.0 * x - 1.0)


def distance(net: nn.Linear) -> float:
    return abs(net.weight.item() - 3.0) + abs(net.bias.item() + 1.0)


def test_it_finds_the_line():
    torch.manual_seed(0)
    net = nn.Linear(1, 1)
    history = fit_batches(net, squares, distance, settings(average_decay=0.5), n_steps=50, show=False)
    assert distance(net) < 0.01 and history.validation_loss[history.best_epoch] == pytest.approx(distance(net))
    assert len(history.train_loss) == 6 and history.train_loss[-1] < 1e-3 < history.train_loss[0]


def test_the_best_epoch_is_kept_and_patience_ends():
    torch.manual_seed(0)
    net, losses, seen = nn.Linear(1, 1), iter([3.0, 1.0, 2.0, 2.0, 0.0]), []

    def validate(candidate: nn.Linear) -> float:
        assert not candidate.training
        seen.append(candidate.weight.item())
        return next(losses)

    history = fit_batches(net, squares, validate, settings(patience_epochs=2), n_steps=1, show=False)
    assert history.validation_loss == [3.0, 1.0, 2.0, 2.0] and history.best_epoch == 1
    assert net.weight.item() == seen[1] != seen[3]


def test_a_gradient_that_is_not_finite_leaves_the_weights():
    net = nn.Linear(1, 1)
    before = net.weight.item()
    with pytest.raises(FloatingPointError, match="gradient norm"):
        fit_batches(net, lambda one: one.weight.sum() * float("nan"), distance, settings(), n_steps=1, show=False)
    assert net.weight.item() == before
