"""What training leaves is what the other verbs begin with."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.checkpoint import CheckpointMissing
from training.fit import History
from training.kept import keep, n_parameters, restore
from training.modules import Affine, Standardise
from training.options import parse
from training.served import served_file


def test_a_net_comes_back_as_it_was(tmp_path, capsys):
    options = parse("char_lm", "", "char_lm", ["train", "--out", str(tmp_path)])
    with pytest.raises(CheckpointMissing):
        restore(nn.Linear, options)
    net = nn.Linear(3, 2)
    history = History([1.0, 0.5], [1.0, 0.75], 1)
    keep(net, {"in_features": 3, "out_features": 2}, options, history, {"validation_loss": 0.75}, 1.5, "loss")
    again, checkpoint = restore(nn.Linear, options)
    assert torch.equal(again.weight, net.weight) and not again.training
    assert checkpoint.train_s == 1.5 and checkpoint.history.best_epoch == 1
    assert options.curve.stat().st_size > 1000
    assert "kept epoch 1" in capsys.readouterr().out and n_parameters(net) == 8


def test_a_demo_serves_the_file_that_is_there_or_makes_one_for_itself(tmp_path):
    options = parse("char_lm", "", "m", ["demo", "--out", str(tmp_path)])
    made = []

    def export(given):
        made.append(given.file)
        given.file.write_bytes(b"model")

    with served_file(options, export) as path:
        assert path.read_bytes() == b"model" and path != options.file
    assert made == [path] and not path.exists()
    options.file.write_bytes(b"mine")
    with served_file(options, export) as path:
        assert path == options.file
    assert len(made) == 1 and options.file.exists()


def test_a_mean_is_subtracted_exactly_before_it_is_scaled():
    x = torch.tensor([[9046.19, 1.5]])
    standard = Standardise([9046.0, 1.0], [22.0, 0.5])
    expected = (x.double() - standard.mean.double()) / torch.tensor([22.0, 0.5]).double()
    assert torch.allclose(standard(x).double(), expected, rtol=1e-6, atol=0.0)
    scale = 1.0 / torch.tensor([22.0, 0.5])
    rounded = Affine(scale, -torch.tensor([9046.0, 1.0]) * scale)(x)
    assert not torch.allclose(rounded.double(), expected, rtol=1e-6, atol=0.0)
