"""The cells that train in parallel over time give the sums written out, have gradients, and stream as they train."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import streamrnn
from streamrnn.kernels.opcodes import OPCODE, Op
from training.cells import LRU, MinGRU, SelectiveSSM, scan

CELLS = {
    "min_gru": lambda: MinGRU(5, 7),
    "diagonal": lambda: LRU(5, 6, 3),
    "ssm": lambda: SelectiveSSM(5, 4),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("n", [1, 2, 3, 17, 64])
def test_a_scan_is_the_recurrence_written_out(n, dtype):
    torch.manual_seed(n)
    a, x = torch.rand(2, n, 3, dtype=dtype), torch.randn(2, n, 3, dtype=dtype)
    h, written = torch.zeros(2, 3, dtype=dtype), []
    for t in range(n):
        h = a[:, t] * h + x[:, t]
        written.append(h)
    torch.testing.assert_close(scan(a, x), torch.stack(written, 1))


@pytest.mark.parametrize("name", CELLS)
def test_every_parameter_has_a_gradient(name):
    torch.manual_seed(1)
    cell = CELLS[name]()
    cell(torch.randn(2, 12, 5)).square().sum().backward()
    for parameter in cell.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_streams_as_one_node(name):
    torch.manual_seed(2)
    cell = CELLS[name]()
    n = cell(torch.zeros(1, 1, 5)).shape[-1]
    module = nn.Sequential(cell, nn.Linear(n, 4), nn.SiLU())
    model = streamrnn.from_torch(module)
    assert [node.kind for node in model.spec.nodes].count(name) == 1
    assert model.card.certificate["passed"] is True
    assert model.card.certificate["max_abs_error"] < 1e-5


def test_a_look_ahead_before_a_cell_is_not_remembered():
    """What a convolution gives before the first frame must not enter the state."""
    torch.manual_seed(3)

    class Ahead(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.cell, self.scan = nn.Conv1d(4, 5, 5, padding=2), MinGRU(5, 6), SelectiveSSM(6, 3)

        def forward(self, x):
            return self.scan(self.cell(self.conv(x.transpose(1, 2)).transpose(1, 2)))

    model = streamrnn.from_torch(Ahead(), time_dim=1)
    assert model.delay == 2
    assert (model.program.table[:, OPCODE] == Op.UNTIL).sum() == 2
    assert model.card.certificate["passed"] is True
