"""Plot of a confusion of unequal classes: colours are shares of the true class, numbers are counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # a file, never a window: evaluation runs on machines without a screen

import numpy as np
from matplotlib import pyplot
from numpy.typing import NDArray


def plot_confusion(path: Path, counts: NDArray[np.int64], names: Sequence[str], title: str) -> None:
    """Draw counts (n, n) as shares of each row, the counts written into the fields.

    Args:
        path: PNG file, written anew.
        counts: rows are the truth.
        names: of the classes.
        title: over the picture.
    """
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    figure, axes = pyplot.subplots(figsize=(8, 7), layout="constrained")
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    rows = [f"{name} ({n})" for name, n in zip(names, counts.sum(axis=1), strict=True)]
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axes.set_yticks(range(len(names)), rows)
    axes.set(title=title, xlabel="answer", ylabel="truth (names in the test part)")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=7, color=colour)
    figure.colorbar(image, label="share of the row", shrink=0.8)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
