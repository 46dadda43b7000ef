"""The clock of a simulated world, and what is to happen on it."""

from __future__ import annotations

import heapq
from collections.abc import Callable

NS_PER_MS = 1_000_000


class Clock:
    """Runs what was asked for in the order of its time; equal times in the order of asking.

    Attributes:
        now_ns: the world's time, from 0.
        jumped_ns: by how much the servers' clock is ahead of it.
    """

    def __init__(self) -> None:
        self.now_ns = 0
        self.jumped_ns = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._n_asked = 0

    @property
    def server_ns(self) -> int:
        """What the servers read."""
        return self.now_ns + self.jumped_ns

    def after(self, delay_ms: float, act: Callable[[], None]) -> None:
        """Do something later."""
        self._n_asked += 1
        heapq.heappush(self._due, (self.now_ns + int(delay_ms * NS_PER_MS), self._n_asked, act))

    def run_until(self, is_over: Callable[[], bool], limit_ms: float) -> bool:
        """Let time pass until `is_over`; False if that did not come in time."""
        end_ns = self.now_ns + int(limit_ms * NS_PER_MS)
        while not is_over():
            if not self._due or self._due[0][0] > end_ns:
                return False
            self.now_ns, _, act = heapq.heappop(self._due)
            act()
        return True
