"""Handlers of layers with weights: products, convolutions, norms, windows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.onnx.graph import Array, Operation
from streamrnn.model.importers.onnx.values import Handler, Inputs, Value, constant, given, needed, symbol
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.importers.tracing.symbol import Symbol


def _matmul(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    """A third input is the bias that the next operation adds."""
    a, b = inputs[0], inputs[1]
    bias = constant(inputs, 2, "bias")
    if isinstance(a, Symbol) and isinstance(b, Symbol):
        raise UnsupportedError(
            f"a product of {a.node!r} and {b.node!r}, which both come from the input (attention is such): "
            "expected weights on one side"
        )
    if isinstance(a, Symbol):
        weight = needed(inputs, 1, "weights")
        if weight.ndim == 1:
            return trace.squeeze(trace.linear(a, weight[None], bias, op.path), [-1])
        y = trace.linear(a, _matrix(weight).T, bias, op.path)
        return trace.unsqueeze(y, range(weight.ndim - y.ndim)) if weight.ndim > y.ndim else y
    x, weight = symbol(inputs, 1), needed(inputs, 0, "weights")
    if x.ndim == 1 or weight.ndim == 1:
        raise UnsupportedError(f"weights of shape {weight.shape} times {x.shape}, expected matrices")
    order = [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2]
    y = trace.transpose(trace.linear(trace.transpose(x, order), _matrix(weight), None, op.path), order)
    return y if bias is None else trace.binary("add", y, bias)


def _matrix(weight: Array) -> Array:
    if any(n != 1 for n in weight.shape[:-2]):
        raise UnsupportedError(f"weights of shape {weight.shape}: another matrix for each part of the input")
    return weight.reshape(weight.shape[-2:])


def _gemm(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    a, b, c = inputs[0], inputs[1], given(inputs, 2)
    alpha, beta = op.get("alpha", 1.0), op.get("beta", 1.0)
    is_symbol = isinstance(a, Symbol)
    if is_symbol and isinstance(b, Symbol):
        return _matmul(trace, op, [a, b])  # refused there
    x, weight = symbol(inputs, 0 if is_symbol else 1), needed(inputs, 1 if is_symbol else 0, "weights")
    # With the weights on the left, all is transposed: y.T = B.T A.T.
    flip_x, flip_w = ("transA", "transB") if is_symbol else ("transB", "transA")
    x = trace.transpose(x, [1, 0]) if bool(op.get(flip_x, 0)) == is_symbol else x
    weight = weight if bool(op.get(flip_w, 0)) == is_symbol else weight.T
    bias = None
    if is_symbol and not isinstance(c, Symbol) and c is not None and np.shape(c)[-1:] == (c.size,) == (len(weight),):
        bias, c = beta * c.ravel(), None
    y = trace.linear(x, alpha * weight, bias, op.path)
    y = y if is_symbol else trace.transpose(y, [1, 0])
    if c is None:
        return y
    if isinstance(c, Symbol):
        c = c if beta == 1.0 else trace.map("linear_map", c, beta)
    else:
        c = beta * c
    return trace.binary("add", y, c)


# Windows


def _pads(op: Operation, lengths: Sequence[int], kernel: Sequence[int], strides: Sequence[int],
          dilations: Sequence[int]) -> list[tuple[int, int]]:  # fmt: skip
    """Zeros before and behind each dimension, also where `auto_pad` leaves them to the lengths."""
    n = len(kernel)
    how = op.get("auto_pad", "NOTSET")
    if how == "VALID":
        return [(0, 0)] * n
    if how == "NOTSET":
        pads = op.get("pads") or [0] * 2 * n
        return [(pads[i], pads[i + n]) for i in range(n)]
    found = []
    for length, k, stride, dilation in zip(lengths, kernel, strides, dilations, strict=True):
        total = max((-(-length // stride) - 1) * stride + (k - 1) * dilation + 1 - length, 0)
        less, more = total // 2, total - total // 2
        found.append((less, more) if how == "SAME_UPPER" else (more, less))
    return found


def _window(op: Operation, x: Symbol, kernel: Sequence[int]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Strides, dilations and pads over each of the dimensions behind (batch, channels)."""
    if x.ndim != len(kernel) + 2:
        raise UnsupportedError(f"windows of {list(kernel)} over the shape {x.shape}")
    strides, dilations = op.get("strides") or [1] * len(kernel), op.get("dilations") or [1] * len(kernel)
    return strides, dilations, _pads(op, x.shape[2:], kernel, strides, dilations)


