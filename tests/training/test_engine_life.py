"""Engines that wear out: read with what they have left, and judged by the published figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.training.conftest import folder_or_skip
from training.data import DataMissing
from training.options import parse
from training.recipes.engine_life import Epochs, LifeNet, padded, rmse_of
from training.series.fleet import Fleet, by_regression, wear
from training.series.remaining import clipped, life_loss, nasa_score
from training.sets.cmapss import CHANNELS, CMAPSS, Run, runs_to_judge, train_runs


def write_table(path, lengths):
    rows = [
        [unit, cycle, *(unit + cycle / 100 + i for i in range(24))]
        for unit, n_cycles in enumerate(lengths, start=1)
        for cycle in range(1, n_cycles + 1)
    ]
    np.savetxt(path, rows)


def test_remaining_cycles_are_counted_from_the_end(tmp_path):
    write_table(tmp_path / "train_FD001.txt", [3, 4, 2, 5, 6])
    train, validation = train_runs(tmp_path)
    assert [run.unit for run in train] == [1, 2, 3, 4] and [run.unit for run in validation] == [5]
    assert train[0].remaining.tolist() == [2.0, 1.0, 0.0] and train[0].channels.shape == (3, len(CHANNELS))
    write_table(tmp_path / "test_FD001.txt", [2, 3])
    (tmp_path / "RUL_FD001.txt").write_text("7\n0\n")
    assert [run.remaining.tolist() for run in runs_to_judge(tmp_path)] == [[8.0, 7.0], [2.0, 1.0, 0.0]]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataMissing, match=r"train_FD001\.txt not found"):
        train_runs(tmp_path)


def test_the_score_punishes_late_forecasts_more():
    assert nasa_score(np.array([10.0]), np.array([0.0])) == pytest.approx(math.e - 1.0)
    assert nasa_score(np.array([0.0]), np.array([13.0])) == pytest.approx(math.e - 1.0)
    assert nasa_score(np.array([5.0, 7.0]), np.array([5.0, 7.0])) == 0.0
    assert clipped(np.array([300.0, 125.0, 4.0]), 125.0).tolist() == [125.0, 125.0, 4.0]


def test_the_loss_leaves_out_what_is_padded():
    target = torch.tensor([[[1.0], [math.nan]]])
    output = torch.zeros(1, 2, 1, requires_grad=True)
    loss = life_loss(output, target)
    loss.backward()
    assert loss.item() == pytest.approx(1.0) and rmse_of(output.detach(), target) == pytest.approx(125.0)
    assert output.grad is not None and output.grad.isfinite().all() and output.grad[0, 1] == 0.0


def fleet_of(lengths):
    rng = np.random.default_rng(0)
    runs = [
        Run(unit, rng.normal(size=(n, 24)) + np.arange(n)[::-1, None], np.arange(n)[::-1].astype(float))
        for unit, n in enumerate(lengths, start=1)
    ]
    return Fleet(runs, runs[:1], runs, np.array([0, 5, 9]))


def test_padding_and_epochs_of_whole_engines():
    fleet = fleet_of([40, 60])
    x, target = padded(fleet, fleet.train)
    assert x.shape == (2, 60, 3) and target.shape == (2, 60, 1)
    assert (target[0, :40, 0] * 125.0).tolist() == pytest.approx(wear(fleet.train[0])) and target[0, 40:].isnan().all()
    assert (x[0, 40:] == 0).all()
    lengths = set()
    epochs = Epochs(fleet, torch.Generator().manual_seed(0))
    for epoch in range(8):
        for _, each in epochs(epoch):
            n_known = (~each[..., 0].isnan()).sum(1).tolist()
            assert all(target_of[n - 1] == 0.0 for n, target_of in zip(n_known, each[..., 0], strict=True))
            lengths |= set(n_known)
    assert 60 in lengths and min(lengths) >= 16 and len(lengths) > 4


def test_the_net_answers_within_what_it_was_taught():
    net = LifeNet([0.0] * 3, [1.0] * 3, 4, 0.0).eval()
    with torch.no_grad():
        net.fc.weight.fill_(100.0)
    answers = net(torch.randn(4, 50, 3)).detach()
    assert float(answers.min()) >= 0.0 and float(answers.max()) <= 1.0
    assert float(net.train()(torch.randn(4, 50, 3)).detach().abs().max()) > 1.0


def test_a_regression_finds_wear_that_is_a_line():
    fleet = fleet_of([90, 100, 110])
    assert np.abs(by_regression(fleet)).max() < 3.0, "every engine ends at 0"


def test_the_published_engines():
    folder = folder_or_skip(CMAPSS)
    fleet = Fleet.load(parse("engine_life", "", "engine_life", ["train", "--data", str(folder.parent)]))
    assert (len(fleet.train), len(fleet.validation), len(fleet.test)) == (80, 20, 100)
    assert sum(len(run.remaining) for run in [*fleet.train, *fleet.validation]) == 20_631
    assert [run.remaining[-1] for run in fleet.test[:2]] == [112.0, 98.0]
    assert all(run.remaining[-1] == 0.0 for run in fleet.train)
    assert "sensor_11" in fleet.names() and not {"setting_3", "sensor_1", "sensor_18"} & set(fleet.names())
