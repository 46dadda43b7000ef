"""Plots of bits: language models beside n-grams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # a file, never a window: evaluation runs on machines without a screen

import numpy as np
from matplotlib import pyplot


def plot_contexts(path: Path, by_context: Mapping[int, float], nets: Mapping[str, float], title: str) -> None:
    """Draw an n-gram's bits over the characters that it looks back, and those of nets as level lines.

    Args:
        path: PNG file, written anew.
        by_context: characters looked back -> bits per character.
        nets: legend -> bits per character.
        title: over the picture.
    """
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    contexts = sorted(by_context)
    axes.plot(contexts, [by_context[n] for n in contexts], "o-", color="grey", label="n-gram (modified Kneser-Ney)")
    for i, (name, value) in enumerate(nets.items()):
        axes.axhline(value, color=f"C{i}", label=f"{name}, streamed: {value:.3f}")
    axes.set(
        title=f"{title}: a state remembers what a window cannot",
        xlabel="characters that the n-gram looks back",
        ylabel="bits per character (lower is better)",
        xticks=contexts,
    )
    axes.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def plot_groups(path: Path, groups: Sequence[str], series: Mapping[str, Sequence[float]], title: str) -> None:
    """Draw bits per character of several models side by side, one group of bars for each language.

    Args:
        path: PNG file, written anew.
        groups: under the bars.
        series: legend -> one value for each group.
        title: over the picture.
    """
    figure, axes = pyplot.subplots(figsize=(9, 4.2), layout="constrained")
    width, at = 0.8 / len(series), np.arange(len(groups))
    for i, (name, values) in enumerate(series.items()):
        axes.bar(at + (i - (len(series) - 1) / 2) * width, values, width, label=name)
    axes.set(title=title, ylabel="bits per character (lower is better)")
    axes.set_xticks(at, groups, rotation=45, ha="right")
    axes.set_ylim(top=1.25 * max(max(values) for values in series.values()))
    axes.legend(loc="upper center", ncols=len(series), fontsize=8)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
