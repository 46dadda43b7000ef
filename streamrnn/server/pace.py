"""How fast stepping has been of late: how long a tick will take, and whether what waits is too much."""

from __future__ import annotations

from streamrnn.engine.tick import Tick

INLINE_NS = 300_000
"""A tick that is expected to take longer leaves the loop's thread: a hand-over costs some 50 us."""
BEHIND_NS = 5_000_000
"""Stepping is behind when what waits would take longer, until it would take half as long."""
MIN_BEHIND_FRAMES = 256
"""With fewer frames waiting it never is: a window of a slow net is no overload."""
MIN_MACS = 1_000_000
"""Multiply-adds of a tick below which its time says nothing about the kernels."""
FIRST_NS_PER_MAC = 0.1
WEIGHT = 0.125
"""Of the latest tick in the running means."""


class Pace:
    """Running means of what ticks took."""

    __slots__ = ("_ns_per_frame", "_ns_per_mac")

    def __init__(self) -> None:
        self._ns_per_mac = FIRST_NS_PER_MAC
        self._ns_per_frame = 0.0

    def note(self, tick: Tick, elapsed_ns: int) -> None:
        """A tick took `elapsed_ns`."""
        if tick.n_macs >= MIN_MACS:
            self._ns_per_mac += WEIGHT * (elapsed_ns / tick.n_macs - self._ns_per_mac)
        self._ns_per_frame += WEIGHT * (elapsed_ns / tick.n_frames - self._ns_per_frame)

    def is_long(self, tick: Tick) -> bool:
        """Whether a tick is expected to keep the loop for too long."""
        return tick.n_macs * self._ns_per_mac > INLINE_NS

    def is_behind(self, n_pending: int, *, was_behind: bool) -> bool:
        """Whether stepping is behind with so many frames waiting."""
        most_ns = BEHIND_NS / 2 if was_behind else BEHIND_NS
        return n_pending > MIN_BEHIND_FRAMES and n_pending * self._ns_per_frame > most_ns
