"""Steps whose outputs nobody wants: a program up to its last op that writes state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamrnn.engine.arena import Arena
from streamrnn.kernels.opcodes import N_IN, N_OUT, OPCODE, WRITES_STATE, Op
from streamrnn.kernels.packing import FloatArray
from streamrnn.kernels.plan import Call, Plan
from streamrnn.model.program import Program


class Headless:
    """A model's program without its head, bound to an arena. Frames stepped by it are not counted.

    Args:
        program: of the model.
        arena: its rows are updated.
    """

    def __init__(self, program: Program, arena: Arena) -> None:
        counts = np.zeros(len(arena.rows), np.int64)  # not the arena's, so made-up frames are never numbered
        table = without_head(program.table)
        self._call = Call(Plan(table, program.weights, arena.rows, counts, program.work_size, 1))
        self._y = np.empty((1, 1, 1), np.float32)  # nothing is written to it

    def aim(self, slots: NDArray[np.int64], frames: FloatArray) -> int:
        """The address of a call that steps one slot (1,) by frames (n_frames, input_size)."""
        return self._call.aim(slots, frames.reshape(len(frames), 1, -1), self._y)

    def let_go(self) -> None:
        """Keep the frames no longer."""
        self._call.let_go()


def without_head(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """A program (n_ops, 20) cut off behind the last op that writes state; its output has no values."""
    writers = np.flatnonzero(np.isin(table[:-1, OPCODE], list(WRITES_STATE)))
    n_kept = int(writers[-1]) + 1 if writers.size else 1
    kept = table[[*range(n_kept), -1]]
    kept[-1, N_IN] = 0
    scans = np.flatnonzero(kept[:-1, OPCODE] == Op.SCAN)
    kept[scans, N_OUT] = np.minimum(kept[scans, N_OUT], n_kept - 1 - scans)  # a scan may have been cut, too
    return kept
