"""Rounds: each server under one load after the other, and what a frame cost its process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.load.figures import figures_of
from benchmarks.load.plan import Load
from benchmarks.load.run import play
from benchmarks.peers.contenders import Running
from benchmarks.serving import cpu_ns

QUIET_SHARE, QUIET_S, MAX_QUIET_S = 0.1, 0.05, 20.0
"""A server has settled when it used less than this share of this time; how long that is waited for."""

Figures = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How long is measured.

    Attributes:
        duration_s: of one round of one server, without its warm start; at least `MIN_DURATION_S`.
        n_rounds: of all servers in turns, at each load.
    """

    duration_s: float
    n_rounds: int


MIN_DURATION_S = 0.5
"""So long that a server's clock is read twice."""


def settle(pid: int) -> None:
    """Wait until a server has done what a round left in its queues, so that no later one pays for it.

    Raises:
        SystemExit: it does not come to rest.
    """
    end_s = time.monotonic() + MAX_QUIET_S
    while time.monotonic() < end_s:
        before_ns = cpu_ns(pid)
        time.sleep(QUIET_S)
        if cpu_ns(pid) - before_ns < QUIET_SHARE * QUIET_S * 1e9:
            return
    raise SystemExit(f"expected the server with process id {pid} to settle within {MAX_QUIET_S:g} s")


def played(running: Running, load: Load) -> Figures:
    """The figures of one round; `server_cpu_us` is CPU time of a frame, from the end of the warm start to the last."""
    looks: list[tuple[float, int]] = []

    def look(elapsed_s: float) -> None:
        if elapsed_s >= load.warm_s:
            looks.append((elapsed_s, cpu_ns(running.pid)))

    run = play(load, look)
    begin_s, begin_ns = looks[0]
    n_done = int(np.count_nonzero(run.board.done_ns >= run.start_ns + begin_s * 1e9))
    settle(running.pid)
    return {**figures_of(run), "server_cpu_us": (looks[-1][1] - begin_ns) / 1e3 / max(n_done, 1)}


def rounds(runnings: Sequence[Running], n_rounds: int, load_of: Callable[[Running], Load]) -> dict[str, list[Figures]]:
    """Rounds of all servers in turns, so that a slow spell of the machine hits all of them; figures by name."""
    made: dict[str, list[Figures]] = {running.name: [] for running in runnings}
    for _ in range(n_rounds):
        for running in runnings:
            made[running.name].append(played(running, load_of(running)))
    return made
