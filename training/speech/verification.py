"""Verification: is it the same speaker? Scores of pairs, and the rate at which both errors are as frequent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def equal_error_rate(same: Scores, different: Scores) -> tuple[float, float]:
    """The rate of errors where as many of one speaker are refused as of two are accepted, and the threshold there.

    Args:
        same: (n,) scores of pairs of one speaker, higher is more alike.
        different: (m,) scores of pairs of two.

    Returns:
        The rate, 0 .. 1 (the mean of the two, where they do not meet), and the threshold: accepted is what reaches it.
    """
    thresholds = np.unique(np.concatenate([same, different]))
    refused = np.searchsorted(np.sort(same), thresholds) / len(same)
    accepted = 1.0 - np.searchsorted(np.sort(different), thresholds) / len(different)
    at = int(np.abs(refused - accepted).argmin())
    return float(refused[at] + accepted[at]) / 2.0, float(thresholds[at])


def pairs(embeddings: NDArray[np.floating], speakers: Sequence[str]) -> tuple[Scores, Scores]:
    """Cosines of all pairs: (those of one speaker, those of two).

    Args:
        embeddings: (n, size), of any length but 0.
        speakers: n names.
    """
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    first, second = np.triu_indices(len(unit), 1)
    names = np.array(speakers)
    cosines = (unit @ unit.T)[first, second].astype(np.float64)
    is_same = names[first] == names[second]
    return cosines[is_same], cosines[~is_same]


def against(enrolled: NDArray[np.floating], embeddings: NDArray[np.floating]) -> Scores:
    """Cosines of embeddings (n, size) with the one enrolled (size,)."""
    lengths = np.linalg.norm(embeddings, axis=1) * np.linalg.norm(enrolled)
    return np.asarray(embeddings @ enrolled / lengths, dtype=np.float64)
