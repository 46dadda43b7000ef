"""The arena: every session's state as one row of a preallocated array."""

from __future__ import annotations

from streamrnn.errors import CapacityError
from streamrnn.kernels.packing import FloatArray, aligned_zeros


class Arena:
    """Slots for the sessions of one model.

    Args:
        n_slots: fixed for life; untouched rows cost no memory.
        initial_state: (state_size,) float32, the row of a session that has seen no frame.

    Attributes:
        rows: (n_slots, state_size) float32, aligned; the kernels update the rows of the slots they are given.
    """

    def __init__(self, n_slots: int, initial_state: FloatArray) -> None:
        self.rows = aligned_zeros(n_slots, initial_state.size)
        self._initial_state = initial_state
        self._free = list(range(n_slots - 1, -1, -1))

    @property
    def n_slots(self) -> int:
        """Rows in all."""
        return len(self.rows)

    @property
    def n_free(self) -> int:
        """Slots that no session holds."""
        return len(self._free)

    def take(self) -> int:
        """A free slot, its row as of a session that has seen no frame.

        Raises:
            CapacityError: every slot is held.
        """
        if not self._free:
            raise CapacityError(f"all {self.n_slots} sessions of this model are open", max_sessions=self.n_slots)
        slot = self._free.pop()
        self.reset(slot)
        return slot

    def release(self, slot: int) -> None:
        """Give a slot back; its row keeps its values until it is taken again."""
        self._free.append(slot)

    def reset(self, slot: int) -> None:
        """Return a row to the initial state."""
        self.rows[slot] = self._initial_state
