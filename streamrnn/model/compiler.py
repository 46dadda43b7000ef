"""Compile a spec and its tensors to a program: a table of ops, packed weights and the layout of the state row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from streamrnn.errors import SpecError
from streamrnn.kernels.opcodes import Op, Precision
from streamrnn.kernels.packing import FloatArray, padded
from streamrnn.model.program import Program, Writer
from streamrnn.model.spec import N_GATES, Node, Spec, check, tensor_shapes

MAP_OPS = {
    "tanh": Op.TANH,
    "sigmoid": Op.SIGMOID,
    "relu": Op.RELU,
    "softmax": Op.SOFTMAX,
    "log_softmax": Op.LOG_SOFTMAX,
}


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
        self._writer = Writer(precision)
        self._place: dict[str, int] = {}
        self._kept: dict[str, tuple[int, int]] = {}

    def compile(self) -> Program:
        for node in self._spec.nodes:
            self._write(node)
            self._store_previous()
        output = self._spec.node(self._spec.output)
        self._writer.op(Op.OUTPUT, src=self._place[output.name], n_in=output.size)
        return self._writer.build()

    def _store_previous(self) -> None:
        """Keep the values that `previous` nodes ask for, once they are there and the old ones are loaded."""
        for name, (state, first) in list(self._kept.items()):
            node = self._spec.node(name)
            source = self._place.get(node.inputs[0])
            if source is not None:
                self._writer.op(Op.STORE_STATE, src=source, n_in=node.size, state=state)
                self._writer.scan(first)
                del self._kept[name]

    def _tensor(self, node: Node, short: str) -> FloatArray:
        return self._tensors[f"{node.name}.{short}"]

    def _write(self, node: Node) -> None:
        if node.kind in N_GATES:
            self._cell(node)
            return
        dst = self._place[node.name] = self._writer.work.reserve(node.size)
        sources = [self._place[name] for name in node.inputs] if node.kind != "previous" else []
        n = padded(node.size)
        match node.kind:
            case "input":
                self._writer.op(Op.INPUT, dst=dst, n_in=node.size, n_out=node.n_tokens)
            case "previous":
                state = self._writer.keep(node.name, node.size)
                self._kept[node.name] = (state, self._writer.n_ops)
                self._writer.op(Op.LOAD_STATE, dst=dst, n_in=node.size, state=state)
            case "concat":
                for name, source in zip(node.inputs, sources, strict=True):
                    self._writer.op(Op.COPY, src=source, dst=dst, n_in=self._spec.node(name).size)
                    dst += self._spec.node(name).size
            case "add":
                self._writer.op(Op.ADD, src=sources[0], bias=sources[1], dst=dst, n_out=n)  # `bias` is `SRC2` here
            case "linear":
                weight = self._tensor(node, "weight")
                bias = self._tensor(node, "bias") if node.bias else np.zeros(node.size, np.float32)
                self._writer.linear([weight], dst, src=sources[0], bias=[bias])
            case "embedding":
                table = self._writer.weights.table(self._tensor(node, "weight"))
                self._writer.op(Op.EMBEDDING, src=sources[0], dst=dst, n_out=n, weights=table)
            case "affine":
                scale, shift = (self._writer.weights.vector(self._tensor(node, short)) for short in ("scale", "shift"))
                self._writer.op(Op.AFFINE, src=sources[0], dst=dst, n_out=n, weights=scale, bias=shift)
            case _:
                self._writer.op(MAP_OPS[node.kind], src=sources[0], dst=dst, n_in=node.size, n_out=n)

    def _n_weights(self, node: Node) -> int:
        return sum(self._tensor(node, short).size for short in ("weight_ih", "weight_hh"))

    def _gates(self, node: Node, short: str) -> list[FloatArray]:
        return np.split(self._tensor(node, short), N_GATES[node.kind])

    def _biases(self, node: Node) -> tuple[list[FloatArray], list[FloatArray]]:
        if node.bias:
            return self._gates(node, "bias_ih"), self._gates(node, "bias_hh")
        zeros = [np.zeros(node.size, np.float32)] * N_GATES[node.kind]
        return zeros, zeros

    def _cell(self, node: Node) -> None:
        src, n = self._place[node.inputs[0]], padded(node.size)
        h = self._writer.keep(f"{node.name}.h", node.size)
        if node.kind == "lstm":
            self._writer.keep(f"{node.name}.c", node.size)
        gates = self._writer.work.reserve(*[node.size] * 4)
        dst = self._place[node.name] = self._writer.work.reserve(node.size)
        if node.kind == "gru":
            self._gru(node, src, gates, dst, h)
            return
        op = Op.LSTM if node.kind == "lstm" else Op.RNN_RELU if node.nonlinearity == "relu" else Op.RNN_TANH
        bias = [_sum(x, h) for x, h in zip(*self._biases(node), strict=True)]
        self._writer.linear(self._gates(node, "weight_ih"), gates, src=src, bias=bias)
        self._writer.pair(self._n_weights(node))
        first = self._writer.n_ops
        self._writer.linear(self._gates(node, "weight_hh"), gates, state=h)
        self._writer.op(op, src=gates, dst=dst, n_out=n, state=h)
        self._writer.scan(first)

    def _gru(self, node: Node, src: int, gates: int, dst: int, h: int) -> None:
        """Gates xn r z hn where r acts after the matmul, else r z n; both products write one run of gates each."""
        n = padded(node.size)
        (x_r, x_z, x_n), (h_r, h_z, h_n) = self._gates(node, "weight_ih"), self._gates(node, "weight_hh")
        (bx_r, bx_z, bx_n), (bh_r, bh_z, bh_n) = self._biases(node)
        b_r, b_z = _sum(bx_r, bh_r), _sum(bx_z, bh_z)
        if node.reset == "after":
            self._writer.linear([x_n, x_r, x_z], gates, src=src, bias=[bx_n, b_r, b_z])
            self._writer.pair(self._n_weights(node))
            self._writer.op(Op.BIAS, dst=gates + 3 * n, n_out=n, bias=self._writer.weights.vector(bh_n))
            first = self._writer.n_ops
            self._writer.linear([h_r, h_z, h_n], gates + n, state=h)
            self._writer.op(Op.GRU, src=gates, dst=dst, n_out=n, state=h)
        else:
            reset = gates + 3 * n
            self._writer.linear([x_r, x_z, x_n], gates, src=src, bias=[b_r, b_z, _sum(bx_n, bh_n)])
            self._writer.pair(self._n_weights(node))
            first = self._writer.n_ops
            self._writer.linear([h_r, h_z], gates, state=h)
            self._writer.op(Op.GRU_RESET, src=gates, dst=reset, n_out=n, state=h)
            self._writer.linear([h_n], gates + 2 * n, src=reset)
            self._writer.op(Op.GRU_BEFORE, src=gates + n, dst=dst, n_out=n, state=h)
        self._writer.scan(first)


def _sum(a: FloatArray, b: FloatArray) -> FloatArray:
    """`a + b`, rounded once from float64: two biases become one."""
    return (a.astype(np.float64) + b).astype(np.float32)
