"""Plots: one small PNG file for a recipe's page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # a file, never a window: training runs on machines without a screen

from matplotlib import pyplot


@contextmanager
def drawing(path: Path, title: str, n_columns: int = 1, height: float = 4.0) -> Iterator[list[Any]]:
    """Give axes in a row to draw on, and write them to the PNG file at `path` when all is drawn.

    Args:
        path: written anew, its folder made.
        title: over the picture.
        n_columns: axes in the row.
        height: of the picture, in inches; it is 9 inches wide.
    """
    figure, axes = pyplot.subplots(1, n_columns, figsize=(9, height), layout="constrained", squeeze=False)
    figure.suptitle(title, fontsize=11)
    try:
        yield list(axes[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=100)
        print(f"wrote {path.name}")
    finally:
        pyplot.close(figure)
