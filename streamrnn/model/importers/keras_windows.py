"""Keras's layers over windows of steps: convolutions, pools, padding and cropping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from streamrnn.kernels.packing import FloatArray
from streamrnn.model.importers.keras_call import Call
from streamrnn.model.importers.keras_maps import activated
from streamrnn.model.importers.tracing.symbol import Symbol


def conv(call: Call) -> Symbol:
    """`Conv1D`: kernel (taps, channels of a group, filters)."""
    kernel, bias = call.variables(True, _has(call, "use_bias"))
    assert kernel is not None
    y = _convolved(call, call.x, kernel.transpose(2, 1, 0), bias, int(call.config.get("groups", 1)))
    return activated(call, y)


def depthwise(call: Call) -> Symbol:
    """`DepthwiseConv1D`: kernel (taps, channels, multiplier)."""
    kernel, bias = call.variables(True, _has(call, "use_bias"))
    assert kernel is not None
    return activated(call, _convolved(call, call.x, _of_each_channel(kernel), bias, kernel.shape[1]))


def separable(call: Call) -> Symbol:
    """`SeparableConv1D`: a convolution of each channel, then a product over the channels of a step."""
    kernel, product, bias = call.variables(True, True, _has(call, "use_bias"))
    assert kernel is not None and product is not None
    y = _convolved(call, call.x, _of_each_channel(kernel), None, kernel.shape[1])
    return activated(call, call.trace.linear(y, product[0].T, bias, name=f"{call.name}.product"))


def _of_each_channel(kernel: FloatArray) -> FloatArray:
    taps, n_channels, multiplier = kernel.shape
    return kernel.transpose(1, 2, 0).reshape(n_channels * multiplier, 1, taps)


def _convolved(call: Call, x: Symbol, weight: FloatArray, bias: FloatArray | None, groups: int) -> Symbol:
    stride, dilation = one_of(call, "strides"), one_of(call, "dilation_rate")
    pads = _pads(call, x, weight.shape[2], stride, dilation)
    y = call.trace.conv1d(
        _channels_inner(call, x), np.ascontiguousarray(weight), bias, stride, pads, dilation, groups, name=call.name
    )
    return call.trace.transpose(y, (0, 2, 1))


def pool(call: Call) -> Symbol:
    """`MaxPooling1D` and `AveragePooling1D`."""
    kernel, stride = one_of(call, "pool_size"), one_of(call, "strides")
    pads = _pads(call, call.x, kernel, stride, 1)
    is_mean = call.kind.startswith("Average")
    if is_mean and any(pads):
        raise call.refuse("its padding does not count in the means at the ends of the sequence")
    x = _channels_inner(call, call.x)
    y = call.trace.pool1d("mean" if is_mean else "max", x, kernel, stride, pads, name=call.name)
    return call.trace.transpose(y, (0, 2, 1))


def global_pool(call: Call) -> Symbol:
    """`GlobalAveragePooling1D` and `GlobalMaxPooling1D`: of all steps so far."""
    _check_order(call)
    kind = "mean" if "Average" in call.kind else "max"
    return call.trace.reduce(kind, call.x, [1], bool(call.config.get("keepdims")), name=call.name)  # type: ignore[arg-type]


def padded(call: Call) -> Symbol:
    """`ZeroPadding1D`, and `Cropping1D`, which takes away instead."""
    key, sign = ("padding", 1) if call.kind == "ZeroPadding1D" else ("cropping", -1)
    before, behind = call.config[key]
    return call.trace.pad(call.x, 1, sign * before, sign * behind)


def one_of(call: Call, key: str) -> int:
    """A number that the configuration may hold as a list of one."""
    value: Any = call.config.get(key) or 1
    return int(value[0] if isinstance(value, Sequence) else value)


def _has(call: Call, key: str) -> bool:
    return bool(call.config.get(key, True))


def _check_order(call: Call) -> None:
    if call.config.get("data_format", "channels_last") != "channels_last":
        raise call.refuse("data_format='channels_first'; only channels_last is read")


def _channels_inner(call: Call, x: Symbol) -> Symbol:
    """(batch, positions, channels) as (batch, channels, positions)."""
    _check_order(call)
    if x.ndim != 3:
        raise call.refuse(f"it reads a tensor of shape {x.shape}, expected (batch, positions, channels)")
    return call.trace.transpose(x, (0, 2, 1))


def _pads(call: Call, x: Symbol, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Zeros before and behind. Those of `same` depend on the length: that of the example, which strides divide."""
    reach = (kernel - 1) * dilation + 1
    padding, n = call.config.get("padding", "valid"), x.shape[1]
    if padding == "causal":
        return reach - 1, 0
    if padding == "same":
        n_out = -(-n // stride)
        total = max(0, (n_out - 1) * stride + reach - n)
        return total // 2, total - total // 2
    return 0, 0
