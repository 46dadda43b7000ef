"""What a decoder costs a frame, fed one output at a time as a server does: `python -m benchmarks.decoders`."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from streamrnn.decode import AnomalyDecoding, CtcSettings, Facts, LabelSettings, Settings, SpeakerSettings, make_decoder

N_FRAMES = 4000
N_REPEATS = 5
RATE_HZ = 100.0
N_EMBEDDED = 64

CASES: dict[str, tuple[Settings, int]] = {
    "labels, 5 classes": (LabelSettings(), 5),
    "labels, 5 classes, smoothed over 0.5 s": (LabelSettings(smooth_s=0.5), 5),
    "CTC, greedy, 11 words": (CtcSettings(), 11),
    "CTC, beam of 8, 11 words": (CtcSettings(beam=8), 11),
    "CTC, beam of 8, 29 letters": (CtcSettings(beam=8, separator="", word_separator="1"), 29),
    "anomaly score": (AnomalyDecoding(), 2),
    "speakers, 5 enrolled": (
        SpeakerSettings(enrolled={str(i): tuple(np.eye(N_EMBEDDED)[i].tolist()) for i in range(5)}),
        N_EMBEDDED,
    ),
}
"""Settings and values in an output, by what the table calls them."""


def outputs(n_values: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Log-probabilities (n_frames, n_values): a symbol for some frames, then another, mostly the first."""
    n_symbols = N_FRAMES // 8
    symbols = rng.choice(n_values, n_symbols, p=[0.6] + [0.4 / (n_values - 1)] * (n_values - 1))
    symbols[np.arange(n_symbols) % 40 > 15] = 0
    said = np.repeat(symbols, rng.integers(2, 15, n_symbols))
    said = np.concatenate([said, np.zeros(N_FRAMES, int)])[:N_FRAMES]
    logits = rng.standard_normal((N_FRAMES, n_values))
    logits[np.arange(N_FRAMES), said] += rng.choice([3.0, 9.0], N_FRAMES)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return np.asarray(logs, np.float32)


def frame_us(settings: Settings, n_values: int) -> float:
    """Microseconds a frame, over all of them, by a fresh decoder."""
    ys = outputs(n_values, np.random.default_rng(0))
    xs = np.zeros((N_FRAMES, 4), np.float32)
    decoder = make_decoder(settings, Facts(4, n_values, tuple(map(str, range(n_values))), rate_hz=RATE_HZ))
    pairs = [(xs[i : i + 1], ys[i : i + 1]) for i in range(N_FRAMES)]
    began_ns = time.perf_counter_ns()
    for seq, (x, y) in enumerate(pairs):
        decoder.feed(seq, x, y)
    return (time.perf_counter_ns() - began_ns) / N_FRAMES / 1e3


def main() -> None:
    """Measure, print the table and write the results."""
    taken = {name: [frame_us(*case) for _ in range(N_REPEATS)] for name, case in CASES.items()}
    figures = {name: report.spread(values) for name, values in taken.items()}
    rows = [[name, f"{figures[name]['median']:.1f}", f"{min(taken[name]):.1f}"] for name in CASES]
    report.show(report.Table("decoders, one frame a call", ["decoder", "median us", "least us"], rows))
    print("written:", report.write("decoders", {"us_a_frame": figures}).name)


if __name__ == "__main__":
    main()
