"""Vanishing gradients: what is left of them after a lag, and what lag a cell can still learn to recall.

For a vanilla RNN, an LSTM and a GRU, and for what is said to help: orthogonal recurrent matrices, a forget gate that
begins open, clipping. Seeds are printed; `docs/topics/vanishing-gradient.md` explains what comes out.

  python -m training.diagnostics.vanishing            at most ten minutes on one core
  python -m training.diagnostics.vanishing --quick    seconds; the figures mean nothing
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.data import PROJECT_ROOT
from training.diagnostics.gradients import frames_to_tenth, gradient_by_lag
from training.diagnostics.lag_plots import plot_gradients, plot_recall
from training.diagnostics.recall import Lessons, longest_lag
from training.diagnostics.variants import VARIANTS, Variant
from training.options import DEFAULT_RUNS
from training.report import Line, show, versions, write_json
from training.seeding import seed_everything

RESULTS = PROJECT_ROOT / "training" / "diagnostics" / "results"
TOPICS = PROJECT_ROOT / "docs" / "topics"


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    Attributes:
        n_lags, hidden_size, input_size, n_sequences: of the gradients, on normally distributed inputs.
        n_gradient_seeds, n_recall_seeds: how often each is repeated.
        lessons: of the recall.
    """

    n_lags: int = 128
    hidden_size: int = 64
    input_size: int = 16
    n_sequences: int = 32
    n_gradient_seeds: int = 5
    n_recall_seeds: int = 5
    lessons: Lessons = field(default_factory=Lessons)


QUICK = Settings(
    n_lags=12,
    hidden_size=8,
    n_gradient_seeds=2,
    n_recall_seeds=2,
    lessons=Lessons(lags=(4, 8), n_steps=30, hidden_size=8, check_steps=15),
)


def gradients_of(variant: Variant, settings: Settings, seed: int) -> NDArray[np.float64]:
    """Give gradient norms of one untrained net for each seed from `seed` on: (n_seeds, n_lags), lag 0 first."""
    rows = []
    for i in range(settings.n_gradient_seeds):
        torch.manual_seed(seed + i)
        cell = variant.build(settings.input_size, settings.hidden_size)
        x = torch.randn(settings.n_sequences, settings.n_lags, settings.input_size)
        rows.append(gradient_by_lag(cell, x).numpy().astype(np.float64))
    return np.stack(rows)


def measure(settings: Settings, seed: int) -> tuple[dict[str, NDArray[np.float64]], dict[str, dict[str, Any]]]:
    """Measure every variant: its gradients (n_seeds, n_lags), where clipping plays no part, and what it recalls."""
    norms, recalled = {}, {}
    for variant in VARIANTS:
        if math.isfinite(variant.clip_norm):
            norms[variant.name] = gradients_of(variant, settings, seed)
        found = [longest_lag(variant, settings.lessons, seed + i) for i in range(settings.n_recall_seeds)]
        recalled[variant.name] = {
            "longest_lag": [lag for lag, _ in found],
            "steps_to_learn": [took for _, took in found],
        }
        print(f"{variant.name}: recalls over {recalled[variant.name]['longest_lag']} frames")
    return norms, recalled


def figures_of(norms: dict[str, NDArray[np.float64]], recalled: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Sum up each variant in plain values; an infinite number of frames is None."""
    figures = {}
    for name, found in recalled.items():
        figures[name] = {"longest_lag_median": float(np.median(found["longest_lag"])), **found}
        if name in norms:
            shares = np.median(norms[name] / norms[name][:, :1], axis=0)
            to_tenth = frames_to_tenth(torch.tensor(shares))
            figures[name]["frames_to_a_tenth"] = to_tenth if math.isfinite(to_tenth) else None
            figures[name]["gradient_by_lag"] = {str(lag): f"{shares[lag]:.3e}" for lag in lags_told(len(shares))}
    return figures


def lags_told(n_lags: int) -> list[int]:
    """The lags whose gradients stand in the results: 0, powers of two, and the last."""
    return sorted({0, n_lags - 1, *(2**n for n in range(n_lags.bit_length()) if 2**n < n_lags)})


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a table, draw two plots, and write the results."""
    parser = argparse.ArgumentParser(
        prog="python -m training.diagnostics.vanishing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="of results and plots; default: where the docs look")
    parser.add_argument("--seed", type=int, default=0, help="the first of several; default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="seconds of everything; the figures mean nothing")
    given = parser.parse_args(arguments)
    settings = QUICK if given.quick else Settings()
    out = given.out or (DEFAULT_RUNS if given.quick else None)
    torch.set_num_threads(1)
    seed_everything(given.seed)
    began_s = time.monotonic()
    norms, recalled = measure(settings, given.seed)
    figures = figures_of(norms, recalled)
    print_table(figures, settings)
    (out or TOPICS).mkdir(parents=True, exist_ok=True)
    plot_gradients((out or TOPICS) / "vanishing-gradients.png", norms, settings.hidden_size)
    longest = {name: found["longest_lag"] for name, found in recalled.items()}
    lessons = settings.lessons
    plot_recall((out or TOPICS) / "vanishing-recall.png", longest, lessons.lags[-1], lessons.n_steps)
    content = {
        "settings": asdict(settings),
        "variants": figures,
        "seconds": round(time.monotonic() - began_s, 1),
        "seed": given.seed,
        "command": f"python -m training.diagnostics.vanishing --seed {given.seed}{' --quick' if given.quick else ''}",
        "versions": versions(),
    }
    write_json((out or RESULTS) / "vanishing.json", content)


def print_table(figures: dict[str, dict[str, Any]], settings: Settings) -> None:
    """Print a row for each variant."""
    lines = [
        Line(name, (figure.get("frames_to_a_tenth"), figure["longest_lag_median"], str(figure["longest_lag"])))
        for name, figure in figures.items()
    ]
    columns = ("frames to a tenth of the gradient", "longest lag recalled (median)", "of each seed")
    show(f"vanishing gradients, {settings.n_gradient_seeds} and {settings.n_recall_seeds} seeds", columns, lines)


if __name__ == "__main__":
    main()
