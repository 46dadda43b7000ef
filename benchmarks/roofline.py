"""The roofline: how far each step is from the machine's peak and from what reading its weights allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt

MARKS = {
    "kernel": ("o", "C0", 0.86),
    "torch module": ("^", "C1", 0.95),
    "onnxruntime": ("s", "C2", 1.05),
    "openvino": ("D", "C3", 1.16),
}
"""Mark, colour, and how far the points stand beside their true place, so that they do not hide each other."""
LABELS = {"kernel": "streamrnn, in the kernel"}
NOTE: dict[str, Any] = {"fontsize": 8, "color": "0.35"}
LOWEST, HIGHEST = 0.15, 60.0
"""Multiply-adds a byte, the ends of the plot."""


def draw(figures: dict[str, Any], path: Path) -> Path:
    """Draw the single-frame steps of every net and batch: multiply-adds a byte of weights against GMAC/s."""
    plt.rcParams["svg.hashsalt"] = "streamrnn"
    figure, axes = plt.subplots(figsize=(9, 6))
    steps = [step for step in figures["steps"] if step["n_frames"] == 1]
    peak = max(step["peak_gmacs"] for step in steps)
    for level in figures["levels"]:
        bandwidth = level["fastest_gb_s"]
        ends = (LOWEST, peak / bandwidth, HIGHEST)
        axes.plot(ends, [min(peak, end * bandwidth) for end in ends], color="0.6", linewidth=1)
        axes.annotate(f"{level['name']} {bandwidth:.0f} GB/s", (LOWEST * 1.03, LOWEST * bandwidth * 1.12), **NOTE)
    axes.annotate(f"multiply-add peak {peak:.0f} GMAC/s", (8, peak * 1.04), **NOTE)
    for name, (mark, colour, aside) in MARKS.items():
        shown = [step for step in steps if name in step["us"]]
        x = [aside * step["n_sessions"] * step["n_macs"] / step["weight_bytes"] for step in shown]
        y = [rate_of(step, name) for step in shown]
        axes.scatter(x, y, marker=mark, s=22, color=colour, alpha=0.75, label=LABELS.get(name, name))
    axes.set(
        xscale="log",
        yscale="log",
        ylim=(0.05, 300),
        xlabel="multiply-adds a byte of weights: batches of 1, 4, 32 and 128 sessions, the contenders side by side",
        ylabel="GMAC/s, one core",
        title="One frame of every net: streamrnn and its peers under the machine's roof",
    )
    axes.legend(loc="lower right")
    axes.grid(alpha=0.2)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


def rate_of(step: dict[str, Any], name: str) -> float:
    """GMAC/s of a contender."""
    return float(step["n_sessions"] * step["n_frames"] * step["n_macs"] / step["us"][name]["median"] / 1e3)
