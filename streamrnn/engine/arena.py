"""The arena: every session's state as one row of a preallocated array, and how many frames it has stepped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import CapacityError
from streamrnn.kernels.packing import FloatArray, aligned_zeros


class Arena:
    """Slots for the sessions of one model.

    Args:
        n_slots: fixed for life; untouched rows cost no memory.
        initial_state: (state_size,) float32, the row of a session that has seen no frame.

    Attributes:
        rows: (n_slots + 1, state_size) float32, aligned; the kernels update the rows of the slots they are given. The
            last is nobody's: a row that is kept elsewhere is stepped there.
        n_slots: rows that sessions can have.
        n_applied: (n_slots,) int64, frames that each slot's session has stepped; the kernels raise it with the row.
        counts: the same memory, quicker to read and write one by one.
        n_pending: (n_slots,) int64, frames pushed to each slot's session and not answered yet; `pending` as `counts`.
        pushed_ns: (n_slots,) int64, the clock passed with the last push to it; `pushes` as `counts`.
        initial_state: (state_size,) float32.
    """

    def __init__(self, n_slots: int, initial_state: FloatArray) -> None:
        self.n_slots = n_slots
        self.rows = aligned_zeros(n_slots + 1, initial_state.size)
        self.n_applied: NDArray[np.int64] = np.zeros(n_slots, np.int64)
        self.counts = memoryview(self.n_applied)  # type: ignore[arg-type]
        self.n_pending: NDArray[np.int64] = np.zeros(n_slots, np.int64)
        self.pending = memoryview(self.n_pending)  # type: ignore[arg-type]
        self.pushed_ns: NDArray[np.int64] = np.zeros(n_slots, np.int64)
        self.pushes = memoryview(self.pushed_ns)  # type: ignore[arg-type]
        self.initial_state = initial_state
        self._free = list(range(n_slots - 1, -1, -1))

    @property
    def n_free(self) -> int:
        """Slots that no session holds."""
        return len(self._free)

    def take(self) -> int:
        """A free slot, its row and count as of a session that has seen no frame.

        Raises:
            CapacityError: every slot is held.
        """
        if not self._free:
            raise CapacityError(f"all {self.n_slots} sessions of this model are open", max_sessions=self.n_slots)
        slot = self._free.pop()
        self.reset(slot)
        self.counts[slot] = self.pending[slot] = self.pushes[slot] = 0
        return slot

    def release(self, slot: int) -> None:
        """Give a slot back; its row keeps its values until it is taken again."""
        self._free.append(slot)

    def reset(self, slot: int) -> None:
        """Return a row to the initial state; its count goes on."""
        self.rows[slot] = self.initial_state
