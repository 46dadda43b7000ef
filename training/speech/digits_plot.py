"""One picture of the recogniser of digits: an utterance with its words as they are read, delays, and error rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from numpy.typing import NDArray

from training.sets.fsdd import RATE_HZ, WORDS
from training.speech.digits_net import FRAME
from training.speech.transcription import Transcript

FRAME_S = FRAME / RATE_HZ


def plot_digits(
    shown: Transcript,
    delays_ms: NDArray[np.float64],
    percents: Mapping[str, tuple[float, float]],
    path: Path,
) -> None:
    """Draw a PNG file at `path`.

    Args:
        shown: an utterance that was read rightly.
        delays_ms: of all words.
        percents: by condition, the word error rate of the model and of the baseline.
        path: written anew.
    """
    figure, axes = pyplot.subplot_mosaic("aa;bc", figsize=(9, 6.2), layout="constrained", height_ratios=(1.1, 1))
    _draw_utterance(axes["a"], shown)
    _draw_delays(axes["b"], delays_ms)
    _draw_percents(axes["c"], percents)
    figure.suptitle("digits_asr: words read by a streaming session, 20 ms a frame")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def _draw_utterance(axes: Axes, shown: Transcript) -> None:
    one = shown.utterance
    sound = np.asarray(one.samples) + 1e-6
    axes.specgram(sound, NFFT=FRAME, Fs=RATE_HZ, noverlap=0, cmap="Greys", vmin=-100, interpolation="nearest")
    for word, end in zip(one.words, one.ends, strict=True):
        end_s = end / RATE_HZ
        axes.axvline(
            end_s, color="tab:blue", linestyle=":", label="end of a spoken word" if end == one.ends[0] else None
        )
        axes.text(end_s, 3980, f"{WORDS[word]} ", color="tab:blue", ha="right", va="top")
    for i, emission in enumerate(shown.emissions):
        at_s = (emission.frame + 1) * FRAME_S
        axes.axvline(at_s, color="tab:red", label=None if i else "word read")
        axes.text(at_s, 80, f" {WORDS[emission.label]}", color="tab:red", ha="left", va="bottom")
    axes.set(title=f"A test utterance of {one.speaker}", xlabel="time (s)", ylabel="frequency (Hz)")
    axes.set(xlim=(0, len(one.samples) / RATE_HZ), ylim=(0, RATE_HZ / 2))
    axes.legend(loc="upper right", fontsize=8)


def _draw_delays(axes: Axes, delays: NDArray[np.float64]) -> None:
    axes.set(title="How soon a word is read", xlabel="from the end of its clip to its output (ms)", ylabel="words")
    if not delays.size:
        axes.text(0.5, 0.5, "no utterance was right", ha="center", transform=axes.transAxes)
        return
    low, high = np.floor(delays.min() / 20) * 20, np.ceil(delays.max() / 20) * 20 + 20
    axes.hist(delays, list(np.arange(low, high + 1, 20)), color="tab:red", alpha=0.7)
    for share, style in ((50, "-"), (95, "--")):
        value = float(np.percentile(delays, share))
        axes.axvline(value, color="black", linestyle=style, label=f"{share} %: {value:.0f} ms")
    axes.legend()


def _draw_percents(axes: Axes, percents: Mapping[str, tuple[float, float]]) -> None:
    names: Sequence[str] = list(percents)
    places = np.arange(len(names))
    for i, (label, colour) in enumerate((("streamed model", "tab:red"), ("templates (baseline)", "tab:grey"))):
        bars = axes.barh(places + 0.2 - 0.4 * i, [percents[name][i] for name in names], 0.38, color=colour, label=label)
        axes.bar_label(bars, fmt="%.1f", padding=2, fontsize=8)
    axes.set(title="Word error rate, test digits", xlabel="errors of 100 words (%)", yticks=places, yticklabels=names)
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.legend(loc="upper right", fontsize=8)
