"""Weather: missing rows and values by their rules, targets that stay within their part, and the naive forecasts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import streamrnn
from tests.training.conftest import folder_or_skip
from training.data import DataMissing
from training.recipes.weather import WeatherNet, judge
from training.series.fortnights import Fortnights
from training.series.gapped import offline, streamed
from training.series.horizons import Naive, cut_to_known, on_the_clock, truths
from training.series.observations import INPUTS, frames, held, last_known
from training.sets.weather import COLUMNS, WEATHER, Station, stations

HEADER = "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour"


def station_of(hours: list[int], temps: list[float], start: str = "2013-01-01T00") -> Station:
    values = np.full((len(hours), len(COLUMNS)), 10.0)
    values[:, 0] = temps
    return Station("LGA", np.datetime64(start, "h") + np.array(hours, "timedelta64[h]"), values)


def wavy(n_hours: int, missing: set[int], start: str = "2013-01-01T00", airport: str = "LGA") -> Station:
    hours = [hour for hour in range(n_hours) if hour not in missing]
    station = station_of(hours, [50.0 + 10.0 * np.sin(hour / 4.0) for hour in hours], start)
    return replace(station, airport=airport)


def test_rows_are_read_by_airport_with_what_is_missing(tmp_path):
    rows = [
        f"{airport},2013,1,1,{hour},39.5,NA,60,90,10,NA,0,1012,10,2013-01-01T{5 + hour:02d}:00:00Z"
        for airport in ("EWR", "JFK", "LGA")
        for hour in (1, 3)
    ]
    (tmp_path / "nyc-weather-hourly-2013.csv").write_text("\n".join([HEADER, *rows, ""]))
    newark = stations(tmp_path)[0]
    assert newark.airport == "EWR" and newark.hours.tolist() == [h.tolist() for h in newark.hours]
    assert (newark.hours == np.array(["2013-01-01T06", "2013-01-01T08"], "datetime64[h]")).all()
    assert newark.column("temp").tolist() == [39.5, 39.5] and np.isnan(newark.column("dewp")).all()
    with pytest.raises(DataMissing, match=r"nyc-weather-hourly-2013\.csv not found"):
        stations(tmp_path / "nowhere")


def test_later_looks_at_the_clock_and_not_at_rows():
    station = station_of([0, 1, 3], [50.0, 51.0, 53.0])
    assert np.array_equal(station.later("temp", 1), [51.0, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(station.later("temp", 2), [np.nan, 53.0, np.nan], equal_nan=True)
    assert np.array_equal(station.later("temp", -3), [np.nan, np.nan, 50.0], equal_nan=True)
    assert station.later("temp", 0).tolist() == [50.0, 51.0, 53.0]


def test_parts_are_months():
    station = station_of([0, 24 * 30, 24 * 31, 24 * 61], [1.0] * 4, start="2013-10-01T00")
    assert [station.part(part) for part in ("train", "validation", "test")] == [slice(0, 0), slice(0, 2), slice(2, 4)]


def test_a_missing_value_is_the_last_one_known_and_the_mask_says_so():
    assert last_known(np.array([np.nan, 1.0, np.nan, np.nan, 2.0]), 9.0).tolist() == [9.0, 1.0, 1.0, 1.0, 2.0]
    station = station_of([0, 1, 2], [50.0, np.nan, 52.0])
    station.values[2, COLUMNS.index("pressure")] = np.nan
    station.values[0, COLUMNS.index("wind_dir")] = 90.0
    station.values[1, COLUMNS.index("wind_dir")] = np.nan
    by_name = dict(zip(INPUTS, frames(station).T, strict=True))
    assert by_name["temp"].tolist() == [50.0, 50.0, 52.0]
    assert by_name["other_missing"].tolist() == [0.0, 1.0, 0.0] and by_name["pressure_missing"].tolist() == [0, 0, 1]
    assert by_name["wind_east"][:2] == pytest.approx([10.0, 0.0]) and by_name["wind_north"][1] == 0.0
    assert by_name["wind_speed"].tolist() == [10.0] * 3
    assert (by_name["hour_sin"][0], by_name["hour_cos"][0]) == pytest.approx((0.0, 1.0))


def test_missing_rows_are_held_on_the_clock():
    rows, places = held(station_of([0, 1, 4], [50.0, 51.0, 54.0]))
    assert rows.tolist() == [0, 1, 1, 1, 2] and places.tolist() == [0, 1, 4]
    x, target = on_the_clock(station_of([0, 2], [50.0, 52.0]), np.array([[1.0] * 3, [2.0] * 3]))
    assert x[:, 0].tolist() == [50.0, 50.0, 52.0]
    assert target[0, 0] == 1.0 and target[1].isnan().all() and target[2, 0] == 2.0


def test_no_target_leaves_its_part():
    station = wavy(24 * 4, set(), start="2013-09-29T00")
    known = truths(station, "train")
    border = 48
    assert not np.isnan(known[: border - 24]).any() and np.isnan(known[border - 24 : border, 2]).all()
    assert np.isnan(known[border - 1]).all() and not np.isnan(known[border - 2, 0])
    assert np.isnan(known[border:]).all()
    assert np.nanmax(np.abs(known - truths(station))) == 0.0
    x, target = on_the_clock(station, known)
    cut_x, cut_target = cut_to_known(x, target, n_warm=5)
    assert len(cut_x) == len(cut_target) == border - 1


def test_fortnights_move_what_they_hear_and_what_is_to_come_alike():
    station = wavy(24 * 40, {100, 500}, start="2013-08-20T00")
    batches = list(Fortnights([station], torch.Generator().manual_seed(0))(0))
    assert len(batches) == Fortnights.N_BATCHES
    for x, target in batches:
        assert x.shape[:2] == target.shape[:2] == (Fortnights.BATCH_SIZE, Fortnights.N_HOURS)
        assert target[:, : Fortnights.N_WARM].isnan().all()
        next_hour = (x[:, 1:, 0] - target[:, :-1, 0]).abs()
        assert float(next_hour[~next_hour.isnan()].quantile(0.99)) < 1e-4
        assert float(x[..., 0].mean(1).std()) > 1.0


def test_the_engine_holds_missing_hours_as_pytorch_is_told_to():
    torch.manual_seed(0)
    airports = [wavy(60, {7, 8, 30}), wavy(50, set(), airport="JFK")]
    net = WeatherNet([50.0] * 13, [20.0] * 13, [2.0, 7.0, 8.0], 8, 0.2).eval()
    model = streamrnn.from_torch(net)
    assert [head.name for head in model.heads] == ["h1", "h6", "h24"]
    for station, ys in zip(airports, streamed(model, airports), strict=True):
        whole = offline(net, station)
        assert ys.shape == whole.shape == (len(station.hours), 9)
        assert np.abs(ys - whole).max() < 2e-5
        assert (np.diff(ys.reshape(-1, 3, 3), axis=2) > 0).all(), "quantiles do not cross"
    unheld = streamrnn.Engine()
    unheld.add_model("m", model)
    assert np.abs(unheld.open("m").run(frames(airports[0])) - offline(net, airports[0])).max() > 1e-3


def test_naive_forecasts_are_spread_by_their_errors_in_training():
    station = station_of(list(range(100)), [float(hour) for hour in range(100)])
    naive = Naive([station], (0, 0, 0))
    assert naive.points(station)[5].tolist() == [5.0, 5.0, 5.0]
    assert naive.quantiles(station)[5].tolist() == [[6.0] * 3, [11.0] * 3, [29.0] * 3]
    day = Naive([station], (23, 18, 0)).points(station)
    assert day[30].tolist() == [7.0, 12.0, 30.0] and np.isnan(day[10, 0])


def test_figures_by_hand():
    said = np.tile(np.array([0.0, 1.0, 2.0]), (2, 3, 1))
    figures = judge(said, said[..., 1], np.array([[1.0, 3.0, np.nan], [2.0, 1.0, 0.0]]))
    assert [figures[f"MAE, +{h} h"] for h in (1, 6, 24)] == [0.5, 1.0, 1.0]
    assert [figures[f"within 10 .. 90 %, +{h} h"] for h in (1, 6, 24)] == [1.0, 0.5, 1.0]


def test_the_airports():
    airports = stations(folder_or_skip(WEATHER))
    assert [(one.airport, len(one.hours)) for one in airports] == [("EWR", 8703), ("JFK", 8706), ("LGA", 8706)]
    assert sum(int(np.isnan(one.column("pressure")).sum()) for one in airports) == 2729
    for one in airports:
        assert one.part("train").start == 0 and one.part("validation").start == one.part("train").stop
        assert one.part("test") == slice(one.part("validation").stop, len(one.hours))
        assert np.isfinite(frames(one)).all()
