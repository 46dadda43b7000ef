"""Deadlines in a heap, on a clock that is passed in."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

Item = TypeVar("Item")
MIN_STALE = 64
"""Entries that may be out of date before the heap is made anew."""


class Timers(Generic[Item]):
    """One deadline an item. Setting one costs O(log n), dropping one O(1).

    What is out of date stays in the heap until it is due, or makes up half of it.
    """

    def __init__(self) -> None:
        self._due_ns: dict[Item, int] = {}
        self._heap: list[tuple[int, int, Item]] = []
        self._n_put = 0

    def __len__(self) -> int:
        return len(self._due_ns)

    @property
    def next_ns(self) -> int | None:
        """The earliest deadline, or None."""
        self._shed()
        return self._heap[0][0] if self._heap else None

    def put(self, item: Item, due_ns: int) -> None:
        """Set the deadline of `item`, in place of an earlier one."""
        self._due_ns[item] = due_ns
        self._n_put += 1  # breaks ties in the order of setting, so that items need not be comparable
        heapq.heappush(self._heap, (due_ns, self._n_put, item))
        if len(self._heap) > 2 * len(self._due_ns) + MIN_STALE:
            self._rebuild()

    def drop(self, item: Item) -> None:
        """Forget `item`, if it is there."""
        if self._due_ns.pop(item, None) is not None and len(self._heap) > 2 * len(self._due_ns) + MIN_STALE:
            self._rebuild()

    def advance(self, now_ns: int, most: int | None = None) -> list[Item]:
        """The items whose deadline has passed, earliest first, at most `most` of them; they are forgotten."""
        due: list[Item] = []
        heap = self._heap
        while heap and heap[0][0] <= now_ns and len(due) != most:
            due_ns, _, item = heapq.heappop(heap)
            if self._due_ns.get(item) == due_ns:
                del self._due_ns[item]
                due.append(item)
        return due

    def _shed(self) -> None:
        while self._heap and self._due_ns.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)

    def _rebuild(self) -> None:
        self._heap = [(due_ns, i, item) for i, (item, due_ns) in enumerate(self._due_ns.items())]
        heapq.heapify(self._heap)
        self._n_put = len(self._heap)
