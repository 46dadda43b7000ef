"""What a client measures of a stream of frames: how many, how fast, how late."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Latency:
    """Latencies of frames in nanoseconds, from the moment that a frame was due to the moment its output was read."""

    started_ns: int = field(default_factory=time.perf_counter_ns)
    ended_ns: int = 0
    sent_ns: list[int] = field(default_factory=list)
    answered_ns: list[int] = field(default_factory=list)

    def send(self, n: int, now_ns: int) -> None:
        """Note `n` further frames as due at `now_ns`."""
        self.sent_ns.extend([now_ns] * n)

    def answer(self, n: int) -> None:
        """Note that the oldest `n` unanswered frames were answered now."""
        self.ended_ns = time.perf_counter_ns()
        self.answered_ns.extend([self.ended_ns] * n)

    @property
    def n_frames(self) -> int:
        """Frames answered."""
        return len(self.answered_ns)

    @property
    def n_in_flight(self) -> int:
        """Frames sent and not answered."""
        return len(self.sent_ns) - len(self.answered_ns)

    @property
    def frames_per_s(self) -> float:
        """Frames answered per second, from the start to the last answer."""
        return self.n_frames * 1e9 / max(1, self.ended_ns - self.started_ns)

    def latencies_ms(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return the latency of each answered frame, in order: (n_frames,) float64."""
        n = self.n_frames
        return (np.array(self.answered_ns, np.float64) - np.array(self.sent_ns[:n], np.float64)) / 1e6

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the latencies, NaN where there are none."""
        return float(np.percentile(self.latencies_ms(), percent)) if self.n_frames else float("nan")

    def summary(self) -> str:
        """One line: frames, rate and latencies."""
        p50, p99, worst = (self.percentile_ms(percent) for percent in (50, 99, 100))
        return (
            f"{self.n_frames} frames, {self.frames_per_s:,.0f} frames/s, "
            f"latency p50 {p50:.3f} ms, p99 {p99:.3f} ms, max {worst:.3f} ms"
        )
