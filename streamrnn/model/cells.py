"""Ops of recurrent cells: products of all steps at once, then step after step what needs the state.

The usual cells end in one op that does all that is element-wise; the others (projections, peepholes, other activations)
are written out in ops that every net has.
"""

from __future__ import annotations

import numpy as np

from streamrnn.kernels.opcodes import Op
from streamrnn.kernels.packing import FloatArray, padded
from streamrnn.model.kinds import MapKind
from streamrnn.model.places import Place, reserve
from streamrnn.model.program import Source, Writer
from streamrnn.model.spec import Activation, Node
from streamrnn.model.states import Tensors, keep_state, write_map
from streamrnn.model.tensors import n_gates


def write_cell(writer: Writer, node: Node, source: Place, tensors: Tensors) -> Place:
    """An rnn, lstm or gru over the steps of `source`."""
    return _Cell(writer, node, source, tensors).write()


def _usual_activations(node: Node) -> tuple[MapKind, ...]:
    if node.kind == "rnn":
        return (node.nonlinearity,)
    return ("sigmoid", "tanh") if node.kind == "gru" else ("sigmoid", "tanh", "tanh")


class _Cell:
    """Writes one cell."""

    def __init__(self, writer: Writer, node: Node, source: Place, tensors: Tensors) -> None:
        self._writer = writer
        self._node = node
        self._source = source
        self._tensors = tensors
        self._is_usual = not (node.activations or node.clip or node.peepholes or node.coupled or node.cell_size)
        self._units = node.cell_size or node.size
        self._n = padded(self._units)
        self._activations = node.activations or tuple(Activation(kind) for kind in _usual_activations(node))

    def write(self) -> Place:
        node, writer = self._node, self._writer
        parts = {"h": node.size} | ({"c": self._units} if node.kind == "lstm" else {})
        self._state = keep_state(writer, node, parts, self._tensors)
        # The gates stand apart by a fourth region in each cell: GRUs keep the state's part of the candidate there.
        pitch = 4 * self._n
        gates = Place(writer.work.reserve(node.steps * pitch), node.steps, pitch, pitch)
        self._place = reserve(writer, node.steps, node.size)
        write = {"rnn": self._rnn, "lstm": self._lstm, "gru": self._gru}[node.kind]
        write(gates)
        return self._place

    def _split(self, short: str) -> list[FloatArray]:
        return np.split(self._tensors[short], n_gates(self._node))

    def _biases(self) -> tuple[list[FloatArray], list[FloatArray]]:
        if self._node.bias:
            return self._split("bias_ih"), self._split("bias_hh")
        zeros = [np.zeros(self._units, np.float32)] * n_gates(self._node)
        return zeros, zeros

    def _product(self, gates: Place, weights: list[FloatArray], bias: list[FloatArray]) -> None:
        """The input's part of the gates, at every step."""
        source = self._source.source()
        if len(weights) * self._n == gates.pitch:  # the results of all steps then stand where the gates do
            self._writer.linear(weights, gates.offset, source, bias=bias)
        else:
            for t in range(self._node.steps):
                self._writer.linear(weights, gates.step(t), Source(self._source.step(t)), bias=bias)
        if self._node.steps == 1:
            self._writer.pair(sum(self._tensors[short].size for short in ("weight_ih", "weight_hh")))

    def _map(self, i: int, src: int, dst: int | None = None) -> None:
        """The cell's activation `i` of clipped values, in place or to `dst`."""
        if clip := self._node.clip:
            write_map(self._writer, Activation("clamp", -clip, clip), src, src, self._n)
        write_map(self._writer, self._activations[i], src, src if dst is None else dst, self._n)

    def _op(self, op: Op, src: int, dst: int, src2: int = -1) -> None:
        self._writer.op(op, src=src, dst=dst, n_out=self._n, bias=src2)  # `bias` is `SRC2` here

    def _load(self, state: int, dst: int) -> int:
        self._writer.op(Op.LOAD_STATE, dst=dst, n_in=self._units, state=state)
        return dst

    def _store(self, src: int, state: int, n: int) -> None:
        self._writer.op(Op.STORE_STATE, src=src, n_in=n, state=state)

    def _rnn(self, gates: Place) -> None:
        writer, node, h = self._writer, self._node, self._state.h
        biases = [_sum(x, y) for x, y in zip(*self._biases(), strict=True)]
        self._product(gates, self._split("weight_ih"), biases)
        recurrent = self._split("weight_hh")
        first = writer.n_ops
        for t in range(node.steps):
            at, dst = gates.step(t), self._place.step(t)
            writer.linear(recurrent, at, Source(h, is_state=True))
            if self._is_usual:
                op = Op.RNN_RELU if node.nonlinearity == "relu" else Op.RNN_TANH
                writer.op(op, src=at, dst=dst, n_out=self._n, state=h)
            else:
                self._map(0, at, dst)
                self._store(dst, h, node.size)
            self._state.hold()
        writer.scan(first)

    def _lstm(self, gates: Place) -> None:
        writer, node, state = self._writer, self._node, self._state
        biases = [_sum(x, y) for x, y in zip(*self._biases(), strict=True)]
        self._product(gates, self._split("weight_ih"), biases)
        recurrent = self._split("weight_hh")
        spare = 0 if self._is_usual else writer.work.reserve(*[self._units] * 3)
        first = writer.n_ops
        for t in range(node.steps):
            at, dst = gates.step(t), self._place.step(t)
            writer.linear(recurrent, at, Source(state.h, is_state=True))
            if self._is_usual:
                writer.op(Op.LSTM, src=at, dst=dst, n_out=self._n, state=state.h)
            else:
                self._written_lstm(at, spare, dst)
            state.hold()
        writer.scan(first)

    def _written_lstm(self, gates: int, spare: int, dst: int) -> None:
        """Gates i f g o, or i g o where f is 1 - i; ONNX' equations, with the names of PyTorch's gates."""
        writer, node, state, n = self._writer, self._node, self._state, self._n
        i, f, g, o = (gates, spare, gates + n, gates + 2 * n) if node.coupled else range(gates, gates + 4 * n, n)
        c, scratch = self._load(state.c, spare + n), spare + 2 * n
        peepholes = np.split(self._tensors["peephole"], 3) if node.peepholes else []
        if peepholes:
            self._add_scaled(c, peepholes[0], i)
        self._map(0, i)
        if node.coupled:
            write_map(writer, Activation("linear_map", -1.0, 1.0), i, f, n)
        else:
            if peepholes:
                self._add_scaled(c, peepholes[1], f)
            self._map(0, f)
        self._map(1, g)
        self._op(Op.MUL, f, c, c)
        self._op(Op.MUL_ADD, i, c, g)
        self._store(c, state.c, self._units)
        if peepholes:
            self._add_scaled(c, peepholes[2], o)
        self._map(0, o)
        write_map(writer, self._activations[2], c, scratch, n)
        if node.cell_size:
            self._op(Op.MUL, o, scratch, scratch)
            zeros = [np.zeros(node.size, np.float32)]
            writer.linear([self._tensors["weight_hr"]], dst, Source(scratch), bias=zeros)
        else:
            self._op(Op.MUL, o, dst, scratch)
        self._store(dst, state.h, node.size)

    def _add_scaled(self, src: int, scale: FloatArray, dst: int) -> None:
        self._writer.op(Op.ADD_SCALED, src=src, dst=dst, n_out=self._n, weights=self._writer.weights.vector(scale))

    def _gru(self, gates: Place) -> None:
        """Gates xn r z hn where r acts after the matmul, else r z n; both products write one run of gates each."""
        writer, node, n, h = self._writer, self._node, self._n, self._state.h
        (x_r, x_z, x_n), (h_r, h_z, h_n) = self._split("weight_ih"), self._split("weight_hh")
        (bx_r, bx_z, bx_n), (bh_r, bh_z, bh_n) = self._biases()
        b_r, b_z = _sum(bx_r, bh_r), _sum(bx_z, bh_z)
        is_after = node.reset == "after"
        if is_after:
            self._product(gates, [x_n, x_r, x_z], [bx_n, b_r, b_z])
            start = writer.weights.vector(bh_n)
            writer.op(Op.BIAS, dst=gates.offset + 3 * n, n_out=n, bias=start, steps=node.steps, dst_step=gates.pitch)
        else:
            self._product(gates, [x_r, x_z, x_n], [b_r, b_z, _sum(bx_n, bh_n)])
        spare = 0 if self._is_usual else writer.work.reserve(self._units)
        first = writer.n_ops
        for t in range(node.steps):
            at, dst = gates.step(t), self._place.step(t)
            if is_after:
                writer.linear([h_r, h_z, h_n], at + n, Source(h, is_state=True))
            else:
                writer.linear([h_r, h_z], at, Source(h, is_state=True))
            self._end_gru(at, spare, dst, h_n, is_after)
            self._state.hold()
        writer.scan(first)

    def _end_gru(self, gates: int, spare: int, dst: int, h_n: FloatArray, is_after: bool) -> None:
        writer, n, h = self._writer, self._n, self._state.h
        if self._is_usual and is_after:
            writer.op(Op.GRU, src=gates, dst=dst, n_out=n, state=h)
        elif self._is_usual:
            writer.op(Op.GRU_RESET, src=gates, dst=gates + 3 * n, n_out=n, state=h)
            writer.linear([h_n], gates + 2 * n, Source(gates + 3 * n))
            writer.op(Op.GRU_BEFORE, src=gates + n, dst=dst, n_out=n, state=h)
        elif is_after:
            new, r, z, part = range(gates, gates + 4 * n, n)
            self._map(0, r)
            self._map(0, z)
            self._op(Op.MUL_ADD, r, new, part)
            self._written_gru(new, z, spare, dst)
        else:
            r, z, new, part = range(gates, gates + 4 * n, n)
            self._map(0, r)
            self._map(0, z)
            self._op(Op.MUL, r, part, self._load(h, spare))
            writer.linear([h_n], new, Source(part))
            self._written_gru(new, z, spare, dst)

    def _written_gru(self, new: int, z: int, spare: int, dst: int) -> None:
        """`h = n + z * (h - n)`."""
        self._map(1, new)
        self._op(Op.SUB, self._load(self._state.h, spare), spare, new)
        self._writer.op(Op.COPY, src=new, dst=dst, n_in=self._n)
        self._op(Op.MUL_ADD, z, dst, spare)
        self._store(dst, self._state.h, self._units)


def _sum(a: FloatArray, b: FloatArray) -> FloatArray:
    """`a + b`, rounded once from float64: two biases become one."""
    return (a.astype(np.float64) + b).astype(np.float32)
