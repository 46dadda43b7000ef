"""F1: the harmonic mean of precision and recall, of each class and over classes of unequal size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score


def f1_by_class(truth: NDArray[np.int64], answers: NDArray[np.int64], names: Sequence[str]) -> dict[str, float]:
    """Give the F1 of each class, 0 .. 1; a class never answered has 0."""
    each = f1_score(truth, answers, average=None, labels=range(len(names)), zero_division=0.0)
    return {name: float(value) for name, value in zip(names, each, strict=True)}


def macro_f1(truth: NDArray[np.int64], answers: NDArray[np.int64], n_classes: int) -> float:
    """Give the mean of F1 over classes, 0 .. 1: each counts alike, however few items it has."""
    return float(f1_score(truth, answers, average="macro", labels=range(n_classes), zero_division=0.0))
