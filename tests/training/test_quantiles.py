"""Quantiles: the pinball loss by hand, least at the quantile, and blind to what is not known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from training.series.quantiles import coverage, mean_absolute, mean_pinball, pinball


def test_the_loss_by_hand():
    output = torch.tensor([[1.0, 2.0, 3.0]])
    # errors 1, 0, -1 at levels 0.1, 0.5, 0.9: 0.1 * 1, 0, (1 - 0.9) * 1
    assert pinball(output, torch.tensor([2.0])).item() == pytest.approx(0.2 / 3)
    assert pinball(output, torch.tensor([0.0])).item() == pytest.approx((0.9 + 1.0 + 0.3) / 3)
    assert pinball(output[:, :1], torch.tensor([5.0]), [0.25]).item() == pytest.approx(1.0)


def test_what_is_not_known_does_not_count_and_has_no_gradient():
    output = torch.zeros(2, 3, requires_grad=True)
    loss = pinball(output, torch.tensor([math.nan, 1.0]))
    loss.backward()
    assert loss.item() == pytest.approx(0.5)
    assert output.grad is not None and (output.grad[0] == 0).all() and output.grad[1].isfinite().all()


def test_the_loss_is_least_at_the_quantile():
    truth = torch.arange(1.0, 100.0)
    losses = {q: pinball(torch.full((99, 1), float(q)), truth, [0.9]).item() for q in range(1, 100)}
    assert min(losses, key=lambda q: losses[q]) == 90


def test_figures_of_arrays():
    quantiles, truth = np.array([[0.0, 1.0, 2.0]] * 4), np.array([1.0, 2.0, 3.0, np.nan])
    assert coverage(quantiles, truth) == pytest.approx(2 / 3)
    assert mean_absolute(quantiles[:, 1], truth) == pytest.approx(1.0)
    assert mean_pinball(quantiles, truth) == pytest.approx(pinball(torch.tensor(quantiles), torch.tensor(truth)).item())
