"""One op between an input and an output, run by the runner as in any program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from streamrnn.kernels.opcodes import DST, N_COLUMNS, N_IN, N_OUT, OPCODE, SRC, STEPS, Op
from streamrnn.kernels.packing import FloatArray, aligned_zeros, padded
from streamrnn.kernels.plan import Call, Plan
from streamrnn.kernels.runner import run_program
from streamrnn.kernels.warmup import warmup


def row(op: Op, columns: Mapping[int, int]) -> list[int]:
    """A row of a table; one step where it does not say otherwise."""
    values = {OPCODE: int(op), STEPS: 1} | dict(columns)
    return [values.get(column, 0) for column in range(N_COLUMNS)]


class OneOp:
    """An op whose source is the whole input, from the start of the work row; its result stands behind it.

    Args:
        columns: of the op.
        n_in: values of a frame.
        n_y: values from `dst` on that are answered.
        weights: the weight buffer.
        state: rows (n_sessions, n), updated in place.
    """

    def __init__(
        self,
        op: Op,
        columns: Mapping[int, int],
        n_in: int,
        n_y: int,
        weights: Sequence[float] | FloatArray = (),
        state: FloatArray | None = None,
    ) -> None:
        warmup()
        dst = padded(n_in)
        rows = [
            row(Op.INPUT, {N_IN: n_in}),
            row(Op.SCAN, {N_OUT: 1}),
            row(op, {SRC: 0, DST: dst} | dict(columns)),
            row(Op.OUTPUT, {SRC: dst, N_IN: n_y}),
        ]
        self._weights = aligned_zeros(max(len(weights), 16))
        self._weights[: len(weights)] = weights
        self.state = aligned_zeros(1, 16) if state is None else state
        self._n_y = n_y
        table = np.array(rows, np.int64)
        counts = np.zeros(len(self.state), np.int64)
        work_size = dst + padded(n_y) + 16
        self._plan = Plan(table, self._weights, self.state, counts, work_size, len(self.state))

    def run(self, x: FloatArray) -> FloatArray:
        """The outputs (n_frames, n_sessions, n_y) to frames (n_frames, n_sessions, n_in)."""
        y = np.empty((*x.shape[:2], self._n_y), np.float32)
        call = Call(self._plan)
        assert run_program(call.aim(np.arange(x.shape[1]), np.ascontiguousarray(x, np.float32), y)) == -1
        return y
