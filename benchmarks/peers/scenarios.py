"""The two scenarios: as fast as each server answers (closed loop), and what it makes of a given rate (open loop)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks import report
from benchmarks.load.plan import Load
from benchmarks.peers.contenders import OURS, Running
from benchmarks.peers.rounds import Figures, Plan, rounds

CONNECTIONS = (1, 16, 64, 256)
SESSIONS = (16, 32, 64, 128, 256, 512)
HZ = 100.0
WARM_S, GRACE_S = 0.25, 2.0
KEEPS_UP_US = 100_000
"""A server keeps up with a load while its p99 is below, and nothing is left unanswered."""


def closed_load(running: Running, n_connections: int, duration_s: float) -> Load:
    """One frame under way on each connection, one session a connection."""
    return running.load(n_connections, loop="closed", duration_s=duration_s, warm_s=WARM_S, grace_s=GRACE_S)


def open_load(running: Running, n_sessions: int, duration_s: float) -> Load:
    """Frames at a rate, whether or not the ones before are answered."""
    return running.load(n_sessions, hz=HZ, duration_s=duration_s, warm_s=WARM_S, grace_s=GRACE_S)


def measure_closed(runnings: Sequence[Running], plan: Plan) -> list[Figures]:
    """Every server with every number of connections."""
    figures = []
    for n in CONNECTIONS:
        made = rounds(runnings, plan.n_rounds, lambda running, n=n: closed_load(running, n, plan.duration_s))  # type: ignore[misc]
        figures += [{"n_connections": n, **closed_figures(name, rows, made[OURS])} for name, rows in made.items()]
    return figures


def closed_figures(name: str, rows: Sequence[Figures], ours: Sequence[Figures]) -> Figures:
    """Medians and quartiles of a server's rounds, and ours against it in each round."""
    pairs = list(zip(ours, rows, strict=True))
    return {
        "contender": name,
        "frames_s": _spread(rows, _frames_s),
        "ours_times_frames_s": report.spread([_frames_s(a) / max(_frames_s(b), 1.0) for a, b in pairs]),
        "server_cpu_us": _spread(rows, _cpu_us),
        "times_ours_cpu": report.spread([_cpu_us(b) / _cpu_us(a) for a, b in pairs]),
        "p50_us": _spread(rows, lambda row: _latency_us(row, "p50")),
        "p99_us": _spread(rows, lambda row: _latency_us(row, "p99")),
        "generator_busy_share": _spread(rows, lambda row: row["generator"]["busy_share"]),
    }


def measure_open(runnings: Sequence[Running], plan: Plan) -> list[Figures]:
    """Every server with every number of sessions, until it cannot keep up."""
    figures: list[Figures] = []
    up = list(runnings)
    for n in SESSIONS:
        made = rounds(up, plan.n_rounds, lambda running, n=n: open_load(running, n, plan.duration_s))  # type: ignore[misc]
        found = {name: {"n_sessions": n, **open_figures(name, rows)} for name, rows in made.items()}
        figures += found.values()
        up = [running for running in up if found[running.name]["keeps_up"]]
    return figures


def open_figures(name: str, rows: Sequence[Figures]) -> Figures:
    """Medians and quartiles of a server's rounds: latency from the intended send time, and what was late."""
    p99_us = _spread(rows, lambda row: _latency_us(row, "p99"))
    unanswered_share = _spread(rows, _unanswered_share)
    return {
        "contender": name,
        "offered_frames_s": _spread(rows, lambda row: row["offered_frames_s"]),
        "answered_frames_s": _spread(rows, _frames_s),
        "p50_us": _spread(rows, lambda row: _latency_us(row, "p50")),
        "p99_us": p99_us,
        "miss_share": _spread(
            rows, lambda row: row["n_deadline_misses"] / row["frames"]["due"] + _unanswered_share(row)
        ),
        "unanswered_share": unanswered_share,
        "server_cpu_us": _spread(rows, _cpu_us),
        "send_late_p99_us": _spread(rows, lambda row: row["generator"]["send_lateness_us"].get("p99", 0.0)),
        "keeps_up": p99_us["median"] < KEEPS_UP_US and unanswered_share["median"] == 0,
    }


def _spread(rows: Sequence[Figures], value: Callable[[Figures], float]) -> dict[str, float]:
    return report.spread([value(row) for row in rows])


def _frames_s(row: Figures) -> float:
    return float(row["achieved_frames_s"])


def _cpu_us(row: Figures) -> float:
    return float(row["server_cpu_us"])


def _latency_us(row: Figures, percentile: str) -> float:
    return float(row["latency_us"][percentile]) if row["latency_us"] else GRACE_S * 1e6  # none came; at least so long


def _miss_share(row: Figures) -> float:
    return float(row["n_deadline_misses"] / row["frames"]["due"]) + _unanswered_share(row)


def _unanswered_share(row: Figures) -> float:
    return 1 - float(row["frames"]["answered"] / row["frames"]["due"])
