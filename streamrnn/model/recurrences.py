"""Ops of recurrences without a matrix over the state: minimal GRUs, diagonal ones, selective scans, running figures."""

from __future__ import annotations

import numpy as np

from streamrnn.kernels.opcodes import LAG, LENGTH, Op
from streamrnn.kernels.packing import padded
from streamrnn.model.places import Place, reserve
from streamrnn.model.program import Writer
from streamrnn.model.spec import Activation, Node
from streamrnn.model.states import Tensors, keep_state, write_map
from streamrnn.model.windows import LOWEST


def write_min_gru(writer: Writer, node: Node, source: Place, tensors: Tensors) -> Place:
    """`h += z * (n - h)`, gates z and n of the input alone."""
    n = padded(node.size)
    state = keep_state(writer, node, {"h": node.size}, tensors)
    gates = Place(writer.work.reserve(2 * n * node.steps), node.steps, 2 * n, 2 * n)
    dst, spare = reserve(writer, node.steps, node.size), writer.work.reserve(node.size)
    bias = tensors["bias"] if node.bias else np.zeros(2 * node.size, np.float32)
    writer.linear(np.split(tensors["weight"], 2), gates.offset, source.source(), bias=np.split(bias, 2))
    first = writer.n_ops
    for t in range(node.steps):
        z, h = gates.step(t), dst.step(t)
        write_map(writer, Activation("sigmoid"), z, z, n)
        writer.op(Op.LOAD_STATE, dst=h, n_in=node.size, state=state.h)
        writer.op(Op.SUB, src=z + n, bias=h, dst=spare, n_out=n)
        writer.op(Op.MUL_ADD, src=z, bias=spare, dst=h, n_out=n)
        writer.op(Op.STORE_STATE, src=h, n_in=node.size, state=state.h)
        state.hold()
    writer.scan(first)
    return dst


def write_diagonal(writer: Writer, node: Node, source: Place, tensors: Tensors) -> Place:
    """`h = decay * h + x`; complex numbers as real and imaginary parts, in regions of their own while they change."""
    names = ("re", "im") if node.is_complex else ("h",)
    size = node.size // len(names)
    state = keep_state(writer, node, dict.fromkeys(names, size), tensors)
    offsets = [state.h, state.c][: len(names)]
    old = [writer.work.reserve(size) for _ in names]
    new = [writer.work.reserve(size) for _ in names]
    dst = reserve(writer, node.steps, node.size)
    if node.is_complex:
        re, im = tensors["decay_re"], tensors["decay_im"]
        factors = [[re, -im], [im, re]]
    else:
        factors = [[tensors["decay"]]]
    packed = [[writer.weights.vector(factor) for factor in row] for row in factors]
    first = writer.n_ops
    for t in range(node.steps):
        for at, place in zip(offsets, old, strict=True):
            writer.op(Op.LOAD_STATE, dst=place, n_in=size, state=at)
        for i, place in enumerate(new):
            writer.op(Op.COPY, src=source.step(t) + i * size, dst=place, n_in=size)
            for factor, before in zip(packed[i], old, strict=True):
                writer.op(Op.ADD_SCALED, src=before, dst=place, n_out=padded(size), weights=factor)
        for i, (at, place) in enumerate(zip(offsets, new, strict=True)):
            writer.op(Op.STORE_STATE, src=place, n_in=size, state=at)
            writer.op(Op.COPY, src=place, dst=dst.step(t) + i * size, n_in=size)
        state.hold()
    writer.scan(first)
    return dst


def write_ssm(writer: Writer, node: Node, sources: list[Place], tensors: Tensors) -> Place:
    """Mamba's selective scan of x, delta, B and C."""
    x, delta, b, c = sources
    n, n_states = padded(node.size), b.size
    values = n_states * n
    state = keep_state(writer, node, {"h": values}, {})
    dst, both = reserve(writer, node.steps, node.size), writer.work.reserve(n_states, n_states)
    weights = writer.weights.table(np.concatenate([tensors["a"].T, tensors["d"][None]]))
    first = writer.n_ops
    for t in range(node.steps):
        for i, place in enumerate((b, c)):
            writer.op(Op.COPY, src=place.step(t), dst=both + i * padded(n_states), n_in=n_states)
        writer.op(
            Op.SSM, src=x.step(t), bias=delta.step(t), dst=dst.step(t), n_in=n_states, n_out=n, weights=weights,
            state=state.h, more={LAG: both - x.step(t), LENGTH: node.size},
        )  # fmt: skip
        state.hold()
    writer.scan(first)
    return dst


RUNNING_OPS = {
    "running_mean": Op.RUNNING_MEAN,
    "running_max": Op.RUNNING_MAX,
    "running_stats": Op.RUNNING_STATS,
    "running_norm": Op.RUNNING_NORM,
}


def write_running(writer: Writer, node: Node, source: Place) -> Place:
    """A mean, largest value, deviation or normalisation over all steps so far."""
    n, size = padded(source.size), source.size
    is_max = node.kind == "running_max"
    n_vectors = 1 if node.kind == "running_mean" else 2
    initial = {"initial_h": np.full(size, LOWEST, np.float32)} if is_max else {}
    state = keep_state(writer, node, {"h": size if is_max else n_vectors * n + 1}, initial)
    dst = reserve(writer, node.steps, node.size)
    both = writer.work.reserve(size, size) if node.kind == "running_stats" else 0
    eps = writer.weights.vector(np.array([node.eps], np.float32))
    first = writer.n_ops
    for t in range(node.steps):
        to = both or dst.step(t)
        op = RUNNING_OPS[node.kind]
        writer.op(op, src=source.step(t), dst=to, n_in=size, n_out=n, weights=eps, state=state.h)
        if both:
            for i in range(2):
                writer.op(Op.COPY, src=both + i * n, dst=dst.step(t) + i * size, n_in=size)
        state.hold()
    writer.scan(first)
    return dst
