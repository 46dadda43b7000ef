"""The picture of the speaker recipe: how sure the answer is after so many seconds, and how strangers fare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # a file, never a window: evaluation runs on machines without a screen

import numpy as np
from matplotlib import pyplot

from training.speech.speaker_trial import SECONDS


def plot_speakers(
    path: Path,
    accuracies: Mapping[str, Sequence[float]],
    strangers: Mapping[str, Sequence[float]],
    names: Sequence[str],
    n_recordings: int,
) -> None:
    """Draw into a PNG file at `path`.

    Args:
        path: written anew.
        accuracies: by name, one share for each of `SECONDS`.
        strangers: by name, the equal error rate of each stranger.
        names: of the strangers.
        n_recordings: behind each share.
    """
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, shares in accuracies.items():
        left.plot(SECONDS, [100.0 * share for share in shares], marker="o", label=name)
    left.axhline(98.0, linestyle=":", color="grey", label="aim: 98 % at 1 s")
    left.set_xscale("log", base=2)
    left.set_xticks(SECONDS, [f"{one:g}" for one in SECONDS])
    left.set(
        title=f"6 known speakers, {n_recordings} pieces of test digits",
        xlabel="speech heard (s)",
        ylabel="taken for the right one (%)",
    )
    left.legend(fontsize=8)
    width = 0.8 / len(strangers)
    for i, (name, rates) in enumerate(strangers.items()):
        right.bar(np.arange(len(rates)) + i * width, [100.0 * rate for rate in rates], width, label=name)
    right.set_xticks(np.arange(len(names)) + 0.4 - width / 2, names, rotation=20)
    right.set(
        title="each as a stranger: 10 s enrol, 1 s is held against it",
        xlabel="left out of the training",
        ylabel="equal error rate (%)",
    )
    right.legend(fontsize=8)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
