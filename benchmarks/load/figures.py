"""What a run shows: rates, outcomes, latencies from the intended send time, and how late the generator itself was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from benchmarks.load.board import (
    ANSWERED,
    BUSY_NS,
    DROPPED,
    IS_CLOSED,
    N_CODES,
    N_OTHER,
    N_STRAY,
    REFUSED,
    UNSENT,
)
from benchmarks.load.run import Played

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
MAX_NS = 3_600_000_000_000
N_BITS = 11
"""Bits that a latency keeps: three digits, which is what the histogram tells apart."""
LATE_US = 1000.0
"""A generator whose sends are later than this at p99 says so."""

Int64 = NDArray[np.int64]


def histogram(latencies_ns: Int64) -> HdrHistogram:
    """An HDR histogram of nanoseconds, 1 ns to one hour in three digits."""
    hist = HdrHistogram(1, MAX_NS, 3)
    clipped = np.clip(latencies_ns, 1, MAX_NS)
    # Rounded down to what it tells apart, so that there are few different values to record one by one.
    shift = np.maximum(0, np.frexp(clipped.astype(np.float64))[1] - N_BITS - 1)
    values, counts = np.unique(clipped >> shift << shift, return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        hist.record_value(value, count)
    return hist


def latency_us(latencies_ns: Int64) -> dict[str, float] | None:
    """p50, p90, p99, p99.9, max and mean in microseconds; None of nothing."""
    if not len(latencies_ns):
        return None
    hist = histogram(latencies_ns)
    figure = {f"p{p:g}": hist.get_value_at_percentile(p) / 1e3 for p in PERCENTILES}
    return {**figure, "max": float(latencies_ns.max()) / 1e3, "mean": float(latencies_ns.mean()) / 1e3}


class Outcome:
    """What became of the messages that were due within a span of a run.

    Args:
        played: the run.
        from_s, until_s: of the span, from the start of the run; by default all after the warm start.
    """

    def __init__(self, played: Played, from_s: float | None = None, until_s: float | None = None) -> None:
        board, load = played.board, played.load
        self.load = load
        self._played = played
        self.from_s = load.warm_s if from_s is None else from_s
        self.until_s = load.total_s if until_s is None else until_s
        begin_ns = played.start_ns + int(self.from_s * 1e9)
        end_ns = played.start_ns + int(self.until_s * 1e9)
        self.is_counted = (board.due_ns >= begin_ns) & (board.due_ns < end_ns)
        if board.gauges[IS_CLOSED]:
            self.is_counted &= board.sent_ns > 0
        is_done = self.is_counted & (board.done_ns > 0)
        self.is_answered = is_done & (board.n_bad == 0)
        self.latencies_ns: Int64 = (board.done_ns - board.due_ns)[self.is_answered]
        self.duration_s = self.until_s - self.from_s

    def frames(self) -> dict[str, int]:
        """How many frames were due, sent, answered, refused, dropped, and left without any answer."""
        seqs = self._played.board.seqs[self._frame_counted()]
        counts = {mark: int(np.count_nonzero(seqs == mark)) for mark in (UNSENT, ANSWERED, REFUSED, DROPPED)}
        n_each = self.load.chunk
        n_due = len(seqs)
        n_sent = n_due - counts[UNSENT]
        figure = {"due": n_due, "sent": n_sent, "answered": counts[ANSWERED], "refused": counts[REFUSED]}
        figure |= {"dropped": counts[DROPPED], "unanswered": n_sent - sum(counts[m] for m in (-2, -3, -4))}
        return {name: n * n_each for name, n in figure.items()}

    def _frame_counted(self) -> NDArray[np.bool_]:
        board = self._played.board
        return np.repeat(self.is_counted, np.repeat(board.width, np.diff(board.first)))

    def lateness_us(self) -> dict[str, Any]:
        """How late messages left against their intended times, but for those that the server did not read in time."""
        board = self._played.board
        is_sent = self.is_counted & (board.sent_ns > 0)
        is_free = is_sent & (board.was_blocked == 0)
        late = latency_us((board.sent_ns - board.due_ns)[is_free])
        return {**(late or {}), "n_blocked_by_server": int(np.count_nonzero(is_sent & ~is_free))}

    def seconds(self) -> list[dict[str, Any]]:
        """One row a second: frames due and answered, and the latency of what was due in it."""
        board, start_ns = self._played.board, self._played.start_ns
        frames = np.repeat(board.width * board.n_frames, np.diff(board.first))
        n_rows = int(np.ceil(self.load.total_s))
        shown = board.due_ns[self.is_counted]
        due_s = (shown - start_ns) // 1_000_000_000
        order = np.argsort(due_s, kind="stable")
        bounds = np.searchsorted(due_s[order], np.arange(n_rows + 1))
        done_s = (board.done_ns[self.is_answered] - start_ns) // 1_000_000_000
        goodput = np.bincount(done_s, frames[self.is_answered], minlength=n_rows)
        latency = np.where(self.is_answered, board.done_ns - board.due_ns, -1)[self.is_counted][order]
        counts = frames[self.is_counted][order]
        rows = []
        for second in range(int(self.from_s), n_rows):
            part = slice(bounds[second], bounds[second + 1])
            answered = np.sort(latency[part][latency[part] >= 0])
            row: dict[str, Any] = {"second": second, "due": int(counts[part].sum()), "answered": int(goodput[second])}
            if len(answered):
                row |= {f"p{p}_us": float(np.percentile(answered, p).round(-2)) / 1e3 for p in (50, 99)}
            rows.append(row)
        return rows


def codes_of(played: Played) -> dict[str, int]:
    """How many errors came with each code, over the whole run."""
    board = played.board
    n = int(board.gauges[N_CODES])
    return {
        bytes(row).rstrip(b"\0").decode(): int(count)
        for row, count in zip(board.codes[:n], board.code_counts[:n], strict=True)
    }


def figures_of(played: Played, from_s: float | None = None, until_s: float | None = None) -> dict[str, Any]:
    """All figures of a run, ready for JSON."""
    outcome, load, board = Outcome(played, from_s, until_s), played.load, played.board
    frames = outcome.frames()
    misses = int(np.count_nonzero(outcome.latencies_ns > load.deadline_ms * 1e6))
    late = outcome.lateness_us()
    is_closed = bool(board.gauges[IS_CLOSED])
    return {
        "loop": load.loop,
        "duration_s": outcome.duration_s,
        "offered_frames_s": None if is_closed else frames["due"] / outcome.duration_s,
        "achieved_frames_s": frames["answered"] / outcome.duration_s,
        "frames": frames,
        "n_messages_answered": len(outcome.latencies_ns),
        "errors": codes_of(played),
        "n_other_messages": int(board.gauges[N_OTHER]),
        "n_stray_answers": int(board.gauges[N_STRAY]),
        "n_lost_connections": int(board.is_lost.sum()),
        "latency_us": latency_us(outcome.latencies_ns),
        "deadline_ms": load.deadline_ms,
        "n_deadline_misses": misses,
        "generator": {
            "cpu_share": played.cpu_s / played.elapsed_s,
            "busy_share": int(board.gauges[BUSY_NS]) / 1e9 / played.elapsed_s,
            "send_lateness_us": None if is_closed else late,
            "is_late": not is_closed and late.get("p99", 0.0) > LATE_US,
        },
        "seconds": outcome.seconds(),
        "histogram": histogram(outcome.latencies_ns).encode().decode() if len(outcome.latencies_ns) else None,
    }


def merged(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures of runs of the same load together: counts added, and percentiles of all their latencies."""
    hist = HdrHistogram(1, MAX_NS, 3)
    for part in parts:
        if part["histogram"]:
            hist.decode_and_add(part["histogram"])
    duration_s = sum(part["duration_s"] for part in parts)
    frames = {name: sum(part["frames"][name] for part in parts) for name in parts[0]["frames"]}
    latency = {f"p{p:g}": hist.get_value_at_percentile(p) / 1e3 for p in PERCENTILES}
    return {
        "duration_s": duration_s,
        "achieved_frames_s": frames["answered"] / duration_s,
        "frames": frames,
        "latency_us": {**latency, "max": hist.get_max_value() / 1e3} if hist.get_total_count() else None,
        "n_deadline_misses": sum(part["n_deadline_misses"] for part in parts),
        "histogram": hist.encode().decode(),
    }