def _conv(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x, weight, bias = symbol(inputs), needed(inputs, 1, "weights"), constant(inputs, 2, "bias")
    strides, dilations, pads = _window(op, x, weight.shape[2:])
    gone: list[int] = []
    for i in reversed(range(len(strides))):
        if len(strides) - len(gone) > 1 and x.shape[i + 2] == 1 and i + 2 != x.stream:
            weight = _tap(weight, i + 2, dilations[i], pads[i])
            gone.append(i)
    left = [i for i in range(len(strides)) if i not in gone]
    if len(left) > 1:
        raise UnsupportedError(
            f"a convolution over {len(left)} dimensions of {x.shape}; known are one, and more where the others "
            "have length 1"
        )
    i = left[0]
    y = trace.conv1d(
        trace.squeeze(x, [d + 2 for d in gone]), weight, bias, strides[i], pads[i], dilations[i],
        op.get("group", 1), name=op.path,
    )  # fmt: skip
    return trace.unsqueeze(y, [d + 2 for d in gone])


def _tap(weight: Array, dim: int, dilation: int, pads: tuple[int, int]) -> Array:
    """The weights without a dimension of which the input has one place: those that fall on it."""
    n = sum(pads) + 1 - (weight.shape[dim] - 1) * dilation
    if n != 1:
        raise UnsupportedError(f"a convolution that makes {n} places of one")
    if pads[0] % dilation:
        return np.zeros_like(weight.take(0, axis=dim))
    return np.asarray(weight.take(pads[0] // dilation, axis=dim))


def _pool(kind: Literal["max", "mean"], trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x, kernel = symbol(inputs), op.get("kernel_shape")
    strides, dilations, pads = _window(op, x, kernel)
    if len(op.outputs) > 1 and op.outputs[1]:
        raise UnsupportedError("the places of the largest values are asked for")
    gone = [i for i in range(len(kernel)) if len(kernel) > 1 and x.shape[i + 2] == 1 and kernel[i] == 1]
    left = [i for i in range(len(kernel)) if i not in gone]
    if len(left) != 1 or any(pads[i] != (0, 0) for i in gone):
        raise UnsupportedError(f"windows over several dimensions of {x.shape}; known is one")
    i = left[0]
    n = x.shape[i + 2] + sum(pads[i]) - (kernel[i] - 1) * dilations[i] - 1
    if op.get("ceil_mode", 0) and n % strides[i] and x.stream != i + 2:
        raise UnsupportedError("its last window is cut short (ceil_mode)")
    if kind == "mean" and any(pads[i]) and not op.get("count_include_pad", 0):
        raise UnsupportedError("its padding does not count in the mean (count_include_pad = 0)")
    y = trace.pool1d(
        kind, trace.squeeze(x, [d + 2 for d in gone]), kernel[i], strides[i], pads[i], dilations[i], op.path
    )
    return trace.unsqueeze(y, [d + 2 for d in gone])


# Norms


def _batch_norm(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    if op.get("training_mode", 0):
        raise UnsupportedError("it is in training mode: its figures are those of the batch")
    scale, bias, mean, variance = (
        needed(inputs, i, what) for i, what in enumerate(("scale", "bias", "mean", "variance"), start=1)
    )
    return trace.batch_norm(symbol(inputs), mean, variance, scale, bias, op.get("epsilon", 1e-5), 1, op.path)


def _layer_norm(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x = symbol(inputs)
    axis = x.dim(op.get("axis", -1))
    shape = tuple(1 if d == x.stream else n for d, n in enumerate(x.shape))[axis:]
    weight, bias = (constant(inputs, i, what) for i, what in ((1, "scale"), (2, "bias")))
    weight, bias = (None if value is None else np.broadcast_to(value, shape) for value in (weight, bias))
    eps = op.get("epsilon", 1e-5)
    if op.kind == "RMSNormalization":
        return trace.rms_norm(x, x.ndim - axis, weight, eps, op.path)
    return trace.layer_norm(x, x.ndim - axis, weight, bias, eps, op.path)


def _group_norm(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    """GroupNormalization, and InstanceNormalization: groups of one channel."""
    x, scale, bias = symbol(inputs), needed(inputs, 1, "scale"), needed(inputs, 2, "bias")
    groups = op.get("num_groups", x.shape[1])
    if len(scale) == groups != x.shape[1]:  # version 18 had one scale for each group
        scale, bias = (np.repeat(value, x.shape[1] // groups) for value in (scale, bias))
    return trace.group_norm(x, groups, scale, bias, op.get("epsilon", 1e-5), op.path)


LAYERS: dict[str, Handler] = {
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    "MaxPool": partial(_pool, "max"),
    "AveragePool": partial(_pool, "mean"),
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _group_norm,
}
"""Handlers by ONNX' op_type."""
