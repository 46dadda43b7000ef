"""What the server counts, as plain integers: a metrics library would cost more than the frame it counts."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Sessions in a tick, upper bounds."""
STEP_BOUNDS_NS = tuple(us * 1000 for us in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000, 200_000))
"""Nanoseconds of a tick, upper bounds."""

PAUSE_BOUNDS_NS = tuple(us * 1000 for us in (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000))
"""Nanoseconds of a garbage collection, upper bounds."""


class Histogram:
    """Counts values by upper bound; the last count is of those above every bound."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[int]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0

    def add(self, value: int) -> None:
        """Count one value, at least 0."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Tally:
    """Totals since the start.

    Attributes:
        n_frames: frames accepted, and those that sessions fed themselves with.
        n_outputs: frames answered.
        n_ticks: scheduler passes that stepped something.
        batch: sessions stepped in a tick.
        step_ns: nanoseconds of a tick.
        gc_pause_ns: nanoseconds of a garbage collection; counted where the server is a program of its own.
        errors: answered errors by code.
        n_slow_readers: connections dropped because they did not read.
        n_skipped: frames that got no output because too many waited.
        n_duplicates: messages of frames that were answered from the ring.
        n_resumed, n_taken_over: sessions that came back, and those of them that were taken from another connection.
        n_saves, n_saved: checkpoints written, and sessions in them.
        n_store_failures: checkpoints that could not be written.
        n_fenced: sessions that another server had claimed.
        turns: turns of sessions' lives by the state after them.
    """

    __slots__ = (
        "batch",
        "errors",
        "gc_pause_ns",
        "n_duplicates",
        "n_fenced",
        "n_frames",
        "n_outputs",
        "n_resumed",
        "n_saved",
        "n_saves",
        "n_skipped",
        "n_slow_readers",
        "n_store_failures",
        "n_taken_over",
        "n_ticks",
        "step_ns",
        "turns",
    )

    def __init__(self) -> None:
        self.n_frames = 0
        self.n_outputs = 0
        self.n_ticks = 0
        self.n_slow_readers = 0
        self.n_skipped = self.n_duplicates = 0
        self.n_resumed = self.n_taken_over = 0
        self.n_saves = self.n_saved = 0
        self.n_store_failures = self.n_fenced = 0
        self.batch = Histogram(BATCH_BOUNDS)
        self.step_ns = Histogram(STEP_BOUNDS_NS)
        self.gc_pause_ns = Histogram(PAUSE_BOUNDS_NS)
        self.errors: Counter[str] = Counter()
        self.turns: Counter[str] = Counter()

    def count_tick(self, n_sessions: int, elapsed_ns: int) -> None:
        """Count a tick that stepped `n_sessions` sessions in `elapsed_ns` nanoseconds."""
        self.n_ticks += 1
        self.batch.add(n_sessions)
        self.step_ns.add(elapsed_ns)
