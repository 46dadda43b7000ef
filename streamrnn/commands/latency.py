"""What a client measures of a stream of frames: how many, how fast, how late."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from dataclasses import dataclass, field

RESOLUTION = 1.005
"""Ratio of neighbouring buckets: a percentile is exact to half a percent, whatever the number of frames."""

_LOG_RESOLUTION = math.log(RESOLUTION)


@dataclass
class Latency:
    """Latencies of frames, from the moment that a frame was due to the moment its output was read.

    They are counted in buckets, so that a stream may last for weeks. `started_ns` and `ended_ns` (the last answer) are
    of `time.perf_counter_ns`.
    """

    started_ns: int = field(default_factory=time.perf_counter_ns)
    ended_ns: int = 0
    n_frames: int = 0
    worst_ns: int = 0
    _due_ns: deque[int] = field(default_factory=deque)
    _buckets: Counter[int] = field(default_factory=Counter)

    def send(self, due_ns: int) -> None:
        """Note a further frame, due at `due_ns`."""
        self._due_ns.append(due_ns)

    def answer(self, now_ns: int | None = None) -> None:
        """Note that the oldest unanswered frame was answered now."""
        self.ended_ns = time.perf_counter_ns() if now_ns is None else now_ns
        late_ns = max(1, self.ended_ns - self._due_ns.popleft())
        self.n_frames += 1
        self.worst_ns = max(self.worst_ns, late_ns)
        self._buckets[round(math.log(late_ns) / _LOG_RESOLUTION)] += 1

    def merge(self, other: Latency) -> None:
        """Add the frames of another session of the same run."""
        self.started_ns = min(self.started_ns, other.started_ns)
        self.ended_ns = max(self.ended_ns, other.ended_ns)
        self.n_frames += other.n_frames
        self.worst_ns = max(self.worst_ns, other.worst_ns)
        self._due_ns += other._due_ns
        self._buckets += other._buckets

    @property
    def n_in_flight(self) -> int:
        """Frames sent and not answered."""
        return len(self._due_ns)

    @property
    def seconds(self) -> float:
        """From the start to the last answer, more than 0."""
        return max(1, self.ended_ns - self.started_ns) / 1e9

    @property
    def frames_per_s(self) -> float:
        """Frames answered per second."""
        return self.n_frames / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Return the latency that `percent` of the frames do not exceed, in milliseconds; NaN where there are none."""
        rank = math.ceil(self.n_frames * percent / 100)
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return min(RESOLUTION**bucket, self.worst_ns) / 1e6
        return math.nan

    def summary(self) -> str:
        """One line: frames, rate and latencies."""
        p50, p99 = self.percentile_ms(50), self.percentile_ms(99)
        return (
            f"{self.n_frames:,} frames in {self.seconds:.2f} s, {self.frames_per_s:,.0f} frames/s, "
            f"latency p50 {p50:.3f} ms, p99 {p99:.3f} ms, max {self.worst_ns / 1e6:.3f} ms"
        )
