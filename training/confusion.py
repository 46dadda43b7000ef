"""Confusion: what was taken for what, counted and drawn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def confusion(truth: NDArray[np.int64], taken: NDArray[np.int64], n_classes: int) -> NDArray[np.int64]:
    """Count items by what they are (rows) and what they were taken for (columns): (n_classes, n_classes)."""
    counts = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(counts, (truth, taken), 1)
    return counts


def worst_mistake(counts: NDArray[np.int64], labels: Sequence[str]) -> str:
    """Say which class is most often taken for which other."""
    wrong = counts - np.diag(np.diag(counts))
    is_a, for_b = divmod(int(wrong.argmax()), len(labels))
    return f"{labels[is_a]} taken for {labels[for_b]}, {wrong.max()} of {wrong.sum()}"


def draw_confusion(axes: Any, counts: NDArray[np.int64], labels: Sequence[str]) -> None:
    """Draw counts as a table of colours with their numbers."""
    axes.imshow(counts, cmap="Blues")
    for (row, column), n in np.ndenumerate(counts):
        axes.text(column, row, str(n), ha="center", va="center", color="white" if n > counts.max() / 2 else "black")
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="taken for", ylabel="is")
