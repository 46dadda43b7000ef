"""A program, and the writer that builds one op by op: the table, the packed weights and the layout of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.opcodes import (
    BIAS,
    DST,
    DST_STEP,
    N_COLUMNS,
    N_IN,
    N_OUT,
    OPCODE,
    PAIRED,
    PRECISION,
    SRC,
    SRC_STEP,
    STATE,
    STEPS,
    WEIGHTS,
    Op,
    Precision,
)
from streamrnn.kernels.packing import FloatArray, padded
from streamrnn.kernels.simd import PANEL_SIZE
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
class Source:
    """What a matrix product reads: `steps` vectors, `pitch` elements apart, in the work row or the state row."""

    offset: int
    steps: int = 1
    pitch: int = 0
    is_state: bool = False


@dataclass(frozen=True)
class Program:
    """The compiled form of a model, as `run_program` takes it."""

    table: NDArray[np.int64]
    """(n_ops, 20), see `kernels.opcodes`."""
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
        self._initial: list[tuple[int, FloatArray]] = []
        self._rows: list[list[int]] = []
        self._scans: list[range] = []
        self._n_macs = 0

    @property
    def n_ops(self) -> int:
        """Ops written so far."""
        return len(self._rows)

    def build(self) -> Program:
        """Build the program of all that was written."""
        initial_state = np.zeros(self.state.size, np.float32)
        for offset, values in self._initial:
            initial_state[offset : offset + values.size] = values
        return Program(
            table=np.array(with_scans(self._rows, self._scans), np.int64),
            weights=self.weights.build(),
            initial_state=initial_state,
            regions=tuple(self._regions),
            work_size=self.work.size + PANEL_SIZE,  # the last value may be a part of one, read to a panel's end
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
        steps: int = 1,
        src_step: int = 0,
        dst_step: int = 0,
        more: Mapping[int, int] | None = None,
    ) -> None:
        """Write one op; what the columns mean is in `kernels.opcodes`. more: values of further columns."""
        row = [0] * N_COLUMNS
        for column, value in (
            (OPCODE, int(op)), (SRC, src), (DST, dst), (N_IN, n_in), (N_OUT, n_out),
            (WEIGHTS, weights), (BIAS, bias), (STATE, state), (PRECISION, int(precision)),
            (STEPS, steps), (SRC_STEP, src_step), (DST_STEP, dst_step), *(more or {}).items(),
        ):  # fmt: skip
            row[column] = value
        self._rows.append(row)

    def keep(self, name: str, size: int, initial: FloatArray | None = None) -> int:
        """Reserve a named region of the state row, zeros or `initial` (up to size,) at first; its offset."""
        offset = self.state.reserve(size)
        self._regions.append(StateRegion(name, offset, size))
        if initial is not None:
            self._initial.append((offset, initial))
        return offset

    def scan(self, first: int) -> None:
        """Let the ops from number `first` to the last one go frame by frame."""
        self._scans.append(range(first, len(self._rows)))

    def linear(
        self,
        gates: list[FloatArray],
        dst: int,
        source: Source,
        bias: list[FloatArray] | None = None,
        is_exact: bool = False,
    ) -> None:
        """Products of `gates`, each (n, n_in), with a source in the work row or the state row.

        The chains start at `bias`, (n,) for each gate, or go on with what is at `dst`. The results of a source's steps
        stand one after the other. is_exact: float32 weights, whatever the precision.
        """
        self._n_macs += sum(gate.size for gate in gates) * source.steps
        n_out = sum(padded(gate.shape[0]) for gate in gates)
        start = None if bias is None else self.weights.gate_vector(bias)
        precision = Precision.FLOAT32 if is_exact else self._precision
        if precision == Precision.INT8:
            self._int8_linear(gates, n_out, dst, source, start)
            return
        narrow = [to_bfloat16(gate) for gate in gates] if precision == Precision.BFLOAT16 else gates
        matrix = self.weights.matrix(narrow)
        self._product(matrix, gates, n_out, dst, source, -1 if start is None else start, precision)

    def _product(
        self,
        matrix: int,
        gates: list[FloatArray],
        n_out: int,
        dst: int,
        source: Source,
        bias: int,
        precision: Precision,
    ) -> None:
        self.op(
            Op.LINEAR_STATE if source.is_state else Op.LINEAR,
            src=0 if source.is_state else source.offset,
            dst=dst,
            n_in=gates[0].shape[1],
            n_out=n_out,
            weights=matrix,
            bias=bias,
            state=source.offset if source.is_state else -1,
            precision=precision,
            steps=source.steps,
            src_step=source.pitch,
            dst_step=n_out,
        )

    def pair(self, n_weights: int) -> None:
        """Let a lone frame take the product just written together with that over the state, if both are large.

        Not int8 ones: their sums are scaled in between. n_weights: of both.
        """
        if self._rows[-1][OPCODE] == Op.LINEAR and n_weights >= MIN_PAIRED_WEIGHTS:
            self._rows[-1][PAIRED] = 1

    def _int8_linear(self, gates: list[FloatArray], n_out: int, dst: int, source: Source, start: int | None) -> None:
        """Sum the integers' products apart, from 0, then scale them once and add them."""
        integers, scales = zip(*(to_int8(gate) for gate in gates), strict=True)
        sums = self.work.reserve(n_out * source.steps)
        zeros = self.weights.vector(np.zeros(n_out, np.float32))
        self._product(self.weights.matrix(list(integers)), gates, n_out, sums, source, zeros, Precision.INT8)
        scale = self.weights.gate_vector(list(scales))
        steps, each = source.steps, n_out
        if start is None:
            self.op(
                Op.ADD_SCALED, src=sums, dst=dst, n_out=n_out, weights=scale, steps=steps, src_step=each, dst_step=each
            )
        else:
            self.op(
                Op.AFFINE, src=sums, dst=dst, n_out=n_out, weights=scale, bias=start,
                steps=steps, src_step=each, dst_step=each,
            )  # fmt: skip

    def count_macs(self, n: int) -> None:
        """Count multiply-adds that are no matrix product."""
        self._n_macs += n


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
