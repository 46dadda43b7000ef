"""The speed limit of a step on this machine, measured: its arithmetic, and reading the weights from where they stay."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamrnn.kernels.packing import FloatArray
    from streamrnn.model.model import Model

MEASURE_S = 0.02
N_REPEATS = 5
TURNS = 1000


@dataclass(frozen=True)
class Limit:
    """The least time that one step of a lone session can take: arithmetic or reading the weights, whichever is more."""

    n_macs: int
    weight_bytes: int
    peak_gmacs: float
    """Multiply-adds from registers, 1e9 a second."""
    gbytes_per_s: float
    """Reading just these weights over and over, into one core."""

    @property
    def arithmetic_us(self) -> float:
        """Microseconds of multiply-adds at the peak rate."""
        return self.n_macs / self.peak_gmacs / 1e3

    @property
    def reading_us(self) -> float:
        """Microseconds of reading every weight once."""
        return self.weight_bytes / self.gbytes_per_s / 1e3

    @property
    def step_us(self) -> float:
        """The limit in microseconds."""
        return max(self.arithmetic_us, self.reading_us)

    def describe(self) -> str:
        """Say the limit and what it is made of."""
        return (
            f"{self.step_us:.2f} us = max({self.n_macs:,} MACs / {self.peak_gmacs:.0f} GMAC/s, "
            f"{self.weight_bytes:,} weight bytes / {self.gbytes_per_s:.0f} GB/s), both measured here"
        )


def best_per_ns(work: Callable[[int], int], measure_s: float = MEASURE_S, n_repeats: int = N_REPEATS) -> float:
    """The highest rate of `work(n)`, which does n turns and returns the units that it did: units a nanosecond."""
    n = 1
    while (spent_ns := _spent_ns(work, n)[0]) < measure_s * 1e9 / 4:
        n *= 4
    n = max(1, round(n * measure_s * 1e9 / spent_ns))
    return max(units / spent_ns for spent_ns, units in (_spent_ns(work, n) for _ in range(n_repeats)))


def _spent_ns(work: Callable[[int], int], n: int) -> tuple[int, int]:
    started = time.perf_counter_ns()
    units = work(n)
    return time.perf_counter_ns() - started, units


def peak_gmacs() -> float:
    """Float32 multiply-adds that one core does at most, 1e9 a second."""
    from streamrnn.kernels import probe
    from streamrnn.kernels.packing import aligned_zeros

    scratch = aligned_zeros(probe.SCRATCH_SIZE)
    return best_per_ns(lambda n: int(probe.multiply_add(scratch, TURNS * n)))


def gbytes_per_s(weights: FloatArray) -> float:
    """How fast one core reads `weights`, (n,) float32, over and over."""
    from streamrnn.kernels import probe
    from streamrnn.kernels.packing import aligned_zeros

    scratch = aligned_zeros(probe.SCRATCH_SIZE)
    return 4 * best_per_ns(lambda n: int(probe.read_weights(weights, n, scratch)))


def limit_of(model: Model) -> Limit:
    """Measure what bounds one step of `model`."""
    program = model.program
    return Limit(program.n_macs, program.weights.nbytes, peak_gmacs(), gbytes_per_s(program.weights))
