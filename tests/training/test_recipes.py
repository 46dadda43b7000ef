"""Recipes: the same seed trains the same net, and what the user can put right is told in one line."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from tests.training.conftest import folder_or_skip
from training import data, options
from training.checkpoint import Checkpoint
from training.sets.cmapss import CMAPSS
from training.sets.nab import NAB
from training.sets.names import NAMES
from training.sets.stocks import STOCKS
from training.sets.tinyshakespeare import TINYSHAKESPEARE
from training.sets.uci_har import UCI_HAR
from training.sets.weather import WEATHER
from training.text.corpus import Epochs

SETS = {
    "sensor_anomaly": NAB,
    "char_lm": TINYSHAKESPEARE,
    "activity": UCI_HAR,
    "engine_life": CMAPSS,
    "stocks": STOCKS,
    "weather": WEATHER,
    "name_origin": NAMES,
    "text_generation": NAMES,
}


def call(recipe: str, *arguments: str) -> None:
    importlib.import_module(f"training.recipes.{recipe}").main(list(arguments))


@pytest.mark.parametrize("recipe", SETS)
def test_the_same_seed_trains_the_same_net(recipe, tmp_path):
    root = folder_or_skip(SETS[recipe]).parent
    weights = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        call(recipe, "train", "--quick", "--seed", seed, "--data", str(root), "--out", str(tmp_path / name))
        weights.append(Checkpoint.load(tmp_path / name / f"{recipe}.pt", recipe).weights)
    first, again, other = weights
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("recipe", SETS)
def test_missing_data_is_one_clear_line(recipe, tmp_path):
    with pytest.raises(SystemExit, match=f"error: folder {SETS[recipe].name}/ not found in --data"):
        call(recipe, "train", "--quick", "--data", str(tmp_path), "--out", str(tmp_path))


@pytest.mark.parametrize("verb", ["evaluate", "export"])
@pytest.mark.parametrize("recipe", SETS)
def test_a_missing_checkpoint_says_how_to_make_it(recipe, verb, tmp_path):
    with pytest.raises(SystemExit, match=rf"make it with: python -m training\.recipes\.{recipe} train"):
        call(recipe, verb, "--out", str(tmp_path))


@pytest.mark.parametrize("recipe", SETS)
def test_help_names_the_verbs_and_the_data(recipe, capsys):
    with pytest.raises(SystemExit) as caught:
        call(recipe, "--help")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("train", "evaluate", "export", "--seed", "--quick", data.VARIABLE))


@pytest.mark.parametrize(("arguments", "expected"), [(["fly"], "invalid choice"), (["train", "--seed", "-1"], "0 .. ")])
def test_wrong_arguments_say_what_was_expected(arguments, expected, capsys):
    with pytest.raises(SystemExit) as caught:
        call("char_lm", *arguments)
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err


def test_defaults_write_the_committed_files_and_trials_do_not(tmp_path):
    plain = options.parse("char_lm", "", "char_lm", ["export"])
    assert plain.file == options.BUNDLED / "char_lm.safetensors"
    assert plain.evaluation == options.DEFAULT_RESULTS / "char_lm.json"
    for trial in (["--quick"], ["--out", str(tmp_path)]):
        tried = options.parse("char_lm", "", "char_lm", ["export", *trial])
        assert tried.file.parent == tried.evaluation.parent == tried.out
        assert tried.out not in (options.BUNDLED, options.DEFAULT_RESULTS)


def test_epochs_of_text_give_the_next_character():
    ids = torch.arange(10_000)
    epochs = Epochs(ids, 32, 64, torch.Generator().manual_seed(0))
    starts = set()
    for epoch in range(5):
        x, target = epochs(epoch)
        assert x.shape == target.shape == (32, epochs.n_frames)
        assert torch.equal(target, x + 1)
        assert torch.equal(x[1:, 0], x[:-1, -1] + 1), "lanes follow one another"
        starts.add(int(x[0, 0]))
    assert len(starts) > 1


def test_augmented_lanes_are_normalised_next_values():
    sensor = importlib.import_module("training.recipes.sensor_anomaly")
    net = sensor.TemperatureNet(80.0, 5.0, 4)
    z = torch.linspace(-1.0, 1.0, 400)
    x, target = sensor.Augmented(z, net, torch.Generator().manual_seed(0))(0)
    assert x.shape == target.shape == (32, 200, 1)
    assert torch.allclose(net.normalise(x)[:, 1:], target[:, :-1], atol=1e-4)
    slopes = (target[:, 1:] - target[:, :-1]).mean(dim=(1, 2)) / float(z[1] - z[0])
    assert 1 / 1.51 < slopes.min() < 0.8 and 1.2 < slopes.max() < 1.51
    assert np.ptp(target.mean(dim=(1, 2)).numpy()) > 2.0
