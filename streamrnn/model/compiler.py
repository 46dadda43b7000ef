"""Compile a spec and its tensors to a program: a table of ops, packed weights and the layout of the state row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import SpecError
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
    SRC2,
    STATE,
    WEIGHTS,
    Op,
    Precision,
)
from streamrnn.kernels.packing import FloatArray, padded
from streamrnn.model.layout import Row, WeightBuffer
from streamrnn.model.precision import to_bfloat16, to_int8
from streamrnn.model.spec import N_GATES, Node, Spec, check, tensor_shapes

MAP_OPS = {
    "tanh": Op.TANH,
    "sigmoid": Op.SIGMOID,
    "relu": Op.RELU,
    "softmax": Op.SOFTMAX,
    "log_softmax": Op.LOG_SOFTMAX,
}

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


def check_tensors(spec: Spec, tensors: Mapping[str, FloatArray]) -> None:
    """Check that every tensor of the spec is there, float32, finite and of its shape.

    Raises:
        SpecError: names the tensor and what was expected.
    """
    expected: set[str] = set()
    for node in spec.nodes:
        for short, shape in tensor_shapes(spec, node).items():
            name = f"{node.name}.{short}"
            expected.add(name)
            if name not in tensors:
                raise SpecError(f"tensor {name!r} of shape {shape} is missing")
            tensor = tensors[name]
            if tensor.dtype != np.float32 or tensor.shape != shape:
                raise SpecError(f"tensor {name!r} must be float32 of shape {shape}, got {tensor.dtype} {tensor.shape}")
            if not np.isfinite(tensor).all():
                raise SpecError(f"tensor {name!r} holds NaN or Inf")
    if unknown := sorted(set(tensors) - expected):
        raise SpecError(f"tensor {unknown[0]!r} belongs to no node of the spec")


def compile_program(spec: Spec, tensors: Mapping[str, FloatArray], precision: Precision = Precision.FLOAT32) -> Program:
    """Lay out the rows, pack the weights in a precision and write the table.

    Raises:
        SpecError: the spec or its tensors disagree.
    """
    check(spec)
    check_tensors(spec, tensors)
    return _Compiler(spec, tensors, precision).compile()


class _Compiler:
    """One pass over the nodes; each leaves its value in a region of the work row."""

    def __init__(self, spec: Spec, tensors: Mapping[str, FloatArray], precision: Precision) -> None:
        self._spec = spec
        self._tensors = tensors
        self._precision = precision
        self._work = Row()
        self._state = Row()
        self._weights = WeightBuffer()
        self._place: dict[str, int] = {}
        self._kept: dict[str, tuple[int, int]] = {}
        self._regions: list[StateRegion] = []
        self._rows: list[list[int]] = []
        self._scans: list[range] = []
        self._n_macs = 0

    def compile(self) -> Program:
        for node in self._spec.nodes:
            self._write(node)
            self._store_previous()
        output = self._spec.node(self._spec.output)
        self._op(Op.OUTPUT, src=self._place[output.name], n_in=output.size)
        return Program(
            table=np.array(with_scans(self._rows, self._scans), np.int64),
            weights=self._weights.build(),
            initial_state=np.zeros(self._state.size, np.float32),
            regions=tuple(self._regions),
            work_size=self._work.size,
            n_macs=self._n_macs,
        )

    def _store_previous(self) -> None:
        """Keep the values that `previous` nodes ask for, once they are there and the old ones are loaded."""
        for name, (state, first) in list(self._kept.items()):
            node = self._spec.node(name)
            source = self._place.get(node.inputs[0])
            if source is not None:
                self._op(Op.STORE_STATE, src=source, n_in=node.size, state=state)
                self._scans.append(range(first, len(self._rows)))
                del self._kept[name]

    def _op(
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
        row = [0] * N_COLUMNS
        for column, value in (
            (OPCODE, int(op)), (SRC, src), (DST, dst), (N_IN, n_in), (N_OUT, n_out),
            (WEIGHTS, weights), (BIAS, bias), (STATE, state), (PRECISION, int(precision)),
        ):  # fmt: skip
            row[column] = value
        self._rows.append(row)

    def _tensor(self, node: Node, short: str) -> FloatArray:
        return self._tensors[f"{node.name}.{short}"]

    def _keep(self, name: str, size: int) -> int:
        offset = self._state.reserve(size)
        self._regions.append(StateRegion(name, offset, size))
        return offset

    def _write(self, node: Node) -> None:
        if node.kind in N_GATES:
            self._cell(node)
            return
        dst = self._place[node.name] = self._work.reserve(node.size)
        sources = [self._place[name] for name in node.inputs] if node.kind != "previous" else []
        n = padded(node.size)
        match node.kind:
            case "input":
                self._op(Op.INPUT, dst=dst, n_in=node.size, n_out=node.n_tokens)
            case "previous":
                state = self._keep(node.name, node.size)
                self._kept[node.name] = (state, len(self._rows))
                self._op(Op.LOAD_STATE, dst=dst, n_in=node.size, state=state)
            case "concat":
                for name, source in zip(node.inputs, sources, strict=True):
                    self._op(Op.COPY, src=source, dst=dst, n_in=self._spec.node(name).size)
                    dst += self._spec.node(name).size
            case "add":
                self._rows.append(self._two_sources(Op.ADD, sources, dst, n))
            case "linear":
                weight = self._tensor(node, "weight")
                bias = self._tensor(node, "bias") if node.bias else np.zeros(node.size, np.float32)
                self._linear([weight], dst, src=sources[0], bias=[bias])
            case "embedding":
                table = self._weights.table(self._tensor(node, "weight"))
                self._op(Op.EMBEDDING, src=sources[0], dst=dst, n_out=n, weights=table)
            case "affine":
                scale, shift = (self._weights.vector(self._tensor(node, short)) for short in ("scale", "shift"))
                self._op(Op.AFFINE, src=sources[0], dst=dst, n_out=n, weights=scale, bias=shift)
            case _:
                self._op(MAP_OPS[node.kind], src=sources[0], dst=dst, n_in=node.size, n_out=n)

    @staticmethod
    def _two_sources(op: Op, sources: list[int], dst: int, n_out: int) -> list[int]:
        row = [0] * N_COLUMNS
        row[OPCODE], row[SRC], row[SRC2], row[DST], row[N_OUT] = int(op), sources[0], sources[1], dst, n_out
        return row

    def _linear(
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
        start = None if bias is None else self._weights.gate_vector(bias)
        if self._precision == Precision.INT8:
            self._int8_linear(gates, n_out, dst, src, state, start)
            return
        narrow = [to_bfloat16(gate) for gate in gates] if self._precision == Precision.BFLOAT16 else gates
        self._product(self._weights.matrix(narrow), gates, n_out, dst, src, state, -1 if start is None else start)

    def _product(
        self, matrix: int, gates: list[FloatArray], n_out: int, dst: int, src: int, state: int | None, bias: int
    ) -> None:
        self._op(
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

    def _pair(self, node: Node) -> None:
        """Let a lone frame take the product just written together with that over the state, if both are large.

        Not int8 ones: their sums are scaled in between.
        """
        n_weights = sum(self._tensor(node, short).size for short in ("weight_ih", "weight_hh"))
        if self._rows[-1][OPCODE] == Op.LINEAR and n_weights >= MIN_PAIRED_WEIGHTS:
            self._rows[-1][PAIRED] = 1

    def _int8_linear(
        self, gates: list[FloatArray], n_out: int, dst: int, src: int, state: int | None, start: int | None
    ) -> None:
        """Sum the integers' products apart, from 0, then scale them once and add them."""
        integers, scales = zip(*(to_int8(gate) for gate in gates), strict=True)
        sums = self._work.reserve(n_out)
        zeros = self._weights.vector(np.zeros(n_out, np.float32))
        self._product(self._weights.matrix(list(integers)), gates, n_out, sums, src, state, zeros)
        scale = self._weights.gate_vector(list(scales))
        if start is None:
            self._op(Op.ADD_SCALED, src=sums, dst=dst, n_out=n_out, weights=scale)
        else:
            self._op(Op.AFFINE, src=sums, dst=dst, n_out=n_out, weights=scale, bias=start)

    def _gates(self, node: Node, short: str) -> list[FloatArray]:
        return np.split(self._tensor(node, short), N_GATES[node.kind])

    def _biases(self, node: Node) -> tuple[list[FloatArray], list[FloatArray]]:
        if node.bias:
            return self._gates(node, "bias_ih"), self._gates(node, "bias_hh")
        zeros = [np.zeros(node.size, np.float32)] * N_GATES[node.kind]
        return zeros, zeros

    def _cell(self, node: Node) -> None:
        src, n = self._place[node.inputs[0]], padded(node.size)
        h = self._keep(f"{node.name}.h", node.size)
        if node.kind == "lstm":
            self._keep(f"{node.name}.c", node.size)
        gates = self._work.reserve(*[node.size] * 4)
        dst = self._place[node.name] = self._work.reserve(node.size)
        if node.kind == "gru":
            self._gru(node, src, gates, dst, h)
            return
        op = Op.LSTM if node.kind == "lstm" else Op.RNN_RELU if node.nonlinearity == "relu" else Op.RNN_TANH
        bias = [_sum(x, h) for x, h in zip(*self._biases(node), strict=True)]
        self._linear(self._gates(node, "weight_ih"), gates, src=src, bias=bias)
        self._pair(node)
        first = len(self._rows)
        self._linear(self._gates(node, "weight_hh"), gates, state=h)
        self._op(op, src=gates, dst=dst, n_out=n, state=h)
        self._scans.append(range(first, len(self._rows)))

    def _gru(self, node: Node, src: int, gates: int, dst: int, h: int) -> None:
        """Gates xn r z hn where r acts after the matmul, else r z n; both products write one run of gates each."""
        n = padded(node.size)
        (x_r, x_z, x_n), (h_r, h_z, h_n) = self._gates(node, "weight_ih"), self._gates(node, "weight_hh")
        (bx_r, bx_z, bx_n), (bh_r, bh_z, bh_n) = self._biases(node)
        b_r, b_z = _sum(bx_r, bh_r), _sum(bx_z, bh_z)
        if node.reset == "after":
            self._linear([x_n, x_r, x_z], gates, src=src, bias=[bx_n, b_r, b_z])
            self._pair(node)
            self._op(Op.BIAS, dst=gates + 3 * n, n_out=n, bias=self._weights.vector(bh_n))
            first = len(self._rows)
            self._linear([h_r, h_z, h_n], gates + n, state=h)
            self._op(Op.GRU, src=gates, dst=dst, n_out=n, state=h)
        else:
            reset = gates + 3 * n
            self._linear([x_r, x_z, x_n], gates, src=src, bias=[b_r, b_z, _sum(bx_n, bh_n)])
            self._pair(node)
            first = len(self._rows)
            self._linear([h_r, h_z], gates, state=h)
            self._op(Op.GRU_RESET, src=gates, dst=reset, n_out=n, state=h)
            self._linear([h_n], gates + 2 * n, src=reset)
            self._op(Op.GRU_BEFORE, src=gates + n, dst=dst, n_out=n, state=h)
        self._scans.append(range(first, len(self._rows)))


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


def _sum(a: FloatArray, b: FloatArray) -> FloatArray:
    """`a + b`, rounded once from float64: two biases become one."""
    return (a.astype(np.float64) + b).astype(np.float32)
