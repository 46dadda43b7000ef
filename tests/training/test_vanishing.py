"""The diagnostics of vanishing gradients measure what can be worked out by hand."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

from training.diagnostics import vanishing
from training.diagnostics.gradients import frames_to_tenth, gradient_by_lag
from training.diagnostics.recall import INPUT_SIZE, Lessons, RecallNet, longest_lag, sequences, steps_to_learn
from training.diagnostics.variants import VARIANTS, Variant


def cell_that_halves() -> nn.RNN:
    """h = relu(h / 2 + x) on positive numbers: linear, so the gradient halves with every frame."""
    cell = nn.RNN(1, 1, nonlinearity="relu", batch_first=True)
    with torch.no_grad():
        for name, value in (("weight_ih_l0", 1.0), ("weight_hh_l0", 0.5), ("bias_ih_l0", 0.0), ("bias_hh_l0", 0.0)):
            cell.get_parameter(name).fill_(value)
    return cell


def test_a_gradient_that_halves_is_measured_as_such():
    norms = gradient_by_lag(cell_that_halves(), torch.ones(3, 6, 1))
    torch.testing.assert_close(norms, 0.5 ** torch.arange(6.0))


def test_frames_to_a_tenth_of_an_exponential():
    assert frames_to_tenth(0.5 ** torch.arange(20.0)) == pytest.approx(math.log(10) / math.log(2), rel=1e-4)
    assert frames_to_tenth(1.1 ** torch.arange(20.0)) == math.inf
    assert frames_to_tenth(torch.ones(5)) == math.inf


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_variants_are_what_they_are_called(variant):
    torch.manual_seed(0)
    cell, size = variant.build(5, 8), 8
    assert type(cell).__name__ == variant.cell
    if variant.forget_bias is not None:
        whole = cell.bias_ih_l0 + cell.bias_hh_l0
        assert torch.equal(whole[size : 2 * size], torch.full((size,), variant.forget_bias))
        assert not torch.equal(whole[:size], torch.full((size,), variant.forget_bias))
    for gate in cell.weight_hh_l0.detach().split(size):
        stretch = torch.diagonal(gate @ gate.T).mean().sqrt()
        is_rotation = torch.allclose(gate @ gate.T, stretch**2 * torch.eye(size), atol=1e-5)
        assert is_rotation == (variant.gain is not None)
        assert variant.gain is None or float(stretch) == pytest.approx(variant.gain)


def test_names_of_variants_differ():
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)


def test_a_lesson_shows_the_symbol_first_and_asks_last():
    x, symbols = sequences(50, 7, torch.Generator().manual_seed(0))
    assert x.shape == (50, 8, INPUT_SIZE) and torch.equal(x.sum(-1), torch.ones(50, 8))
    ids = x.argmax(-1)
    assert torch.equal(ids[:, 0], symbols) and set(symbols.tolist()) == {0, 1, 2, 3}
    assert bool((ids[:, -1] == 8).all()) and set(ids[:, 1:-1].flatten().tolist()) == {4, 5, 6, 7}


def test_a_short_lag_is_learnt_and_an_impossible_one_is_not():
    lessons = Lessons(lags=(2, 4), n_steps=200, hidden_size=16, n_sequences=32)
    longest, took = longest_lag(Variant("GRU"), lessons, seed=0)
    assert longest == 4 and all(took[lag] is not None and took[lag] <= 200 for lag in ("2", "4"))
    hopeless = Lessons(n_steps=25, hidden_size=4, learning_rate=0.0)
    assert steps_to_learn(Variant("RNN"), 4, hopeless, seed=0) is None
    assert longest_lag(Variant("RNN"), hopeless, seed=0) == (0, {"4": None})


def test_the_net_answers_once():
    assert RecallNet(Variant("LSTM"), 6)(torch.zeros(3, 9, INPUT_SIZE)).shape == (3, 4)


def test_the_command_leaves_figures_and_plots(tmp_path, capsys):
    vanishing.main(["--quick", "--seed", "2", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "vanishing.json").read_text())
    assert set(found["variants"]) == {variant.name for variant in VARIANTS}
    assert found["command"] == "python -m training.diagnostics.vanishing --seed 2 --quick"
    for name, figures in found["variants"].items():
        assert len(figures["longest_lag"]) == len(figures["steps_to_learn"]) == 2
        assert ("gradient_by_lag" in figures) == ("not clipped" not in name)
    assert float(found["variants"]["RNN"]["gradient_by_lag"]["0"]) == 1.0
    for name in ("vanishing-gradients.png", "vanishing-recall.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert "seed 2" in capsys.readouterr().out


def test_the_committed_figures_are_those_of_the_page():
    found = json.loads((vanishing.RESULTS / "vanishing.json").read_text())
    page = (vanishing.TOPICS / "vanishing-gradient.md").read_text()
    assert "--quick" not in found["command"] and set(found["variants"]) == {variant.name for variant in VARIANTS}
    for name, figures in found["variants"].items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
        assert f"| {figures['longest_lag_median']:.0f} |" in row
        if figures.get("frames_to_a_tenth"):
            assert f"| {figures['frames_to_a_tenth']:.1f} |" in row
