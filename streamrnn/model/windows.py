"""Ops of nodes that look at windows of steps: convolutions, pools and delays, over the frames or within one."""

from __future__ import annotations

import numpy as np

from streamrnn.kernels.opcodes import DILATION, HOLD, KERNEL, LAG, LENGTH, STRIDE, TAP_STEP, Op
from streamrnn.kernels.packing import FloatArray, padded
from streamrnn.kernels.windows import EDGE, REFLECT, ZEROS
from streamrnn.model.places import Place, reserve
from streamrnn.model.program import Source, Writer
from streamrnn.model.spec import Node

LOWEST = float(np.finfo(np.float32).min)
"""Stands in a state for "nothing yet" where the largest of some values is kept: a state is finite."""
PAD_MODES = {"zeros": ZEROS, "reflect": REFLECT, "edge": EDGE}


def write_delay(writer: Writer, node: Node, source: Place) -> Place:
    """The value `lag` steps ago."""
    dst = reserve(writer, node.steps, node.size)
    _windows(writer, node, node.name, source, dst, dst.pitch, node.size)
    return dst


def write_pool(writer: Writer, node: Node, source: Place) -> Place:
    """The largest or the mean value of each channel in a window."""
    tap = padded(node.size)
    windows = reserve(writer, node.steps, node.kernel * tap)
    fill = LOWEST if node.kind == "max_pool" else 0.0
    _windows(writer, node, node.name, source, windows, windows.pitch, tap, fill)
    dst = reserve(writer, node.steps, node.size)
    taps = {KERNEL: node.kernel, TAP_STEP: tap}
    if node.kind == "max_pool":
        writer.op(
            Op.LARGEST_TAP, src=windows.offset, dst=dst.offset, n_out=tap, more=taps,
            steps=node.steps, src_step=windows.pitch, dst_step=dst.pitch,
        )  # fmt: skip
    else:
        weight = np.full((node.kernel, node.size), 1.0 / node.kernel, np.float32)
        _weighted_taps(writer, weight, np.zeros(node.size, np.float32), windows, dst)
    return dst


def write_conv(writer: Writer, node: Node, source: Place, weight: FloatArray, bias: FloatArray) -> Place:
    """A convolution by `weight` (size, channels of a group, kernel), tap after tap, the channels of a tap inside."""
    dst = reserve(writer, node.steps, node.size)
    if node.groups > 1 and node.groups == source.size == node.size:
        tap = padded(node.size)
        windows = reserve(writer, node.steps, node.kernel * tap)
        _windows(writer, node, node.name, source, windows, windows.pitch, tap)
        _weighted_taps(writer, np.ascontiguousarray(weight[:, 0].T), bias, windows, dst)
        return dst
    n_in, n_out = source.size // node.groups, node.size // node.groups
    for g in range(node.groups):
        part = source if node.groups == 1 else source.part(g * n_in, n_in)
        rows = slice(g * n_out, (g + 1) * n_out)
        taps = np.ascontiguousarray(weight[rows].transpose(0, 2, 1)).reshape(n_out, -1)
        name = node.name if node.groups == 1 else f"{node.name}.{g}"
        read = _read(writer, node, name, part)
        result = dst if node.groups == 1 else reserve(writer, node.steps, n_out)
        writer.linear([taps], result.offset, read, bias=[bias[rows]], is_exact=node.exact)
        if result is not dst:
            writer.op(
                Op.COPY, src=result.offset, dst=dst.offset + g * n_out, n_in=n_out,
                steps=node.steps, src_step=result.pitch, dst_step=dst.pitch,
            )  # fmt: skip
    return dst


def _read(writer: Writer, node: Node, name: str, source: Place) -> Source:
    """What the product of a convolution reads: the value itself where its windows are parts of it."""
    window = node.kernel * source.size
    is_pointwise = node.kernel == 1 and not node.lag and not node.hold
    is_within = node.pads == (0, 0) and node.dilation == 1 and source.is_dense and source.pitch == source.size
    if (is_pointwise and node.pads in {None, (0, 0)}) or is_within:
        first = node.stride - 1 if node.pads is None else 0  # the newest tap is the last step of a stride
        return Source(source.step(first), node.steps, node.stride * source.pitch)
    windows = reserve(writer, node.steps, window, is_dense=True)
    _windows(writer, node, name, source, windows, window, source.size)
    return windows.source()


def _windows(
    writer: Writer, node: Node, name: str, source: Place, dst: Place, pitch: int, tap: int, fill: float = 0.0
) -> None:
    """Write the op that lays a node's windows out at `dst`, `pitch` apart, their taps `tap` apart."""
    shape = {KERNEL: node.kernel, STRIDE: node.stride, DILATION: node.dilation, TAP_STEP: tap}
    value = writer.weights.vector(np.array([fill], np.float32))
    if node.pads is not None:
        more = shape | {LAG: node.pads[0], HOLD: PAD_MODES[node.pad_mode]}
        writer.op(
            Op.WINDOWS, src=source.offset, dst=dst.offset, n_in=source.size, n_out=node.steps, weights=value,
            steps=source.steps, src_step=source.pitch, dst_step=pitch, more=more,
        )  # fmt: skip
        return
    length = max(node.lag + (node.kernel - 1) * node.dilation + 1, node.stride)
    ring = np.full(length * source.size, fill, np.float32)
    state = writer.keep(f"{name}.ring", padded(ring.size) + 2, ring)
    first = writer.n_ops
    writer.op(
        Op.RING, src=source.offset, dst=dst.offset, n_in=source.size, state=state, weights=value,
        steps=source.steps, src_step=source.pitch, dst_step=pitch,
        more=shape | {LAG: node.lag, HOLD: node.hold, LENGTH: length},
    )  # fmt: skip
    writer.scan(first)


def _weighted_taps(writer: Writer, weight: FloatArray, bias: FloatArray, windows: Place, dst: Place) -> None:
    """Write the op that weighs taps channel by channel: weight (kernel, size)."""
    kernel, size = weight.shape
    tap = padded(size)
    writer.op(
        Op.WEIGHTED_TAPS, src=windows.offset, dst=dst.offset, n_out=tap, weights=writer.weights.table(weight),
        bias=writer.weights.vector(bias), steps=dst.steps, src_step=windows.pitch, dst_step=dst.pitch,
        more={KERNEL: kernel, TAP_STEP: tap},
    )  # fmt: skip
    writer.count_macs(weight.size * dst.steps)
