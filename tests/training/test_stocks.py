"""Returns: read with the VIX of the same days, and judged beside forecasts that need no model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.training.conftest import folder_or_skip
from training.data import DataMissing
from training.recipes.stocks import StocksNet, Years
from training.series.returns import Judged, gaussian_loss, implied_deviation, nats, sureness, trailing_deviation
from training.sets.stocks import STOCKS, Days, trading_days


def test_a_return_spans_the_days_that_both_have(tmp_path):
    (tmp_path / "sp500-2000.csv").write_text(
        "date,close\n2000-01-03,100\n2000-01-04,110\n2000-01-05,99\n2000-01-06,9\n"
    )
    (tmp_path / "vix-daily.csv").write_text("DATE,CLOSE\n1999-12-31,19\n2000-01-03,20\n2000-01-05,21\n")
    days = trading_days(tmp_path)
    assert days.dates.tolist() == np.array(["2000-01-05"], "datetime64[D]").tolist()
    assert days.log_return == pytest.approx([100.0 * math.log(0.99)]) and days.vix.tolist() == [21.0]
    with pytest.raises(DataMissing, match=r"sp500-2000\.csv not found"):
        trading_days(tmp_path / "nowhere")


def test_likelihood_by_hand_and_the_same_in_training():
    one = 0.5 * math.log(2.0 * math.pi)
    assert nats(np.zeros(1), np.ones(1), np.zeros(1)) == pytest.approx(one)
    assert nats(np.ones(1), np.full(1, 2.0), np.full(1, 5.0)) == pytest.approx(one + 2.0 + math.log(2.0))
    heads = {"mean": torch.ones(1, 1, 1), "deviation": torch.full((1, 1, 1), 2.0)}
    assert gaussian_loss(heads, torch.full((1, 1), 5.0)).item() == pytest.approx(one + 2.0 + math.log(2.0))


def test_directions_count_days_that_moved():
    judged = Judged.of(np.array([1.0, -1.0, 1.0]), np.array([2.0, 1.0, 0.0]))
    assert judged.direction == 0.5 and judged.nats is None
    assert judged.rmse == pytest.approx(math.sqrt((1.0 + 4.0 + 1.0) / 3.0))
    still = Judged.of(np.zeros(2), np.array([1.0, -1.0]), np.ones(2))
    assert still.direction is None and set(still.plain()) == {"rmse", "nats"}


def test_a_gain_is_held_against_its_chance():
    assert sureness(np.array([1.0, 3.0, 1.0, 3.0])) == pytest.approx(2.0 / (1.0 / 2.0))
    assert sureness(np.array([-1.0, 1.0])) == 0.0


def test_deviations_look_back_only():
    assert trailing_deviation(np.array([3.0, 4.0, 0.0]), 2)[1:] == pytest.approx([math.sqrt(12.5), math.sqrt(8.0)])
    assert math.isnan(trailing_deviation(np.ones(3), 2)[0])
    dates = np.datetime64("2014-12-01", "D") + np.arange(40)
    days = Days(dates, np.full(40, 0.5), np.full(40, math.sqrt(252.0)))
    assert implied_deviation(days) == pytest.approx(np.full(40, 0.5))
    days.log_return[31:] = 9.0  # 2015 on is not looked at
    assert implied_deviation(days) == pytest.approx(np.full(40, 0.5))


def test_the_net_begins_near_what_the_vix_implies():
    torch.manual_seed(0)
    x = torch.tensor([[[0.3, 20.0], [-2.0, 40.0]]])
    heads = StocksNet([0.0, 20.0], [1.0, 8.0], 4, 0.0).eval()(x)
    implied = x[0, :, 1] / math.sqrt(252.0)
    assert (heads["deviation"][0, :, 0] / implied).tolist() == pytest.approx([1.0, 1.0], abs=0.1)
    assert heads["mean"].abs().max() < 0.1


def test_years_are_drawn_from_training_and_their_target_is_the_next_day():
    dates = np.datetime64("2014-01-01", "D") + np.arange(500)
    days = Days(dates, np.arange(500.0), np.full(500, 20.0))
    for x, target in Years(days, torch.Generator().manual_seed(0))(0):
        assert x.shape == (16, 252, 2) and torch.equal(target, x[..., 0] + 1.0)
        assert float(target.max()) < 365.0


def test_the_index():
    days = trading_days(folder_or_skip(STOCKS))
    parts = [days.part(part) for part in ("train", "validation", "test")]
    assert parts[0].start == 0 and parts[0].stop == parts[1].start and parts[1].stop == parts[2].start
    assert parts[2].stop == len(days.dates) > 5000
    assert days.dates[-1] == np.datetime64("2020-04-17") and days.vix.min() > 5.0
    assert days.log_return.min() == pytest.approx(100.0 * math.log(2386.13 / 2711.02), abs=0.01)  # 16 March 2020
