"""Fit: early stopping keeps the best weights, the seed fixes everything, the learning rate follows its schedule."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.checkpoint import Checkpoint, CheckpointMissing
from training.curves import plot_history
from training.fit import FitSettings, History, fit, learning_rate_share
from training.modules import Affine
from training.seeding import seed_everything
from training.stopping import EarlyStopping
from training.tbptt import State


class Level(nn.Module):
    """One weight, given as output whatever comes in."""

    def __init__(self, weight: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        return self.weight.expand_as(x), state


def test_stopping_waits_for_its_patience_and_restores_the_best():
    stopping, net = EarlyStopping(patience_epochs=2), Level()
    answers = []
    for loss in (3.0, 1.0, 2.0, math.nan):
        with torch.no_grad():
            net.weight.fill_(loss)
        answers.append(stopping.observe(loss, net))
    assert answers == [False, False, False, True]
    assert (stopping.best_epoch, stopping.best_loss) == (1, 1.0)
    stopping.restore(net)
    assert net.weight.item() == 1.0


def test_a_better_epoch_renews_the_patience():
    stopping, net = EarlyStopping(patience_epochs=2), Level()
    assert [stopping.observe(loss, net) for loss in (3.0, 4.0, 2.0, 4.0, 4.0)] == [False, False, False, False, True]


def test_nothing_to_restore_is_said():
    stopping, net = EarlyStopping(patience_epochs=1), Level()
    assert stopping.observe(math.nan, net)
    with pytest.raises(RuntimeError, match="no epoch gave a finite validation loss"):
        stopping.restore(net)
    with pytest.raises(ValueError, match="patience is at least 1"):
        EarlyStopping(0)


def test_fit_stops_early_and_leaves_the_best_weights():
    """The net is drawn towards 10, but validates best at 3: what is left must be the weights nearest to 3."""
    net, x = Level(), torch.zeros(1, 4, 1)
    seen: list[float] = []

    def validate(candidate: nn.Module) -> float:
        assert isinstance(candidate, Level)
        seen.append(candidate.weight.item())
        return abs(candidate.weight.item() - 3.0)

    settings = FitSettings(max_epochs=100, patience_epochs=3, window_frames=4, learning_rate=0.5, final_share=1.0)
    history = fit(net, lambda epoch: (x, x + 10.0), nn.functional.mse_loss, validate, settings, show=False)
    assert len(seen) == len(history.validation_loss) == history.best_epoch + 4 < 100
    assert net.weight.item() == min(seen, key=lambda weight: abs(weight - 3.0))
    assert net.weight.item() != seen[-1]


def test_averaged_weights_lag_behind_the_trained_ones():
    def last_weight(decay: float) -> float:
        net, x = Level(), torch.zeros(1, 8, 1)
        settings = FitSettings(
            max_epochs=3, patience_epochs=9, window_frames=1, learning_rate=0.1, final_share=1.0, average_decay=decay
        )
        fit(
            net,
            lambda epoch: (x, x + 10.0),
            nn.functional.mse_loss,
            lambda n: -n.get_parameter("weight").item(),
            settings,
            show=False,
        )
        return net.weight.item()

    assert 0.0 < last_weight(0.9) < last_weight(0.0) - 0.5


def recurrent_sum(net: nn.Module) -> float:
    return net.get_parameter("weight_hh_l0").sum().item()


def small_run(seed: int) -> tuple[list[Tensor], History]:
    generator = seed_everything(seed)
    net = nn.GRU(1, 4, batch_first=True)
    settings = FitSettings(max_epochs=2, patience_epochs=5, window_frames=5, learning_rate=0.01, average_decay=0.5)

    def epochs(epoch: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(2, 12, 1, generator=generator)
        return x, x.expand(2, 12, 4) * random.random() * float(np.random.random())

    history = fit(net, epochs, nn.functional.mse_loss, recurrent_sum, settings, show=False)
    return [parameter.detach().clone() for parameter in net.parameters()], history


def test_one_seed_gives_one_result_bit_for_bit(capsys):
    (first, first_history), (again, again_history), (other, _) = small_run(7), small_run(7), small_run(8)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert first_history == again_history
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert capsys.readouterr().out.split() == ["seed", "7", "seed", "7", "seed", "8"]


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ValueError, match=r"a seed is 0 \.\. 2\*\*32 - 1"):
        seed_everything(seed)


def test_learning_rate_warms_up_and_falls_to_its_share():
    settings = FitSettings(
        max_epochs=1, patience_epochs=1, window_frames=1, learning_rate=1.0, warmup_windows=4, final_share=0.1
    )
    shares = [learning_rate_share(step, 104, settings) for step in range(105)]
    assert shares[:4] == [0.25, 0.5, 0.75, 1.0]
    assert shares[4] == pytest.approx(1.0) and shares[54] == pytest.approx(0.55) and shares[104] == pytest.approx(0.1)
    assert shares[4:] == sorted(shares[4:], reverse=True)


def test_affine_normalises_and_is_no_parameter():
    affine = Affine.normaliser(mean=80.0, deviation=4.0)
    assert affine(torch.tensor([[80.0], [84.0], [76.0]])).tolist() == [[0.0], [1.0], [-1.0]]
    assert list(affine.parameters()) == []
    assert set(affine.state_dict()) == {"scale", "shift"}
    with pytest.raises(ValueError, match="both"):
        Affine(torch.ones(2), torch.ones(3))


def test_a_checkpoint_comes_back_whole(tmp_path):
    history = History([2.0, 1.0], [3.0, 2.5], 1)
    written = Checkpoint({"w": torch.arange(3.0)}, {"n": 3}, 5, "python -m x", history, {"rmse": 0.5})
    written.save(tmp_path / "deep" / "x.pt")
    read = Checkpoint.load(tmp_path / "deep" / "x.pt", "x")
    assert torch.equal(read.weights["w"], written.weights["w"])
    assert (read.arguments, read.seed, read.command, read.history, read.figures) == (
        {"n": 3},
        5,
        "python -m x",
        history,
        {"rmse": 0.5},
    )
    with pytest.raises(CheckpointMissing, match=r"make it with: python -m training\.recipes\.x train"):
        Checkpoint.load(tmp_path / "no.pt", "x")


def test_the_learning_curve_is_a_picture(tmp_path):
    plot_history(History([2.0, 1.0], [3.0, 2.5], 1), tmp_path / "x.png", "title", "loss")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
