"""Every recipe goes from data to a served model: train, evaluate, export, demo, all with --quick."""

from __future__ import annotations

import importlib
import json
import pkgutil

import pytest

import streamrnn
import training.recipes
from tests.training.conftest import folder_or_skip
from training import options
from training.data import PROJECT_ROOT

RECIPES = sorted(found.name for found in pkgutil.iter_modules(training.recipes.__path__))
TOLERANCE = 1e-4


@pytest.mark.recipes
@pytest.mark.parametrize("name", RECIPES)
def test_quickly_from_data_to_a_served_model(name, tmp_path, capsys):
    recipe = importlib.import_module(f"training.recipes.{name}")
    roots = {folder_or_skip(data_set).parent for data_set in recipe.DATA}
    ours = [_times(folder) for folder in (options.BUNDLED, options.DEFAULT_RESULTS, options.DEFAULT_PLOTS)]
    common = ("--quick", "--seed", "3", "--data", str(roots.pop()), "--out", str(tmp_path))
    for verb in ("train", "evaluate", "export", "demo"):
        recipe.main([verb, *common])
    printed = capsys.readouterr().out

    found = json.loads((tmp_path / f"{name}.json").read_text())
    assert found["recipe"] == name and found["seed"] == 3
    assert found["command"] == f"python -m training.recipes.{name} train --seed 3 --quick"
    assert found["n_parameters"] > 0 and found["train_s"] > 0 and found["frame_us"] > 0
    assert float(found["max_abs_difference"]) <= TOLERANCE
    for headline in found["headlines"]:
        assert headline["streaming"] == pytest.approx(headline["offline"], rel=1e-3, abs=TOLERANCE), headline["metric"]
    assert found["headlines"] and found["verdict"].split(".")[0] in printed
    assert (tmp_path / f"{name}.png").stat().st_size > 1000

    card = streamrnn.load_model(tmp_path / f"{recipe.MODEL}.safetensors").card
    assert card.provenance["command"] == found["command"] and card.attribution and card.certificate
    assert str(tmp_path) not in json.dumps(card.provenance) + (tmp_path / f"{name}.json").read_text()
    assert "serving" in printed, "the demo serves"
    assert [_times(folder) for folder in (options.BUNDLED, options.DEFAULT_RESULTS, options.DEFAULT_PLOTS)] == ours


@pytest.mark.parametrize("name", RECIPES)
def test_what_a_reader_needs_is_there(name):
    evaluation = json.loads((options.DEFAULT_RESULTS / f"{name}.json").read_text())
    assert evaluation["recipe"] == name and "--quick" not in evaluation["command"]
    page = (PROJECT_ROOT / "docs" / "recipes" / f"{name}.md").read_text()
    assert f"python -m training.recipes.{name} train" in page and f"]({name}.png)" in page
    assert (options.DEFAULT_PLOTS / f"{name}.png").is_file()


def _times(folder):
    return {path.name: path.stat().st_mtime for path in folder.iterdir() if path.is_file()}
