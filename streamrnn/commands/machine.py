"""The speed limit of a step on the machine class that the kernels were measured on."""

from __future__ import annotations

from dataclasses import dataclass

MACHINE = "one core of an AMD EPYC (Zen 3, AVX2)"
PEAK_GMACS = 50.0
BANDWIDTHS = (
    ("L1 cache", 32 * 1024, 160.0),
    ("L2 cache", 512 * 1024, 92.0),
    ("L3 cache", 16 * 1024 * 1024, 68.0),
    ("memory", None, 16.0),
)
"""Where weights may stay between steps: name, size in bytes, measured gigabytes a second into one core."""


@dataclass(frozen=True)
class Limit:
    """The least time that one step of a lone session can take: arithmetic or reading the weights, whichever is more."""

    n_macs: int
    weight_bytes: int

    @property
    def home(self) -> tuple[str, float]:
        """Where the weights stay, and the bandwidth from there in GB/s."""
        for name, size, gbytes_per_s in BANDWIDTHS:
            if size is None or self.weight_bytes <= size:
                return name, gbytes_per_s
        raise AssertionError("the last row holds everything")

    @property
    def arithmetic_us(self) -> float:
        """Microseconds of multiply-adds at the peak rate."""
        return self.n_macs / PEAK_GMACS / 1e3

    @property
    def reading_us(self) -> float:
        """Microseconds of reading every weight once."""
        return self.weight_bytes / self.home[1] / 1e3

    @property
    def step_us(self) -> float:
        """The limit in microseconds."""
        return max(self.arithmetic_us, self.reading_us)

    def describe(self) -> str:
        """Say the limit and what it assumes."""
        name, gbytes_per_s = self.home
        return (
            f"{self.step_us:.2f} us = max({self.n_macs:,} MACs / {PEAK_GMACS:g} GMAC/s, "
            f"{self.weight_bytes:,} weight bytes / {gbytes_per_s:g} GB/s), assuming {MACHINE}, weights in {name}"
        )
