"""A plan: where everything is that `run_program` needs beside the frames, and the arrays that live there."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.matmul import SCRATCH_SIZE
from streamrnn.kernels.packing import FloatArray, aligned_zeros

Words = NDArray[np.int64]


class Word(IntEnum):
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


BLOCK_ROWS = 32
"""Work rows that a chunk fills at a time: enough for the speed of a batch, and they stay in the level-2 cache."""


def make_plan(
    table: Words, weights: FloatArray, arena: FloatArray, n_applied: Words, work_size: int, max_slots: int
) -> Plan:
    """Bind a program to an arena.

    Args:
        table: (n_ops, 9) int64, see `opcodes`.
        weights: float32, packed by the compiler.
        arena: (n_slots, state_size) float32, updated in place by `run_program`.
        n_applied: (n_slots,) int64, raised by the frames that each slot has stepped.
        work_size: float32 elements of a work row.
        max_slots: most slots of a call.
    """
    n_rows = max(max_slots, BLOCK_ROWS)
    work = aligned_zeros(n_rows, work_size)
    scratch = aligned_zeros(SCRATCH_SIZE)
    state_rows = np.zeros(n_rows, np.int64)
    work_rows = work.ctypes.data + np.arange(n_rows, dtype=np.int64) * work.strides[0]
    words = np.zeros(len(Word), np.int64)
    for word, value in (
        (Word.PROGRAM, table.ctypes.data),
        (Word.N_OPS, len(table)),
        (Word.WEIGHTS, weights.ctypes.data),
        (Word.ARENA, arena.ctypes.data),
        (Word.STATE_BYTES, arena.strides[0]),
        (Word.N_APPLIED, n_applied.ctypes.data),
        (Word.WORK_BYTES, work.strides[0]),
        (Word.BLOCK_ROWS, BLOCK_ROWS),
        (Word.STATE_ROWS, state_rows.ctypes.data),
        (Word.WORK_ROWS, work_rows.ctypes.data),
        (Word.SCRATCH, scratch.ctypes.data),
    ):
        words[word] = value
    return Plan(words, (table, weights, arena, n_applied, work, scratch, state_rows, work_rows))


class Plan:
    """Made by `make_plan`.

    Attributes:
        words: (12,) int64, what `run_program` takes; valid while the plan lives. One thread at a time may use it.
    """

    __slots__ = ("_arrays", "words")

    def __init__(self, words: Words, arrays: Sequence[NDArray[Any]]) -> None:
        self.words = words
        self._arrays = arrays
