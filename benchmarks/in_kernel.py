"""The time inside the kernel: `run_program` called over and over from compiled code, without Python in between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

from benchmarks.nets import Array
from streamrnn import Model
from streamrnn.kernels.jit import OPTIONS
from streamrnn.kernels.packing import aligned_zeros
from streamrnn.kernels.plan import Call, Plan
from streamrnn.kernels.runner import run_program
from streamrnn.kernels.warmup import warmup

warmup()


@njit("int64(int64, int64)", **OPTIONS)
def _repeat(n, call):  # type: ignore[no-untyped-def]
    refused = -1
    for _ in range(n):
        refused = max(refused, run_program(call))
    return refused


def repeated(model: Model, x: Array) -> tuple[Callable[[int], None], Array]:
    """A function that does `n` kernel calls with frames x (n_frames, n_sessions, input_size), and where outputs go."""
    program = model.program
    n_frames, n_sessions, _ = x.shape
    arena = aligned_zeros(n_sessions, program.state_size)
    counts, slots = np.zeros(n_sessions, np.int64), np.arange(n_sessions)
    call = Call(Plan(program.table, program.weights, arena, counts, program.work_size, n_sessions))
    y = aligned_zeros(n_frames, n_sessions, model.output_size)
    call.aim(slots, x, y)

    def repeat(n: int) -> None:
        assert _repeat(n, call.address) < 0

    return repeat, y
