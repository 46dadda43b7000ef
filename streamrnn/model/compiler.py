"""Compile a spec and its tensors to a program: a table of ops, packed weights and the layout of the state row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
from msgspec import structs

from streamrnn.kernels.opcodes import Op, Precision
from streamrnn.kernels.packing import FloatArray, padded
from streamrnn.model.cells import write_cell
from streamrnn.model.checks import BINARY, CELLS, MAPS, NORMS, POOLS, RUNNING, SOFTS, check
from streamrnn.model.places import Place, copied, copy, dense, reserve
from streamrnn.model.program import Program, Writer
from streamrnn.model.recurrences import write_diagonal, write_min_gru, write_running, write_ssm
from streamrnn.model.spec import Activation, Node, Spec
from streamrnn.model.states import State, Tensors, keep_state, write_map
from streamrnn.model.tensors import check_tensors, tensor_shapes
from streamrnn.model.windows import write_conv, write_delay, write_pool

MAX_COPIES = 4
"""Copies that make up a gather; where it takes more, it goes value by value in one op."""


def compile_program(spec: Spec, tensors: Mapping[str, FloatArray], precision: Precision = Precision.FLOAT32) -> Program:
    """Lay out the rows, pack the weights in a precision and write the table.

    Raises:
        SpecError: the spec or its tensors disagree.
    """
    check(spec)
    check_tensors(spec, tensors)
    return _Compiler(spec, tensors, precision).compile()


class _Compiler:
    """One pass over the nodes; each leaves its value in a place of the work row."""

    def __init__(self, spec: Spec, tensors: Mapping[str, FloatArray], precision: Precision) -> None:
        self._spec = spec
        self._tensors = tensors
        self._writer = Writer(precision)
        self._places: dict[str, Place] = {}
        self._kept: dict[str, tuple[State, int]] = {}

    def compile(self) -> Program:
        for node in self._spec.nodes:
            self._places[node.name] = self._write(node)
            self._store_previous()
        output = self._places[self._spec.output]
        self._writer.op(Op.OUTPUT, src=output.offset, n_in=output.size, steps=output.steps, src_step=output.pitch)
        return self._writer.build()

    def _store_previous(self) -> None:
        """Keep the values that `previous` nodes ask for, once they are there and the old ones are loaded."""
        for name, (state, first) in list(self._kept.items()):
            node = self._spec.node(name)
            if node.inputs[0] in self._places:
                source = dense(self._writer, self._places[node.inputs[0]])
                self._writer.op(Op.STORE_STATE, src=source.offset, n_in=node.steps * node.size, state=state.h)
                state.hold()
                self._writer.scan(first)
                del self._kept[name]

    def _tensors_of(self, node: Node) -> dict[str, FloatArray]:
        return {short: self._tensors[f"{node.name}.{short}"] for short in tensor_shapes(self._spec, node)}

    def _write(self, node: Node) -> Place:
        writer, tensors = self._writer, self._tensors_of(node)
        sources = [self._places[name] for name in node.inputs] if node.kind != "previous" else []
        if node.kind in MAPS:
            return self._map(node, sources[0])
        if node.kind in BINARY:
            return self._binary(node, *sources)
        if node.kind in CELLS:
            return write_cell(writer, node, sources[0], tensors)
        if node.kind in RUNNING:
            return write_running(writer, node, sources[0])
        if node.kind in POOLS:
            return write_pool(writer, node, sources[0])
        if node.kind in SOFTS | NORMS:
            return self._over_channels(node, sources[0], tensors)
        if node.kind == "ssm":
            return write_ssm(writer, node, sources, tensors)
        if node.kind == "min_gru":
            return write_min_gru(writer, node, sources[0], tensors)
        if node.kind == "diagonal":
            return write_diagonal(writer, node, sources[0], tensors)
        return self._layer(node, sources, tensors) or self._arranged(node, sources)

    def _layer(self, node: Node, sources: list[Place], tensors: Tensors) -> Place | None:
        """The kinds with tensors that look at each step alone or at windows."""
        writer = self._writer
        bias = tensors.get("bias", np.zeros(node.size, np.float32))
        match node.kind:
            case "linear":
                dst = reserve(writer, node.steps, node.size)
                writer.linear([tensors["weight"]], dst.offset, sources[0].source(), [bias], is_exact=node.exact)
                return dst
            case "conv":
                return write_conv(writer, node, sources[0], tensors["weight"], bias)
            case "embedding":
                dst = reserve(writer, 1, node.size)
                table = writer.weights.table(tensors["weight"])
                writer.op(Op.EMBEDDING, src=sources[0].offset, dst=dst.offset, n_out=padded(node.size), weights=table)
                return dst
            case "affine":
                return self._scaled(node, sources[0], tensors["scale"], tensors["shift"])
            case "prelu":
                dst = reserve(writer, node.steps, node.size)
                self._at_each_step(Op.PRELU, sources[0], dst, weights=writer.weights.vector(tensors["slope"]))
                return dst
            case "constant":
                dst = reserve(writer, node.steps, node.size)
                value = writer.weights.vector(tensors["value"])
                writer.op(
                    Op.BIAS, dst=dst.offset, n_out=padded(node.size), bias=value, steps=node.steps, dst_step=dst.pitch
                )
                return dst
        return None

    def _arranged(self, node: Node, sources: list[Place]) -> Place:
        """The kinds that take values apart and put them together, most of them without an op."""
        writer = self._writer
        match node.kind:
            case "input":
                dst = reserve(writer, node.steps, node.size, is_dense=True)
                writer.op(Op.INPUT, dst=dst.offset, n_in=node.steps * node.size, n_out=node.n_tokens)
                return dst
            case "previous":
                dst = reserve(writer, node.steps, node.size, is_dense=True)
                n_frames = -(-node.hold // node.steps)  # a value is kept and held as a whole
                state = keep_state(writer, structs.replace(node, hold=n_frames), {"": node.steps * node.size}, {})
                self._kept[node.name] = (state, writer.n_ops)
                writer.op(Op.LOAD_STATE, dst=dst.offset, n_in=node.steps * node.size, state=state.h)
                return dst
            case "delay":
                return write_delay(writer, node, sources[0])
            case "slice":
                return sources[0].part(node.start, node.size)
            case "gather":
                return self._gathered(node, sources[0])
            case "concat":
                return self._joined(node, sources)
            case "concat_steps":
                dst, t = reserve(writer, node.steps, node.size), 0
                for source in sources:
                    copy(writer, source, replace(dst, offset=dst.step(t), steps=source.steps))
                    t += source.steps
                return dst
            case "slice_steps":
                source = sources[0]
                return replace(
                    source, offset=source.step(node.start), steps=node.steps, pitch=node.stride * source.pitch,
                )  # fmt: skip
            case "fold":
                source = dense(writer, sources[0])
                return Place(source.offset, 1, node.size, padded(node.size))
            case _:
                assert node.kind == "unfold"
                return Place(sources[0].offset, node.steps, node.size, node.size)

    def _gathered(self, node: Node, source: Place) -> Place:
        """One copy for each run of neighbouring indices, if they are few."""
        dst = reserve(self._writer, node.steps, node.size)
        starts = [i for i in range(node.size) if i == 0 or node.index[i] != node.index[i - 1] + 1]
        if len(starts) > MAX_COPIES:
            places = self._writer.weights.vector(np.array(node.index, np.float32))
            self._at_each_step(Op.GATHER, source, dst, n_in=node.size, weights=places)
            return dst
        for start, end in pairwise([*starts, node.size]):
            copy(self._writer, source.part(node.index[start], end - start), dst.part(start, end - start))
        return dst

    def _joined(self, node: Node, sources: list[Place]) -> Place:
        dst, start = reserve(self._writer, node.steps, node.size), 0
        for source in sources:
            copy(self._writer, source, dst.part(start, source.size))
            start += source.size
        return dst

    def _map(self, node: Node, source: Place) -> Place:
        source = self._close(source)
        dst = reserve(self._writer, node.steps, node.size, is_dense=source.pitch == source.size)
        activation = Activation(node.kind, node.alpha, node.beta)  # type: ignore[arg-type]
        write_map(self._writer, activation, source.offset, dst.offset, source.extent)
        return dst

    def _close(self, source: Place) -> Place:
        """The value where its steps stand as close as they may, for ops that treat all of them alike."""
        is_close = source.steps == 1 or source.pitch in {source.size, padded(source.size)}
        return source if is_close else copied(self._writer, source)

    def _binary(self, node: Node, a: Place, b: Place) -> Place:
        a, b = self._close(a), self._close(b)
        if node.steps > 1 and a.pitch != b.pitch:
            a, b = (place if place.pitch == padded(node.size) else copied(self._writer, place) for place in (a, b))
        dst = reserve(self._writer, node.steps, node.size, is_dense=a.pitch == a.size)
        self._writer.op(Op[node.kind.upper()], src=a.offset, bias=b.offset, dst=dst.offset, n_out=a.extent)
        return dst

    def _at_each_step(self, op: Op, source: Place, dst: Place, *, n_in: int = 0, weights: int, bias: int = -1) -> None:
        self._writer.op(
            op, src=source.offset, dst=dst.offset, n_in=n_in, n_out=padded(dst.size), weights=weights, bias=bias,
            steps=source.steps, src_step=source.pitch, dst_step=dst.pitch,
        )  # fmt: skip

    def _scaled(self, node: Node, source: Place, scale: FloatArray, shift: FloatArray) -> Place:
        dst = reserve(self._writer, node.steps, node.size)
        weights, bias = (self._writer.weights.vector(vector) for vector in (scale, shift))
        self._at_each_step(Op.AFFINE, source, dst, weights=weights, bias=bias)
        return dst

    def _over_channels(self, node: Node, source: Place, tensors: Tensors) -> Place:
        """Softmaxes and norms; of groups, one op for all where there is one step, else one for each."""
        writer = self._writer
        dst = reserve(writer, node.steps, node.size)
        eps = writer.weights.vector(np.array([node.eps], np.float32))
        if node.kind in SOFTS:
            self._at_each_step(Op[node.kind.upper()], source, dst, n_in=node.size, weights=eps)
            return dst
        op = Op.RMS_NORM if node.kind == "rms_norm" else Op.LAYER_NORM
        size = node.size // (node.groups if node.kind == "group_norm" else 1)
        if node.steps == 1:
            groups = (replace(value, steps=node.size // size, size=size, pitch=size) for value in (source, dst))
            self._at_each_step(op, *groups, n_in=size, weights=eps)
        else:
            for start in range(0, node.size, size):
                self._at_each_step(op, source.part(start, size), dst.part(start, size), n_in=size, weights=eps)
        bias = tensors.get("bias", np.zeros(node.size, np.float32))
        return self._scaled(node, dst, tensors["weight"], bias)
