"""Interleaved timing: every repeat times each contender once, so that a slow spell of the machine hits all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

Calls = Callable[[int], object]
"""Does so many calls of what is measured."""

MAX_REPEATS, MIN_REPEATS = 21, 5


def looped(call: Callable[[], object]) -> Calls:
    """A Python call as `Calls`."""

    def calls(n: int) -> None:
        for _ in range(n):
            call()

    return calls


def _spent_us(calls: Calls, n: int) -> float:
    started = time.perf_counter_ns()
    calls(n)
    return (time.perf_counter_ns() - started) / 1e3


def interleave(
    contenders: Mapping[str, Calls], slice_ms: float = 4.0, budget_ms: float = 1500.0
) -> dict[str, list[float]]:
    """Microseconds a call of each contender, one figure a repeat.

    Args:
        contenders: by name.
        slice_ms: about how long one contender is timed in one repeat; at least one call.
        budget_ms: about how long all repeats may take, but there are at least five.
    """
    sizes: dict[str, int] = {}
    round_ms = 0.0
    for name, calls in contenders.items():
        n, spent_us = 1, _spent_us(calls, 1)
        while spent_us < slice_ms * 250:
            n *= 2
            spent_us = _spent_us(calls, n)
        sizes[name] = max(1, round(n * slice_ms * 1e3 / spent_us))
        round_ms += sizes[name] * spent_us / n / 1e3
    times_us: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(max(MIN_REPEATS, min(MAX_REPEATS, round(budget_ms / round_ms)))):
        for name, calls in contenders.items():
            times_us[name].append(_spent_us(calls, sizes[name]) / sizes[name])
    return times_us
