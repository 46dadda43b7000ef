"""The picture of the wake-word recipe: misses against false alarms, and how soon the word is answered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # a file, never a window: evaluation runs on machines without a screen

import numpy as np
from matplotlib import pyplot
from numpy.typing import NDArray


def plot_wake(
    path: Path,
    curves: Mapping[str, NDArray[np.float64]],
    working: tuple[float, float],
    delays_s: tuple[float, ...],
    hours: float,
    n_words: int,
) -> None:
    """Draw into a PNG file at `path`.

    Args:
        path: written anew.
        curves: by name, (n, 3): threshold, false alarms an hour, share missed.
        working: false alarms an hour and share missed at the threshold of validation.
        delays_s: from the end of each word to its event.
        hours: of sound without the word.
        n_words: recordings of the word.
    """
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, points in curves.items():
        ordered = points[np.argsort(-points[:, 0])]
        left.plot(ordered[:, 1], 100.0 * ordered[:, 2], marker=".", ms=3, label=name)
    left.plot(*(working[0], 100.0 * working[1]), "o", color="black", mfc="none", label="threshold of validation")
    left.axvline(1.0, linestyle=":", color="grey")
    left.axhline(5.0, linestyle=":", color="grey", label="aim: 5 % at 1 an hour")
    left.set_xscale("symlog", linthresh=1.0)
    left.set(
        title=f"{n_words} recordings; {hours:g} h mixed from few minutes",
        xlabel="false alarms an hour",
        ylabel='"alexa" missed (%)',
        ylim=(0.0, 50.0),
        xlim=(-0.05, None),
    )
    left.legend(fontsize=8)
    right.hist([1000.0 * one for one in delays_s], bins=24)
    right.axvline(0.0, linestyle=":", color="grey", label="end of the word, by its energy")
    right.set(title="delay of the event", xlabel="after the end of the word (ms)", ylabel="recordings")
    right.legend(fontsize=8)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
