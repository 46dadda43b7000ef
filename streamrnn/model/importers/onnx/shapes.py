"""Handlers that move values and compute nothing: reshapes, slices, joins, padding, look-ups."""

from __future__ import annotations

from math import prod

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.onnx.graph import Operation
from streamrnn.model.importers.onnx.values import Handler, Inputs, Result, Value, constant, needed, numbers, symbol
from streamrnn.model.importers.tracing.layers import PadMode, Trace
from streamrnn.model.importers.tracing.symbol import Symbol

UNROLLED = (
    "the time is taken apart into its steps: a loop was written out. Export RNN, GRU or LSTM as such "
    "(torch.onnx.export(..., dynamo=False)), or one step with the state handed in and out"
)


def _same(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    return symbol(inputs)


def _cast(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    from onnx import helper

    x = symbol(inputs)
    is_token = trace.node_of(x).n_tokens > 0
    to = helper.tensor_dtype_to_np_dtype(op.get("to")) if "to" in op.attributes else np.dtype(np.float32)
    if to == np.bool_ and not is_token:
        return trace.greater(trace.map("abs", x), np.array(0.0), name=op.path)
    if np.issubdtype(to, np.integer) != is_token:
        what = "whole numbers other than token ids" if is_token else f"values rounded to {to}"
        raise UnsupportedError(f"{what} are not known; frames are float32, or one token id")
    return x


def _transpose(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x = symbol(inputs)
    return trace.transpose(x, op.get("perm", list(range(x.ndim))[::-1]))


def _reshape(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x = symbol(inputs)
    shape = [int(n) for n in needed(inputs, 1, "shape")]
    if not op.get("allowzero", 0):
        shape = [x.shape[d] if n == 0 else n for d, n in enumerate(shape)]
    if x.stream is not None and -1 not in shape and prod(shape) != prod(x.shape):
        raise _written_in(trace, x, shape)
    return trace.reshape(x, shape)


def _written_in(trace: Trace, x: Symbol, shape: list[int]) -> UnsupportedError:
    """An exporter may say that a length is open, and write that of its example into a shape all the same."""
    assert x.stream is not None
    length, per_step = x.shape[x.stream], prod(x.shape) // x.shape[x.stream]
    message = f"{x.node!r} of shape {x.shape} cannot take the shape {tuple(shape)}"
    if prod(shape) % per_step:
        return UnsupportedError(message)
    n_steps = trace.n_steps - (length - prod(shape) // per_step) / x.rate
    if n_steps < 1 or n_steps != int(n_steps):
        return UnsupportedError(message)
    return UnsupportedError(f"{message}; the length of the exporter's example is written in", n_steps=int(n_steps))


def _flatten(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x = symbol(inputs)
    axis = x.dim(op.get("axis", 1))
    return trace.reshape(x, (prod(x.shape[:axis]), prod(x.shape[axis:])))


def _squeeze(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    return trace.squeeze(symbol(inputs), numbers(op, inputs, "axes", 1))


def _unsqueeze(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    return trace.unsqueeze(symbol(inputs), numbers(op, inputs, "axes", 1) or [])


def _expand(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x = symbol(inputs)
    return trace.expand(x, np.broadcast_shapes(x.shape, tuple(int(n) for n in needed(inputs, 1, "shape"))))


def _tile(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x = symbol(inputs)
    for d, n in enumerate(int(n) for n in needed(inputs, 1, "repeats")):
        if n == 1:
            continue
        if x.shape[d] == 1 and d != x.stream:
            x = trace.expand(x, [n if other == d else m for other, m in enumerate(x.shape)])
        else:
            x = trace.take(x, d, list(range(x.shape[d])) * n)
    return x


def _concat(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    parts = [value for value in inputs if value is not None]
    return trace.concat(parts, op.get("axis"))


def _slice(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x = symbol(inputs)
    starts, ends = numbers(op, inputs, "starts", 1), numbers(op, inputs, "ends", 2)
    if starts is None or ends is None:
        raise UnsupportedError("it has no starts or ends")
    axes = numbers(op, inputs, "axes", 3) or list(range(len(starts)))
    steps = numbers(op, inputs, "steps", 4) or [1] * len(starts)
    for d, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis = x.dim(d)
        places = range(x.shape[axis])[start:end:step]
        if step < 0:
            x = trace.take(x, axis, list(places))
        elif axis == x.stream and len(places) == 1 and places[0] != x.shape[axis] - 1:
            raise UnsupportedError(UNROLLED)
        elif not len(places):
            raise UnsupportedError(f"it takes nothing of {x.shape[axis]} values ({start}:{end}:{step})")
        else:
            x = trace.slice(x, axis, places.start, places.stop, step)
    return x


def _split(trace: Trace, op: Operation, inputs: Inputs) -> Result:
    x = symbol(inputs)
    axis = x.dim(op.get("axis", 0))
    sizes = numbers(op, inputs, "split", 1)
    if not sizes:
        n = op.get("num_outputs", len(op.outputs))
        size = -(-x.shape[axis] // n)
        sizes = [min(size, x.shape[axis] - i * size) for i in range(n)]
    if axis == x.stream and set(sizes) == {1}:
        raise UnsupportedError(UNROLLED)
    return trace.split(x, axis, sizes)


def _gather(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    data, ids = inputs[0], inputs[1]
    axis = op.get("axis", 0)
    if not isinstance(data, Symbol):
        table = needed(inputs, 0, "table")
        if table.ndim != 2 or axis not in {0, -2}:
            raise UnsupportedError(f"a look-up along dimension {axis} of {table.shape}, expected rows of a table")
        return trace.embedding(symbol(inputs, 1), table, op.path)
    places = needed(inputs, 1, "indices").astype(np.int64)
    axis = data.dim(axis)
    places = np.where(places < 0, places + data.shape[axis], places)
    if axis == data.stream and places.size == 1 and places != data.shape[axis] - 1:
        raise UnsupportedError(UNROLLED)
    if ids is not None and places.ndim == 0:
        return trace.select(data, axis, int(places))
    steps = set(np.diff(places.ravel()).tolist())
    if axis == data.stream and places.ndim == 1 and len(steps) <= 1 and min(steps, default=1) > 0:
        return trace.slice(data, axis, int(places[0]), int(places[-1]) + 1, int(min(steps, default=1)))
    y = trace.take(data, axis, places.ravel().tolist())
    return trace.reshape(y, (*y.shape[:axis], *places.shape, *y.shape[axis + 1 :]))


def _one_hot(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    ids, n = symbol(inputs), int(np.ravel(needed(inputs, 1, "depth"))[0])
    off, on = (float(value) for value in needed(inputs, 2, "values"))
    if op.get("axis", -1) not in {-1, ids.ndim}:
        raise UnsupportedError("its axis is not the last")
    return trace.embedding(ids, off + (on - off) * np.eye(n), op.path)


_PAD_MODES: dict[str, PadMode] = {"constant": "zeros", "reflect": "reflect", "edge": "edge"}


def _pad(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x, mode = symbol(inputs), op.get("mode", "constant")
    if mode not in _PAD_MODES:
        raise UnsupportedError(f"its mode is {mode!r}; known are {', '.join(_PAD_MODES)}")
    pads = numbers(op, inputs, "pads", 1) or []
    fill = constant(inputs, 2, "value") if op.version >= 11 else op.get("value")
    value = 0.0 if fill is None or not np.size(fill) else float(np.ravel(fill)[0])
    axes = numbers(op, inputs, "axes", 3) or list(range(x.ndim))
    for i, d in enumerate(axes):
        before, behind = pads[i], pads[i + len(axes)]
        if before or behind:
            x = trace.pad(x, d, before, behind, _PAD_MODES[mode], value)
    return x


SHAPES: dict[str, Handler] = {
    "Identity": _same,
    "Dropout": _same,
    "Cast": _cast,
    "CastLike": _cast,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Expand": _expand,
    "Tile": _tile,
    "Concat": _concat,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
    "OneHot": _one_hot,
    "Pad": _pad,
}
"""Handlers by ONNX' op_type."""
