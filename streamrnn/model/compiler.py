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
    SRC,
    SRC2,
    STATE,
    WEIGHTS,
    Op,
)
from streamrnn.kernels.packing import FloatArray, padded
from streamrnn.model.layout import Row, WeightBuffer
from streamrnn.model.spec import N_GATES, Node, Spec, check, tensor_shapes

MAP_OPS = {
    "tanh": Op.TANH,
    "sigmoid": Op.SIGMOID,
    "relu": Op.RELU,
    "softmax": Op.SOFTMAX,
    "log_softmax": Op.LOG_SOFTMAX,
}


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
    """(n_ops, 8), see `kernels.opcodes`."""
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


def compile_program(spec: Spec, tensors: Mapping[str, FloatArray]) -> Program:
    """Lay out the rows, pack the weights and write the table.

    Raises:
        SpecError: the spec or its tensors disagree.
    """
    check(spec)
    check_tensors(spec, tensors)
    return _Compiler(spec, tensors).compile()


class _Compiler:
    """One pass over the nodes; each leaves its value in a region of the work row."""

    def __init__(self, spec: Spec, tensors: Mapping[str, FloatArray]) -> None:
        self._spec = spec
        self._tensors = tensors
        self._work = Row()
        self._state = Row()
        self._weights = WeightBuffer()
        self._place: dict[str, int] = {}
        self._kept: dict[str, int] = {}
        self._regions: list[StateRegion] = []
        self._rows: list[list[int]] = []
        self._n_macs = 0

    def compile(self) -> Program:
        for node in self._spec.nodes:
            self._write(node)
        for node in self._spec.nodes:
            if node.kind == "previous":
                source = self._place[node.inputs[0]]
                self._op(Op.STORE_STATE, src=source, n_in=node.size, state=self._kept[node.name])
        output = self._spec.node(self._spec.output)
        self._op(Op.OUTPUT, src=self._place[output.name], n_in=output.size)
        return Program(
            table=np.array(self._rows, np.int64),
            weights=self._weights.build(),
            initial_state=np.zeros(self._state.size, np.float32),
            regions=tuple(self._regions),
            work_size=self._work.size,
            n_macs=self._n_macs,
        )

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
    ) -> None:
        row = [0] * N_COLUMNS
        for column, value in (
            (OPCODE, int(op)), (SRC, src), (DST, dst), (N_IN, n_in), (N_OUT, n_out),
            (WEIGHTS, weights), (BIAS, bias), (STATE, state),
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
                kept = self._kept[node.name] = self._keep(node.name, node.size)
                self._op(Op.LOAD_STATE, dst=dst, n_in=node.size, state=kept)
            case "concat":
                for name, source in zip(node.inputs, sources, strict=True):
                    self._op(Op.COPY, src=source, dst=dst, n_in=self._spec.node(name).size)
                    dst += self._spec.node(name).size
            case "add":
                self._rows.append(self._two_sources(Op.ADD, sources, dst, n))
            case "linear":
                weight = self._tensor(node, "weight")
                bias = self._tensor(node, "bias") if node.bias else np.zeros(node.size, np.float32)
                self._bias(dst, [bias])
                self._linear([weight], dst, src=sources[0])
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

    def _bias(self, dst: int, gates: list[FloatArray]) -> None:
        """Start the chains of the gates at `dst`; each of `gates` is (n,)."""
        n_out = sum(padded(gate.size) for gate in gates)
        self._op(Op.BIAS, dst=dst, n_out=n_out, bias=self._weights.gate_vector(gates))

    def _linear(self, gates: list[FloatArray], dst: int, src: int = 0, state: int | None = None) -> None:
        """Add the products of `gates`, each (n, n_in), with the work row at `src`, or with the state row at `state`."""
        self._n_macs += sum(gate.size for gate in gates)
        self._op(
            Op.LINEAR if state is None else Op.LINEAR_STATE,
            src=src,
            dst=dst,
            n_in=gates[0].shape[1],
            n_out=sum(padded(gate.shape[0]) for gate in gates),
            weights=self._weights.matrix(gates),
            state=-1 if state is None else state,
        )

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
        self._bias(gates, [_sum(x, h) for x, h in zip(*self._biases(node), strict=True)])
        self._linear(self._gates(node, "weight_ih"), gates, src=src)
        self._linear(self._gates(node, "weight_hh"), gates, state=h)
        self._op(op, src=gates, dst=dst, n_out=n, state=h)

    def _gru(self, node: Node, src: int, gates: int, dst: int, h: int) -> None:
        """Gates xn r z hn where r acts after the matmul, else r z n; both products write one run of gates each."""
        n = padded(node.size)
        (x_r, x_z, x_n), (h_r, h_z, h_n) = self._gates(node, "weight_ih"), self._gates(node, "weight_hh")
        (bx_r, bx_z, bx_n), (bh_r, bh_z, bh_n) = self._biases(node)
        b_r, b_z = _sum(bx_r, bh_r), _sum(bx_z, bh_z)
        if node.reset == "after":
            self._bias(gates, [bx_n, b_r, b_z, bh_n])
            self._linear([x_n, x_r, x_z], gates, src=src)
            self._linear([h_r, h_z, h_n], gates + n, state=h)
            self._op(Op.GRU, src=gates, dst=dst, n_out=n, state=h)
        else:
            reset = gates + 3 * n
            self._bias(gates, [b_r, b_z, _sum(bx_n, bh_n)])
            self._linear([x_r, x_z, x_n], gates, src=src)
            self._linear([h_r, h_z], gates, state=h)
            self._op(Op.GRU_RESET, src=gates, dst=reset, n_out=n, state=h)
            self._linear([h_n], gates + 2 * n, src=reset)
            self._op(Op.GRU_BEFORE, src=gates + n, dst=dst, n_out=n, state=h)


def _sum(a: FloatArray, b: FloatArray) -> FloatArray:
    """`a + b`, rounded once from float64: two biases become one."""
    return (a.astype(np.float64) + b).astype(np.float32)
