"""A timer wheel: one timer for every connection's handshake, ping and closing deadline."""

from __future__ import annotations

from typing import Generic, TypeVar

Item = TypeVar("Item")


class Wheel(Generic[Item]):
    """Holds each item in the bucket of its deadline.

    Setting and dropping a deadline cost one dictionary operation each; a deadline beyond the wheel's span waits in the
    last bucket and is put on again. An item is due at most one `tick_ns` after its deadline.

    Args:
        tick_ns: nanoseconds a bucket, at least 1.
        n_buckets: at least 2.
        now_ns: the present.
    """

    def __init__(self, tick_ns: int, n_buckets: int, now_ns: int) -> None:
        self._tick_ns = tick_ns
        self._buckets: list[dict[Item, int]] = [{} for _ in range(n_buckets)]
        self._homes: dict[Item, int] = {}
        self._turn = now_ns // tick_ns

    def __len__(self) -> int:
        return len(self._homes)

    def put(self, item: Item, due_ns: int) -> None:
        """Set the deadline of `item`, in place of an earlier one."""
        self.drop(item)
        n_buckets = len(self._buckets)
        turn = min(max(due_ns // self._tick_ns + 1, self._turn + 1), self._turn + n_buckets - 1)
        home = turn % n_buckets
        self._buckets[home][item] = due_ns
        self._homes[item] = home

    def drop(self, item: Item) -> None:
        """Forget `item`, if it is there."""
        home = self._homes.pop(item, None)
        if home is not None:
            del self._buckets[home][item]

    def advance(self, now_ns: int) -> list[Item]:
        """Return the items whose deadline has passed, and forget them."""
        last = now_ns // self._tick_ns
        n_turns = min(last - self._turn, len(self._buckets))
        early: list[tuple[Item, int]] = []
        due: list[Item] = []
        for turn in range(last - n_turns + 1, last + 1):
            bucket = self._buckets[turn % len(self._buckets)]
            for item, due_ns in bucket.items():
                del self._homes[item]
                if due_ns <= now_ns:
                    due.append(item)
                else:
                    early.append((item, due_ns))
            bucket.clear()
        self._turn = max(self._turn, last)
        for item, due_ns in early:
            self.put(item, due_ns)
        return due
