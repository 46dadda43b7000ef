"""The tables that runs print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import report

COLUMNS = ("", "frames/s", "p50 us", "p90 us", "p99 us", "p99.9 us", "max us", "misses", "refused", "unanswered")


def row_of(name: str, figures: Mapping[str, Any]) -> list[str]:
    """One run as a row of `COLUMNS`."""
    latency = figures["latency_us"] or {}
    frames = figures["frames"]
    return [
        name,
        f"{figures['achieved_frames_s']:,.0f}",
        *(f"{latency[p]:,.0f}" if latency else "-" for p in ("p50", "p90", "p99", "p99.9", "max")),
        f"{figures['n_deadline_misses']:,}",
        f"{frames['refused'] + frames['dropped']:,}",
        f"{frames['unanswered']:,}",
    ]


def show(title: str, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Print runs side by side."""
    report.show(report.Table(title, COLUMNS, [row_of(name, figures) for name, figures in rows]))


def show_seconds(title: str, seconds: Sequence[Mapping[str, Any]]) -> None:
    """Print a run second by second."""
    rows = [
        [
            f"{row['second']} s",
            f"{row['due']:,}",
            f"{row['answered']:,}",
            *(f"{row[key]:,.0f}" if key in row else "-" for key in ("p50_us", "p99_us")),
        ]
        for row in seconds
    ]
    report.show(report.Table(title, ("", "due", "answered", "p50 us", "p99 us"), rows))


def remarks(figures: Mapping[str, Any]) -> list[str]:
    """What must be said of a run beside its table."""
    frames, generator = figures["frames"], figures["generator"]
    if figures["offered_frames_s"] is None:
        said = ["closed loop"]
    else:
        said = [f"offered {figures['offered_frames_s']:,.0f} frames/s, {frames['sent']:,} of {frames['due']:,} sent"]
    late = generator["send_lateness_us"]
    lateness = f", sends late by p50 {late['p50']:.0f} us, p99 {late['p99']:.0f} us" if late and "p50" in late else ""
    said.append(
        f"generator: {generator['busy_share']:.0%} of its time busy, {generator['cpu_share']:.0%} of a core"
        f" with its spinning{lateness}"
    )
    if late and late["n_blocked_by_server"]:
        said.append(f"{late['n_blocked_by_server']:,} messages waited because the server did not read")
    if frames["due"] > frames["sent"]:
        said.append(f"{frames['due'] - frames['sent']:,} frames were not sent: the server did not read in time")
    if generator["is_late"]:
        said.append("THE GENERATOR ITSELF WAS LATE: these latencies are not the server's")
    if generator["busy_share"] > 0.9:
        said.append("THE GENERATOR ITSELF WAS BUSY ALL THE TIME: this rate may be its own limit")
    said += [f"errors {code}: {count:,}" for code, count in figures["errors"].items()]
    for key in ("n_other_messages", "n_stray_answers", "n_lost_connections"):
        if figures[key]:
            said.append(f"{key.removeprefix('n_').replace('_', ' ')}: {figures[key]:,}")
    return said
