"""The picture of the commands recipe: which word is taken for which, and posteriors over the bundled recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # a file, never a window: evaluation runs on machines without a screen

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from numpy.typing import NDArray

from training.speech.soundtrack import Floats, Soundtrack
from training.speech.spotter import FRAMES_PER_S, RATE_HZ


def plot_commands(
    path: Path,
    counts: NDArray[np.int64],
    labels: Sequence[str],
    track: Soundtrack,
    posteriors: Floats,
    threshold: float,
) -> None:
    """Draw both into a PNG file at `path`.

    Args:
        path: written anew.
        counts: (n_labels, n_labels), row the truth.
        labels: of rows, columns and posteriors.
        track: the recording.
        posteriors: (n_frames, n_labels), of it.
        threshold: of the events.
    """
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(11, 4.2), layout="constrained", gridspec_kw={"width_ratios": (1, 1.7)}
    )
    _draw_counts(left, counts, labels)
    _draw_posteriors(right, labels, track, posteriors, threshold)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def _draw_counts(axes: Axes, counts: NDArray[np.int64], labels: Sequence[str]) -> None:
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set_xticks(range(len(labels)), labels, rotation=30)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(title=f"{counts.sum()} test clips of unheard speakers", xlabel="taken for", ylabel="is")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)


def _draw_posteriors(
    axes: Axes, labels: Sequence[str], track: Soundtrack, posteriors: Floats, threshold: float
) -> None:
    times_s = (np.arange(len(posteriors)) + 1) / FRAMES_PER_S
    for i, label in enumerate(labels[1:], 1):
        axes.plot(times_s, posteriors[:, i], label=label.strip("_"))
    for one in track.spoken:
        axes.axvspan(one.start / RATE_HZ, one.end / RATE_HZ, color="lightgrey")
        axes.text(one.start / RATE_HZ, 1.04, one.label, fontsize=8)
    loudest = float(np.abs(track.samples).max())
    axes.plot(np.arange(len(track.samples)) / RATE_HZ, track.samples / loudest * 0.1 - 0.15, color="grey", lw=0.3)
    axes.axhline(threshold, linestyle=":", color="black", label="threshold")
    axes.set(
        title="the bundled recording (synthetic voice, grey: when words are said)",
        xlabel="time (s)",
        ylabel="posterior (grey below: the sound)",
        ylim=(-0.3, 1.12),
    )
    axes.legend(loc="center right", fontsize=8)
