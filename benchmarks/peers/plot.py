"""The plots: latency against the offered load, and throughput against sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.peers.contenders import CONTENDERS

MARKS = {
    "streamrnn": ("o", "C0"),
    "echo": ("x", "0.5"),
    "onnxruntime": ("s", "C2"),
    "torch": ("^", "C1"),
    "batching": ("D", "C3"),
}


def draw(figures: Mapping[str, Any], path: Path) -> Path:
    """Draw both as one SVG; a line ends with the first load that its server does not keep up with."""
    plt.rcParams["svg.hashsalt"] = "streamrnn"
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.5))
    for name, (mark, colour) in MARKS.items():
        look = {"marker": mark, "color": colour, "markersize": 5}
        _latency(left, of(figures["open"], name), CONTENDERS[name].title, look)
        rows = of(figures["closed"], name)
        rates = [row["frames_s"]["median"] for row in rows]
        right.plot([row["n_connections"] for row in rows], rates, label=CONTENDERS[name].title, **look)
    left.set(
        xscale="log",
        yscale="log",
        xlabel="offered frames/s, one frame a message",
        ylabel="ms from the intended send time",
        title="Latency against load: p99, and p50 dotted",
    )
    right.set(
        xscale="log",
        yscale="log",
        xlabel="sessions, one a connection, one frame under way on each",
        ylabel="frames/s, the server on one core",
        title="Throughput against sessions",
    )
    _ticks(left, [row["offered_frames_s"]["median"] for row in figures["open"]])
    _ticks(right, [row["n_connections"] for row in figures["closed"]])
    for axes in (left, right):
        axes.legend(loc="best", fontsize=8)
        axes.grid(alpha=0.2)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


def _ticks(axes: Axes, loads: Sequence[float]) -> None:
    """The loads themselves, instead of powers of ten."""
    ticks = sorted(set(loads))
    axes.set_xticks(ticks, [f"{load:,.0f}" for load in ticks])
    axes.set_xticks([], minor=True)


def of(rows: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    """The rows of one contender."""
    return [row for row in rows if row["contender"] == name]


def _latency(axes: Axes, rows: Sequence[Mapping[str, Any]], title: str, look: Mapping[str, Any]) -> None:
    offered = [row["offered_frames_s"]["median"] for row in rows]
    axes.plot(offered, [row["p99_us"]["median"] / 1e3 for row in rows], label=title, **look)
    axes.plot(offered, [row["p50_us"]["median"] / 1e3 for row in rows], linestyle=":", **look)
