"""A plan: where everything is that stays the same from step to step; and a call: the frames that one step is about.

Both are arrays of words, mostly addresses, so that a step takes one number, and nothing is converted or allocated.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.jit import entry
from streamrnn.kernels.matmul import SCRATCH_SIZE
from streamrnn.kernels.memory import address_of
from streamrnn.kernels.opcodes import STEPS
from streamrnn.kernels.packing import FloatArray, aligned_zeros

Words = NDArray[np.int64]

BLOCK_ROWS = 32
"""Work rows that a chunk fills at a time: enough for the speed of a batch, and they stay in the level-2 cache."""


class PlanWord(IntEnum):
    """The words of a plan; addresses and sizes of rows in bytes."""

    PROGRAM = 0
    N_OPS = 1
    WEIGHTS = 2
    ARENA = 3
    STATE_BYTES = 4
    N_APPLIED = 5
    WORK_BYTES = 6
    BLOCK_ROWS = 7
    STATE_ROWS = 8
    WORK_ROWS = 9
    SCRATCH = 10
    N_STEPS = 11
    STEP_ROWS = 12


class CallWord(IntEnum):
    """The words of a call; addresses."""

    PLAN = 0
    SLOTS = 1
    N_SLOTS = 2
    X = 3
    Y = 4
    N_FRAMES = 5


class Plan:
    """A program bound to an arena. One thread at a time may step by it.

    Args:
        table: (n_ops, N_COLUMNS) int64, see `opcodes`.
        weights: float32, packed by the compiler.
        arena: (n_slots, state_size) float32, updated in place by `run_program`.
        n_applied: (n_slots,) int64, raised by the frames that each slot has stepped.
        work_size: float32 elements of a work row.
        max_slots: most slots of a call.
    """

    def __init__(
        self, table: Words, weights: FloatArray, arena: FloatArray, n_applied: Words, work_size: int, max_slots: int
    ) -> None:
        n_rows = max(max_slots, BLOCK_ROWS)
        work, scratch = aligned_zeros(n_rows, work_size), aligned_zeros(SCRATCH_SIZE)
        work_rows = work.ctypes.data + np.arange(n_rows, dtype=np.int64) * work.strides[0]
        state_rows = np.zeros(n_rows, np.int64)
        step_rows = np.zeros(int(table[:, STEPS].max()), np.int64)
        self._arrays = (table, weights, arena, n_applied, work, scratch, work_rows, state_rows, step_rows)
        self._words = np.zeros(len(PlanWord), np.int64)
        for word, value in (
            (PlanWord.PROGRAM, table.ctypes.data),
            (PlanWord.N_OPS, len(table)),
            (PlanWord.WEIGHTS, weights.ctypes.data),
            (PlanWord.ARENA, arena.ctypes.data),
            (PlanWord.STATE_BYTES, arena.strides[0]),
            (PlanWord.N_APPLIED, n_applied.ctypes.data),
            (PlanWord.WORK_BYTES, work.strides[0]),
            (PlanWord.BLOCK_ROWS, BLOCK_ROWS),
            (PlanWord.STATE_ROWS, state_rows.ctypes.data),
            (PlanWord.WORK_ROWS, work_rows.ctypes.data),
            (PlanWord.SCRATCH, scratch.ctypes.data),
            (PlanWord.STEP_ROWS, step_rows.ctypes.data),
        ):
            self._words[word] = value

    @property
    def address(self) -> int:
        """Of its words; valid while the plan lives."""
        return self._words.ctypes.data


class Call:
    """What `run_program` is given: the slots and frames of one call, or of many alike.

    Args:
        plan: steps it.

    Attributes:
        address: of its words; valid while the call lives.
    """

    __slots__ = ("_kept", "_plan", "_words", "address")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._kept: Sequence[NDArray[Any]] = ()
        self._words = np.zeros(len(CallWord), np.int64)
        self._words[CallWord.PLAN] = plan.address
        self.address: int = self._words.ctypes.data

    def aim(self, slots: Words, x: FloatArray, y: FloatArray) -> int:
        """Step `slots` (n,) by x (n_frames, n, input_size) from now on; y (n_frames, n, output_size) is written.

        Returns:
            `address`.

        Raises:
            TypeError: an array is not writeable, not contiguous or of another dtype.
        """
        aim_at(self._words, slots, x, y)
        self._kept = (slots, x, y)
        return self.address

    def let_go(self) -> None:
        """Keep the arrays no longer: the call must be aimed anew before it is used again."""
        self._kept = ()


@entry("void(int64[::1], int64[::1], float32[:,:,::1], float32[:,:,::1])", nogil=False)
def aim_at(words: Words, slots: Words, x: FloatArray, y: FloatArray) -> None:
    """Write the addresses of slots (n,), x (n_frames, n, ...) and y (n_frames, n, ...) into the words of a call."""
    words[CallWord.SLOTS] = address_of(slots)
    words[CallWord.N_SLOTS] = slots.size
    words[CallWord.X] = address_of(x)
    words[CallWord.Y] = address_of(y)
    words[CallWord.N_FRAMES] = x.shape[0]
