"""Plots over lags: gradients that fall, and how far cells can recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # a file, never a window: it runs on machines without a screen

import numpy as np
from matplotlib import pyplot
from numpy.typing import NDArray


def plot_gradients(path: Path, norms: Mapping[str, NDArray[np.float64]], hidden_size: int) -> None:
    """Draw gradient norms over the lag, on a logarithmic scale: the median of the seeds, and a band from least to most.

    Args:
        path: PNG file, written anew.
        norms: variant -> (n_seeds, n_lags), lag 0 first.
        hidden_size: told in the title.
    """
    figure, axes = pyplot.subplots(figsize=(8, 4.8), layout="constrained")
    for i, (name, values) in enumerate(norms.items()):
        shares = values / values[:, :1]
        lags = range(values.shape[1])
        axes.semilogy(lags, np.median(shares, axis=0), color=f"C{i}", label=name)
        axes.fill_between(lags, shares.min(axis=0), shares.max(axis=0), color=f"C{i}", alpha=0.15, linewidth=0)
    axes.set(
        title=f"How much of a late loss reaches an early input (untrained, {hidden_size} hidden)",
        xlabel="lag in frames",
        ylabel="norm of the gradient, as a share of lag 0",
        ylim=(1e-12, 1e12),
    )
    axes.axhline(float(np.finfo(np.float32).eps), color="grey", linestyle=":", label="float32: 1 + this = 1 below")
    axes.legend(fontsize=8, loc="upper left", ncols=3)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def plot_recall(path: Path, longest: Mapping[str, Sequence[int]], most: int, n_steps: int) -> None:
    """Draw the longest lag that each variant learnt: a bar for the median of the seeds, a dot for each.

    Args:
        path: PNG file, written anew.
        longest: variant -> frames, one for each seed; 0: not even the shortest.
        most: the longest lag that was tried.
        n_steps: that each lesson had; told in the title.
    """
    figure, axes = pyplot.subplots(figsize=(8, 4.2), layout="constrained")
    names = list(longest)[::-1]
    axes.barh(names, [float(np.median(longest[name])) for name in names], color="lightsteelblue", label="median")
    for row, name in enumerate(names):
        offsets = np.linspace(-0.2, 0.2, len(longest[name]))
        axes.plot(longest[name], row + offsets, "o", color="navy", markersize=4, label="a seed" if not row else None)
    axes.axvline(most, color="grey", linestyle=":", label=f"longest that was tried: {most}")
    axes.set(
        title=f"Longest lag recalled, learnt within {n_steps:,} steps",
        xlabel="lag in frames (each twice the one before)",
    )
    axes.set_xscale("symlog", base=2, linthresh=4)
    axes.set_xticks([0, *[2**n for n in range(2, int(np.log2(most)) + 1)]])
    axes.xaxis.set_major_formatter("{x:.0f}")
    figure.legend(fontsize=8, loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
