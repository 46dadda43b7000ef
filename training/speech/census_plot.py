"""One picture of the recogniser of AN4: an utterance with its words as they are read, and the errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from numpy.typing import NDArray

from training.sets.an4 import RATE_HZ
from training.speech.census_net import STRIDE
from training.speech.census_trial import Read
from training.speech.cepstra import SPHINX


def plot_census(
    shown: Read, features: NDArray[np.float32], figures: Mapping[str, Any], overall: float, path: Path
) -> None:
    """Draw a PNG file at `path`.

    Args:
        shown: a recording and what was read of it.
        features: of that recording, (n_frames, 13).
        figures: `word_error_percent_by_speaker`, and `lost_percent` by kind of word.
        overall: word error rate of all, in percent.
        path: written anew.
    """
    by_speaker, lost_percent = figures["word_error_percent_by_speaker"], figures["lost_percent"]
    figure, axes = pyplot.subplot_mosaic("aa;bc", figsize=(9, 6.2), layout="constrained", height_ratios=(1.1, 1))
    _draw_recording(axes["a"], shown, features)
    bars = axes["b"].bar(list(by_speaker), list(by_speaker.values()), color="tab:red")
    axes["b"].bar_label(bars, fmt="%.0f", fontsize=8)
    axes["b"].axhline(overall, color="black", linestyle="--", label=f"all speakers: {overall:.1f} %")
    axes["b"].margins(y=0.3)
    axes["b"].tick_params(axis="x", rotation=45)
    axes["b"].set(title="Speakers that training did not hear", xlabel="speaker", ylabel="word error rate (%)")
    axes["b"].legend()
    bars = axes["c"].barh(list(lost_percent), list(lost_percent.values()), color="tab:red")
    axes["c"].bar_label(bars, fmt="%.1f", padding=2)
    axes["c"].set(title="What is hard", xlabel="missed or taken for another (% of words said)")
    axes["c"].margins(x=0.15)
    axes["c"].invert_yaxis()
    figure.suptitle("an4_asr: words read by a streaming session, 30 ms a frame")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def _draw_recording(axes: Axes, shown: Read, features: NDArray[np.float32]) -> None:
    """The spectrum that the cepstra stand for, and each word where it is first read."""
    n_frames, n_cepstra = features.shape
    places = (np.arange(SPHINX.n_filters) + 0.5) / SPHINX.n_filters
    spectrum = features @ np.cos(np.pi * np.arange(n_cepstra)[:, None] * places)
    extent = (0.0, n_frames / RATE_HZ, 0.0, float(SPHINX.n_filters))
    axes.imshow(spectrum.T, origin="lower", aspect="auto", cmap="Greys", extent=extent)
    words = [word for event in shown.events if event.kind == "final" for word in event.words]
    for i, word in enumerate(words):
        at_s = (word.first_seq + 1) * STRIDE / RATE_HZ
        axes.axvline(at_s, color="tab:red", label=None if i else "word read")
        axes.text(at_s, 1 + 3 * (i % 2), f" {word.text}", color="tab:red", fontsize=9, fontweight="bold")
    axes.set(title=f"{shown.speaker} says: {' '.join(shown.said)}", xlabel="time (s)", ylabel="mel filter (of 40)")
    axes.legend(loc="upper right", fontsize=8)
