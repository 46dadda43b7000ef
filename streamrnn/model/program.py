"""A program, and the writer that builds one op by op: the table, the packed weights and the layout of its rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.opcodes import (
    BIAS,
    DST,
    N_COLUMNS,
    N_IN,
    N_OUT,
    OPCODE,
    PAIRED,
    PRECISION,
    SRC,
    STATE,
    WEIGHTS,
    Op,
    Precision,
)
from streamrnn.kernels.packing import FloatArray, padded
from streamrnn.model.layout import Row, WeightBuffer
from streamrnn.model.precision import to_bfloat16, to_int8

MIN_PAIRED_WEIGHTS = 150_000
"""Weights of a cell, over its input and its state, from which a lone frame takes a group of each in turn.

They then leave the level-2 cache, or nearly; a group of each would not fit into level 1 together in smaller cells.
"""


@dataclass(frozen=True)
class StateRegion:
    """Where a part of a session's state stands in its row (float32 elements)."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class Program:
    """The compiled form of a model, as `run_program` takes it."""

    table: NDArray[np.int64]
    """(n_ops, 10), see `kernels.opcodes`."""
    weights: FloatArray
    """(n_weights,) packed."""
    initial_state: FloatArray
    """(state_size,): the row of a session that has seen no frame."""
    regions: tuple[StateRegion, ...]
    work_size: int
    n_macs: int
    """Multiply-adds of the matrix products of one step, without padding."""

    @property
    def state_size(self) -> int:
        """Length of a state row."""
        return self.initial_state.size


class Writer:
    """Writes the ops of a program in order.

    Args:
        precision: of the matrix products.

    Attributes:
        work, state: the layouts of the two rows.
        weights: what is packed so far.
    """

    def __init__(self, precision: Precision) -> None:
        self.work = Row()
        self.state = Row()
        self.weights = WeightBuffer()
        self._precision = precision
        self._regions: list[StateRegion] = []
        self._rows: list[list[int]] = []
        self._scans: list[range] = []
        self._n_macs = 0

    @property
    def n_ops(self) -> int:
        """Ops written so far."""
        return len(self._rows)

    def build(self) -> Program:
        """Build the program of all that was written."""
        return Program(
            table=np.array(with_scans(self._rows, self._scans), np.int64),
            weights=self.weights.build(),
            initial_state=np.zeros(self.state.size, np.float32),
            regions=tuple(self._regions),
            work_size=self.work.size,
            n_macs=self._n_macs,
        )

    def op(
        self,
        op: Op,
        *,
        src: int = 0,
        dst: int = 0,
        n_in: int = 0,
        n_out: int = 0,
        weights: int = -1,
        bias: int = -1,
        state: int = -1,
        precision: Precision = Precision.FLOAT32,
    ) -> None:
        """Write one op; what the columns mean is in `kernels.opcodes`."""
        row = [0] * N_COLUMNS
        for column, value in (
            (OPCODE, int(op)), (SRC, src), (DST, dst), (N_IN, n_in), (N_OUT, n_out),
            (WEIGHTS, weights), (BIAS, bias), (STATE, state), (PRECISION, int(precision)),
        ):  # fmt: skip
            row[column] = value
        self._rows.append(row)

    def keep(self, name: str, size: int) -> int:
        """Reserve a named region of the state row; its offset."""
        offset = self.state.reserve(size)
        self._regions.append(StateRegion(name, offset, size))
        return offset

    def scan(self, first: int) -> None:
        """Let the ops from number `first` to the last one go frame by frame."""
        self._scans.append(range(first, len(self._rows)))

    def linear(
        self,
        gates: list[FloatArray],
        dst: int,
        src: int = 0,
        state: int | None = None,
        bias: list[FloatArray] | None = None,
    ) -> None:
        """Products of `gates`, each (n, n_in), with the work row at `src`, or with the state row at `state`.

        The chains start at `bias`, (n,) for each gate, or go on with what is at `dst`.
        """
        self._n_macs += sum(gate.size for gate in gates)
        n_out = sum(padded(gate.shape[0]) for gate in gates)
        start = None if bias is None else self.weights.gate_vector(bias)
        if self._precision == Precision.INT8:
            self._int8_linear(gates, n_out, dst, src, state, start)
            return
        narrow = [to_bfloat16(gate) for gate in gates] if self._precision == Precision.BFLOAT16 else gates
        self._product(self.weights.matrix(narrow), gates, n_out, dst, src, state, -1 if start is None else start)

    def _product(
        self, matrix: int, gates: list[FloatArray], n_out: int, dst: int, src: int, state: int | None, bias: int
    ) -> None:
        self.op(
            Op.LINEAR if state is None else Op.LINEAR_STATE,
            src=src,
            dst=dst,
            n_in=gates[0].shape[1],
            n_out=n_out,
            weights=matrix,
            bias=bias,
            state=-1 if state is None else state,
            precision=self._precision,
        )

    def pair(self, n_weights: int) -> None:
        """Let a lone frame take the product just written together with that over the state, if both are large.

        Not int8 ones: their sums are scaled in between. n_weights: of both.
        """
        if self._rows[-1][OPCODE] == Op.LINEAR and n_weights >= MIN_PAIRED_WEIGHTS:
            self._rows[-1][PAIRED] = 1

    def _int8_linear(
        self, gates: list[FloatArray], n_out: int, dst: int, src: int, state: int | None, start: int | None
    ) -> None:
        """Sum the integers' products apart, from 0, then scale them once and add them."""
        integers, scales = zip(*(to_int8(gate) for gate in gates), strict=True)
        sums = self.work.reserve(n_out)
        zeros = self.weights.vector(np.zeros(n_out, np.float32))
        self._product(self.weights.matrix(list(integers)), gates, n_out, sums, src, state, zeros)
        scale = self.weights.gate_vector(list(scales))
        if start is None:
            self.op(Op.ADD_SCALED, src=sums, dst=dst, n_out=n_out, weights=scale)
        else:
            self.op(Op.AFFINE, src=sums, dst=dst, n_out=n_out, weights=scale, bias=start)


def with_scans(rows: list[list[int]], scans: list[range]) -> list[list[int]]:
    """`rows` with a `SCAN` row before each run of ops that must go frame by frame; runs that overlap become one."""
    merged: list[range] = []
    for scan in sorted(scans, key=lambda scan: scan.start):
        if merged and scan.start < merged[-1].stop:
            merged[-1] = range(merged[-1].start, max(merged[-1].stop, scan.stop))
        else:
            merged.append(scan)
    starts = {scan.start: len(scan) for scan in merged}
    table: list[list[int]] = []
    for i, row in enumerate(rows):
        if i in starts:
            table.append([int(Op.SCAN) if c == OPCODE else starts[i] if c == N_OUT else 0 for c in range(N_COLUMNS)])
        table.append(row)
    return table
