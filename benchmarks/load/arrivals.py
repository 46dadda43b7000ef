"""When each message is meant to leave: seeded schedules, made whole before the first is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Kind = Literal["constant", "poisson"]


class Phase(NamedTuple):
    """A part of a run: `rate_hz` messages a second of each line, for `duration_s`."""

    rate_hz: float
    duration_s: float


class Schedule(NamedTuple):
    """Send times of all lines, those of a line side by side.

    Attributes:
        first: (n_lines + 1,) int64, where the times of each line begin in `due_ns`.
        due_ns: (n_messages,) int64, from the start of the run, ascending in each line.
        order: (n_messages,) int32, the line of each message in the order in which all of them are due.
    """

    first: NDArray[np.int64]
    due_ns: NDArray[np.int64]
    order: NDArray[np.int32]


def _constant(rng: np.random.Generator, phase: Phase) -> NDArray[np.float64]:
    n = round(phase.duration_s * phase.rate_hz)
    times: NDArray[np.float64] = (np.arange(n, dtype=np.float64) + rng.random()) / phase.rate_hz
    return times


def _poisson(rng: np.random.Generator, phase: Phase) -> NDArray[np.float64]:
    n = rng.poisson(phase.rate_hz * phase.duration_s)
    times: NDArray[np.float64] = np.sort(rng.random(n)) * phase.duration_s
    return times


def line_times_s(rng: np.random.Generator, kind: Kind, phases: Sequence[Phase]) -> NDArray[np.float64]:
    """Send times of one line, s from the start.

    `constant`: evenly spaced from a random phase, so that lines do not all send at once. `poisson`: independent gaps;
    drawn as their number and then their places, which is the same distribution.
    """
    draw = _poisson if kind == "poisson" else _constant
    parts, start_s = [], 0.0
    for phase in phases:
        parts.append(start_s + draw(rng, phase))
        start_s += phase.duration_s
    return np.concatenate(parts)


def schedule(n_lines: int, kind: Kind, phases: Sequence[Phase], seed: int) -> Schedule:
    """Draw the schedule of a run; the same seed gives the same times.

    Args:
        n_lines: how many send, each with the rates of `phases`.
        kind: `constant` or `poisson`.
        phases: one after the other.
        seed: of the random phases or gaps.
    """
    rng = np.random.default_rng(seed)
    times = [line_times_s(rng, kind, phases) for _ in range(n_lines)]
    sizes = np.array([len(part) for part in times], np.int64)
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    due_ns = (np.concatenate(times) * 1e9).astype(np.int64)
    line = np.repeat(np.arange(n_lines, dtype=np.int32), sizes)
    return Schedule(first, due_ns, line[np.argsort(due_ns, kind="stable")])


def room(n_lines: int, n_messages: int) -> Schedule:
    """A schedule of a closed loop: room for `n_messages` of each line, and no times."""
    first = np.arange(n_lines + 1, dtype=np.int64) * n_messages
    return Schedule(first, np.zeros(n_lines * n_messages, np.int64), np.zeros(0, np.int32))
