"""How fast the kernels have been of late, and so how long a tick will take."""

from __future__ import annotations

INLINE_NS = 300_000
"""A tick that is expected to take longer leaves the loop's thread: a hand-over costs some 50 us."""
MIN_MACS = 1_000_000
"""Multiply-adds of a tick below which its time says nothing about the kernels."""
FIRST_NS_PER_MAC = 0.1
WEIGHT = 0.125
"""Of the latest tick in the running mean."""


class Pace:
    """A running mean of nanoseconds a multiply-add.

    Attributes:
        ns_per_mac: the mean.
    """

    __slots__ = ("ns_per_mac",)

    def __init__(self) -> None:
        self.ns_per_mac = FIRST_NS_PER_MAC

    def note(self, n_macs: int, elapsed_ns: int) -> None:
        """A tick of `n_macs` took `elapsed_ns`."""
        if n_macs >= MIN_MACS:
            self.ns_per_mac += WEIGHT * (elapsed_ns / n_macs - self.ns_per_mac)

    def is_long(self, n_macs: int) -> bool:
        """Whether a tick of `n_macs` is expected to keep the loop for too long."""
        return n_macs * self.ns_per_mac > INLINE_NS
