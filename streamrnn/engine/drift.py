"""Drift: how large the states of sessions are. A state that grows for ever belongs to a model that drifts."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.engine.lane import Lane
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.windows import LOWEST


class StateNorms(NamedTuple):
    """Over the open sessions of a model: of each, the root mean square of its state. `inf` where one is not finite."""

    mean: float
    max: float


def _felt(rows: FloatArray, lane: Lane) -> FloatArray:
    """Rows of a lane with 0 for what is nothing yet."""
    return np.where(rows == LOWEST, np.float32(0), rows) if lane.has_lowest else rows


def norms(rows: FloatArray, n_values: int) -> NDArray[np.float64]:
    """Root mean square of each of rows (n, state_size), whose padding is 0: (n,), `inf` where it is not finite."""
    # In float64, where no square of a float32 overflows; einsum makes no array of squares.
    found: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64) / max(n_values, 1))
    found[~np.isfinite(found)] = inf
    return found


def norms_of(lane_slots: Iterable[tuple[Lane, list[int]]]) -> StateNorms:
    """The reading over the slots of some lanes; at least one slot."""
    found = np.concatenate(
        [norms(_felt(lane.arena.rows[slots], lane), lane.n_state_values) for lane, slots in lane_slots]
    )
    return StateNorms(float(found.mean()), float(found.max()))


def norm_of(lane: Lane, slot: int) -> float:
    """Root mean square of the state in a slot; `inf` where it is not finite."""
    row = _felt(lane.arena.rows[slot], lane).astype(np.float64)
    found = sqrt(float(row @ row) / max(lane.n_state_values, 1))
    return found if isfinite(found) else inf
