"""Truncated backpropagation: the state crosses windows, the gradient does not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from training.tbptt import State, detach, fold, run, train_epoch, window_slices, windows


class Net(nn.Module):
    """A recurrent layer and a head, as the recipes have them."""

    def __init__(self, cell: type[nn.LSTM] | type[nn.GRU] = nn.LSTM) -> None:
        super().__init__()
        self.cell = cell(2, 5, batch_first=True)
        self.fc = nn.Linear(5, 1)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        h, state = self.cell(x, state)
        return self.fc(h), state


class Sum(nn.Module):
    """The state is the sum of the inputs so far, times a weight at each step: gradients can be worked out by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        total = torch.zeros(len(x)) if state is None else state
        assert isinstance(total, Tensor)
        outputs = []
        for t in range(x.shape[1]):
            total = total + self.weight * x[:, t]
            outputs.append(total)
        return torch.stack(outputs, dim=1), total


@pytest.mark.parametrize(("n", "window", "sizes"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (2, 9, [2]), (0, 3, [])])
def test_windows_cover_every_frame_once(n, window, sizes):
    slices = list(window_slices(n, window))
    assert [s.stop - s.start for s in slices] == sizes
    assert [i for s in slices for i in range(s.start, s.stop)] == list(range(n))


def test_a_window_has_at_least_one_frame():
    with pytest.raises(ValueError, match="at least 1 frame, not 0"):
        list(window_slices(5, 0))


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("window_frames", [1, 7, 50])
def test_carried_state_equals_the_full_run(cell, window_frames):
    torch.manual_seed(1)
    net, x = Net(cell), torch.randn(3, 50, 2)
    whole, _ = net(x)
    assert torch.allclose(run(net, x, window_frames), whole, atol=1e-6)
    fresh = torch.cat([net(x[:, s])[0] for s in window_slices(50, 7)], dim=1)
    assert not torch.allclose(fresh, whole, atol=1e-3), "a state that is not carried would pass this test"


def test_gradients_stay_within_their_window():
    torch.manual_seed(2)
    net, x = Net(), torch.randn(1, 12, 2, requires_grad=True)
    outputs = [output for _, output in windows(net, x, 4)]
    outputs[1].sum().backward()
    assert x.grad is not None
    per_frame = x.grad.abs().sum(dim=(0, 2))
    assert torch.all(per_frame[4:8] > 0)
    assert torch.all(per_frame[:4] == 0) and torch.all(per_frame[8:] == 0)


def test_detached_state_has_the_same_numbers():
    h, c = torch.ones(2, requires_grad=True) * 2, torch.ones(2, requires_grad=True) * 3
    assert detach(None) is None
    parts = detach((h, c))
    assert isinstance(parts, tuple)
    assert [part.tolist() for part in parts] == [[2.0, 2.0], [3.0, 3.0]]
    assert not any(part.requires_grad for part in parts)


def test_an_epoch_takes_one_step_a_window_from_the_carried_state():
    net, x = Sum(), torch.ones(1, 4)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    steps: list[float] = []

    def last_output(output: Tensor, target: Tensor) -> Tensor:
        return output[:, -1].mean()

    mean = train_epoch(net, x, x, optimiser, last_output, 2, 1e9, lambda: steps.append(net.weight.item()))
    # window 1: output 2 w, gradient 2, w = 0.8; window 2: 2 is carried, output 2 + 2 * 0.8, gradient 2, w = 0.6
    assert steps == pytest.approx([0.8, 0.6])
    assert mean == pytest.approx((2.0 + 3.6) / 2)


def test_the_gradient_is_clipped_to_its_norm():
    net, x = Sum(), torch.full((1, 1), 100.0)
    optimiser = torch.optim.SGD(net.parameters(), lr=1.0)
    train_epoch(net, x, x, optimiser, lambda output, target: output.mean(), 1, clip_norm=0.5)
    assert net.weight.item() == pytest.approx(0.5, abs=1e-5)


def test_a_gradient_that_is_not_finite_changes_no_weight():
    net, x = Sum(), torch.full((1, 1), math.inf)
    optimiser = torch.optim.SGD(net.parameters(), lr=1.0)
    with pytest.raises(FloatingPointError, match=r"frames 0 \.\. 1"):
        train_epoch(net, x, x, optimiser, lambda output, target: output.mean(), 1, clip_norm=1.0)
    assert net.weight.item() == 1.0


def test_running_keeps_the_mode_and_makes_no_graph():
    net = Net().train()
    assert not run(net, torch.zeros(1, 3, 2)).requires_grad
    assert net.training


def test_lanes_are_contiguous_in_time():
    assert fold(torch.arange(11), 3).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert fold(torch.zeros(10, 4), 2).shape == (2, 5, 4)
