"""The figures as tables: ours first, then the peers, by load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.peers.contenders import CONTENDERS, OURS
from benchmarks.peers.scenarios import HZ
from benchmarks.report import Table

BUSY_SHARE = 0.9
"""A generator busier than this may be what limits a rate."""
LATE_US = 1000.0

AIM_CONNECTIONS, AIM_PEER, AIM_TIMES = 16, "onnxruntime", 5.0


def tables_of(figures: Mapping[str, Any]) -> list[Table]:
    """All tables of a run."""
    return [closed_table(figures["closed"]), open_table(figures["open"])]


def closed_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """As fast as each server answers."""
    columns = ["connections, server", "frames/s", "ours x (quartiles)", "CPU us a frame"]
    columns += ["x ours (quartiles)", "p50 us", "p99 us", "generator busy"]
    return Table(
        "Closed loop: one frame under way on each connection",
        columns,
        [
            [
                f"{row['n_connections']}, {CONTENDERS[row['contender']].title}",
                f"{row['frames_s']['median']:,.0f}",
                _times(row["ours_times_frames_s"], row["contender"]),
                f"{row['server_cpu_us']['median']:.1f}",
                _times(row["times_ours_cpu"], row["contender"]),
                f"{row['p50_us']['median']:,.0f}",
                f"{row['p99_us']['median']:,.0f}",
                _flagged(f"{row['generator_busy_share']['median']:.0%}", row["generator_busy_share"], BUSY_SHARE),
            ]
            for row in rows
        ],
    )


def open_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What each server makes of a given rate, until it cannot keep up."""
    columns = ["sessions, server", "offered/s", "answered/s", "p50 us", "p99 us", "missed", "unanswered"]
    columns += ["CPU us a frame", "sent late us", "keeps up"]
    return Table(
        f"Open loop: sessions at {HZ:g} Hz, latency from the intended send time",
        columns,
        [
            [
                f"{row['n_sessions']}, {CONTENDERS[row['contender']].title}",
                f"{row['offered_frames_s']['median']:,.0f}",
                f"{row['answered_frames_s']['median']:,.0f}",
                f"{row['p50_us']['median']:,.0f}",
                f"{row['p99_us']['median']:,.0f}",
                f"{row['miss_share']['median']:.2%}",
                f"{row['unanswered_share']['median']:.2%}",
                f"{row['server_cpu_us']['median']:.1f}",
                _flagged(f"{row['send_late_p99_us']['median']:,.0f}", row["send_late_p99_us"], LATE_US),
                "yes" if row["keeps_up"] else "no",
            ]
            for row in rows
        ],
    )


def aim_of(figures: Mapping[str, Any]) -> str | None:
    """The aim beside what was measured; None where its peer took no part."""
    for row in figures["closed"]:
        if row["contender"] == AIM_PEER and row["n_connections"] == AIM_CONNECTIONS:
            found, cpu = row["ours_times_frames_s"]["median"], row["times_ours_cpu"]["median"]
            return (
                f"Closed loop, {AIM_CONNECTIONS} connections: {found:.1f} times the frames/s of"
                f" {CONTENDERS[AIM_PEER].title}, aim {AIM_TIMES:g}: {'met' if found >= AIM_TIMES else 'MISSED'};"
                f" a frame costs its server {cpu:.1f} times the CPU of ours."
            )
    return None


def _times(ratio: Mapping[str, float], contender: str) -> str:
    return "" if contender == OURS else "{median:.2f} ({q1:.2f} to {q3:.2f})".format(**ratio)


def _flagged(text: str, figure: Mapping[str, float], limit: float) -> str:
    return f"{text} !" if figure["median"] > limit else text
