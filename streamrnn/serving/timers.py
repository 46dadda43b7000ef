"""Deadlines in a heap, on a clock that is passed in."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

Item = TypeVar("Item")
MIN_STALE = 64
"""Entries that may be out of date before the heap is made anew."""


class Timers(Generic[Item]):
    """One deadline an item. Setting one costs O(log n), dropping one O(1).

    What is out of date stays in the heap, as two numbers and without its item, until it is due or makes up half of it.
    """

    def __init__(self) -> None:
        self._numbers: dict[Item, int] = {}
        self._items: dict[int, Item] = {}
        self._heap: list[tuple[int, int]] = []
        self._n_put = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def next_ns(self) -> int | None:
        """The earliest deadline, or None."""
        self._shed()
        return self._heap[0][0] if self._heap else None

    def put(self, item: Item, due_ns: int) -> None:
        """Set the deadline of `item`, in place of an earlier one."""
        former = self._numbers.get(item)
        if former is not None:
            del self._items[former]
        self._n_put = number = self._n_put + 1  # breaks ties in the order of setting, too
        self._numbers[item] = number
        self._items[number] = item
        heapq.heappush(self._heap, (due_ns, number))
        self._rebuild_if_stale()

    def drop(self, item: Item) -> None:
        """Forget `item`, if it is there."""
        number = self._numbers.pop(item, None)
        if number is not None:
            del self._items[number]
            self._rebuild_if_stale()

    def advance(self, now_ns: int, most: int | None = None) -> list[Item]:
        """The items whose deadline has passed, earliest first, at most `most` of them; they are forgotten."""
        due: list[Item] = []
        heap = self._heap
        while heap and heap[0][0] <= now_ns and len(due) != most:
            _, number = heapq.heappop(heap)
            item = self._items.pop(number, None)
            if item is not None:
                del self._numbers[item]
                due.append(item)
        return due

    def _shed(self) -> None:
        while self._heap and self._heap[0][1] not in self._items:
            heapq.heappop(self._heap)

    def _rebuild_if_stale(self) -> None:
        if len(self._heap) > 2 * len(self._items) + MIN_STALE:
            self._heap = [entry for entry in self._heap if entry[1] in self._items]
            heapq.heapify(self._heap)
