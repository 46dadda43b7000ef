"""The Keras layers that are known, and why the others are refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from streamrnn.model.importers import keras_maps, keras_windows
from streamrnn.model.importers.keras_call import Call
from streamrnn.model.importers.keras_cells import recurrent
from streamrnn.model.importers.keras_maps import activated
from streamrnn.model.importers.tracing.symbol import Symbol
from streamrnn.model.kinds import BinaryKind

EPSILON = 1e-7
"""`keras.config.epsilon()` as it comes: the least deviation of a `Normalization`."""
_ATTENTION = "attention reads frames that a stream no longer has"
REASONS = {
    "Bidirectional": "it is bidirectional, so each output needs the frames that come after it",
    **dict.fromkeys(("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention"), _ATTENTION),
    "Masking": "it masks frames by their values; a session steps each frame that it is given",
    "Lambda": "its function is Python code, which an archive does not say in a form that can be read",
    "RepeatVector": "it repeats what sums up the whole sequence, which is known at its end only",
    **dict.fromkeys(("UpSampling1D", "Conv1DTranspose"), "it makes more steps than it reads"),
    "Dot": "products of two tensors are not known here",
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), "convolutional cells are not known here"),
}
NO_OPS = (
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise",
    "ActivityRegularization", "Identity",
)  # fmt: skip


def called(call: Call) -> Any:
    """What a layer gives: a symbol, or a tuple of them.

    Raises:
        UnsupportedError: it is not known, or cannot be streamed.
    """
    handler = LAYERS.get(call.kind)
    if handler is None:
        raise call.refuse(REASONS.get(call.kind, "this kind of layer is not known"))
    policy = call.config.get("dtype")
    if isinstance(policy, dict) and "Quantized" in str(policy.get("class_name")):
        raise call.refuse("its weights are quantized; quantize the converted model instead")
    if call.kwargs.get("mask") is not None:
        raise call.refuse("it is called with a mask; a session steps each frame that it is given")
    return handler(call)


def _dense(call: Call) -> Symbol:
    kernel, bias = call.variables(True, bool(call.config.get("use_bias", True)))
    assert kernel is not None
    return activated(call, call.trace.linear(call.x, kernel.T, bias, name=call.name))


def _embedding(call: Call) -> Symbol:
    if call.config.get("mask_zero"):
        raise call.refuse("mask_zero skips the token 0; a session steps each frame that it is given")
    (table,) = call.variables(True)
    assert table is not None
    return call.trace.embedding(call.x, table, name=call.name)


def _time_distributed(call: Call) -> Symbol:
    """The layer within, with the time in the place of the batch."""
    inner = call.config["layer"]
    x = call.trace.reshape(call.x, call.x.shape[1:])
    found = called(
        Call(call.trace, inner["class_name"], inner["config"], call.weights.part("layer"), call.name, [x])
    )  # fmt: skip
    return call.trace.unsqueeze(found, [0])


def _batch_norm(call: Call) -> Symbol:
    has_scale, has_shift = (bool(call.config.get(key, True)) for key in ("scale", "center"))
    gamma, beta, mean, variance = call.variables(has_scale, has_shift, True, True)
    assert mean is not None and variance is not None
    axis = _axes(call, call.x.ndim)
    if len(axis) != 1:
        raise call.refuse(f"it has {len(axis)} axes, expected one")
    return call.trace.batch_norm(call.x, mean, variance, gamma, beta, call.config["epsilon"], axis[0], name=call.name)


def _axes(call: Call, n: int) -> list[int]:
    axis = call.config.get("axis", -1)
    return sorted(d % n for d in (axis if isinstance(axis, list | tuple) else [axis]))


def _last_axes(call: Call) -> int:
    axes, n = _axes(call, call.x.ndim), call.x.ndim
    if axes != list(range(n - len(axes), n)):
        raise call.refuse(f"it runs over the axes {axes} of {n}, expected the last ones")
    return len(axes)


def _layer_norm(call: Call) -> Symbol:
    if call.config.get("rms_scaling"):
        raise call.refuse("rms_scaling divides by the variance; use RMSNormalization")
    gamma, beta = call.variables(*(bool(call.config.get(key, True)) for key in ("scale", "center")))
    return call.trace.layer_norm(call.x, _last_axes(call), gamma, beta, call.config["epsilon"], name=call.name)


def _rms_norm(call: Call) -> Symbol:
    (scale,) = call.variables(True)
    return call.trace.rms_norm(call.x, _last_axes(call), scale, call.config["epsilon"], name=call.name)


def _group_norm(call: Call) -> Symbol:
    gamma, beta = call.variables(*(bool(call.config.get(key, True)) for key in ("scale", "center")))
    x, trace = call.x, call.trace
    (axis,) = _axes(call, x.ndim)
    order = [0, axis, *(d for d in range(1, x.ndim) if d != axis)]
    groups = int(call.config["groups"])
    y = trace.group_norm(
        trace.transpose(x, order), groups if groups > 0 else x.shape[axis], gamma, beta, call.config["epsilon"],
        name=call.name,
    )  # fmt: skip
    return trace.transpose(y, [order.index(d) for d in range(x.ndim)])


def _normalization(call: Call) -> Symbol:
    """`(x - mean) / deviation` along the axes that are kept, or its inverse."""
    x, axis = call.x, call.config.get("axis", -1)
    kept = [] if axis is None else _axes(call, x.ndim)
    mean, variance = (call.config.get(key) for key in ("mean", "variance"))
    if mean is None:
        mean, variance = call.variables(True, True)
    shape = [x.shape[d] if d in kept else 1 for d in range(x.ndim)]
    mean, variance = (
        np.broadcast_to(_along(value, kept, x.ndim), shape).astype(np.float64) for value in (mean, variance)
    )
    deviation = np.maximum(np.sqrt(variance), EPSILON)
    if call.config.get("invert"):
        return call.trace.affine(x, deviation, mean, name=call.name)
    return call.trace.affine(x, 1.0 / deviation, -mean / deviation, name=call.name)


def _along(value: Any, kept: list[int], n: int) -> Any:
    """Values for the last of the kept dimensions, shaped to be broadcast."""
    value = np.asarray(value)
    shape = [1] * n
    for i in range(1, value.ndim + 1):
        shape[kept[-i]] = value.shape[-i]
    return value.reshape(shape)


def _rescaling(call: Call) -> Symbol:
    scale, offset = (np.asarray(call.config[key], np.float64) for key in ("scale", "offset"))
    return call.trace.affine(call.x, scale, offset, name=call.name)


def _merged(kind: BinaryKind) -> Callable[[Call], Symbol]:
    def handle(call: Call) -> Symbol:
        xs = call.xs
        y = reduce(lambda a, b: call.trace.binary(kind, a, b, name=call.name), xs)
        return call.trace.map("linear_map", y, 1.0 / len(xs)) if call.kind == "Average" else y

    return handle


def _reshape(call: Call) -> Symbol:
    return call.trace.reshape(call.x, (call.x.shape[0], *call.config["target_shape"]))


def _flatten(call: Call) -> Symbol:
    keras_windows._check_order(call)
    return call.trace.reshape(call.x, (call.x.shape[0], -1))


LAYERS: dict[str, Callable[[Call], Any]] = {
    **keras_maps.LAYERS,
    **dict.fromkeys(NO_OPS, lambda call: call.x),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN"), recurrent),
    "Dense": _dense,
    "Embedding": _embedding,
    "TimeDistributed": _time_distributed,
    "Conv1D": keras_windows.conv,
    "DepthwiseConv1D": keras_windows.depthwise,
    "SeparableConv1D": keras_windows.separable,
    **dict.fromkeys(("MaxPooling1D", "AveragePooling1D"), keras_windows.pool),
    **dict.fromkeys(("GlobalMaxPooling1D", "GlobalAveragePooling1D"), keras_windows.global_pool),
    **dict.fromkeys(("ZeroPadding1D", "Cropping1D"), keras_windows.padded),
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
    "GroupNormalization": _group_norm,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    "Add": _merged("add"),
    "Average": _merged("add"),
    "Subtract": _merged("sub"),
    "Multiply": _merged("mul"),
    "Maximum": _merged("maximum"),
    "Minimum": _merged("minimum"),
    "Concatenate": lambda call: call.trace.concat(call.xs, int(call.config.get("axis", -1))),
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Permute": lambda call: call.trace.transpose(call.x, (0, *call.config["dims"])),
}
