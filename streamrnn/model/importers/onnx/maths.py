"""Handlers of arithmetic: maps, operations of several values, reductions, softmaxes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from math import log, prod

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.onnx.graph import Operation
from streamrnn.model.importers.onnx.values import Handler, Inputs, Value, constant, needed, numbers, symbol
from streamrnn.model.importers.tracing.composed import SELU_ALPHA, SELU_SCALE
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.importers.tracing.maths import LARGEST, Reduction
from streamrnn.model.importers.tracing.symbol import Symbol
from streamrnn.model.kinds import BinaryKind, MapKind, SoftKind


def _plain(kind: MapKind, trace: Trace, op: Operation, inputs: Inputs) -> Value:
    return trace.map(kind, symbol(inputs), name=op.path)


def _with_alpha(kind: MapKind, default: float, trace: Trace, op: Operation, inputs: Inputs) -> Value:
    return trace.map(kind, symbol(inputs), op.get("alpha", default), name=op.path)


def _hard_sigmoid(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    return trace.map("hard_sigmoid", symbol(inputs), op.get("alpha", 0.2), op.get("beta", 0.5), op.path)


def _softplus(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    return trace.map("softplus", symbol(inputs), 1.0, name=op.path)


def _negative(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    return trace.map("linear_map", symbol(inputs), -1.0, name=op.path)


def _gelu(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    kind: MapKind = "gelu_tanh" if op.get("approximate", "none") == "tanh" else "gelu"
    return trace.map(kind, symbol(inputs), name=op.path)


def _selu(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    return trace.selu(symbol(inputs), op.get("alpha", SELU_ALPHA), op.get("gamma", SELU_SCALE), op.path)


def _celu(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    return trace.celu(symbol(inputs), op.get("alpha", 1.0), op.path)


def _swish(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x, alpha = symbol(inputs), op.get("alpha", 1.0)
    if alpha == 1.0:
        return trace.map("silu", x, name=op.path)
    y = trace.map("silu", trace.map("linear_map", x, alpha))
    return trace.map("linear_map", y, 1.0 / alpha, name=op.path)


def _clip(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    bounds = []
    for i, (name, default) in enumerate((("min", -LARGEST), ("max", LARGEST)), start=1):
        value = op.get(name) if op.version < 11 else constant(inputs, i, name)
        value = default if value is None else float(np.clip(np.ravel(value)[0], -LARGEST, LARGEST))
        bounds.append(value)
    return trace.map("clamp", symbol(inputs), min(bounds), bounds[1], op.path)


def _prelu(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x, slope = symbol(inputs), needed(inputs, 1, "slope")
    if slope.size > 1:
        slope = slope.reshape([1] * (x.ndim - slope.ndim) + list(slope.shape))
    return trace.prelu(x, slope, name=op.path)


def _binary(kind: BinaryKind, trace: Trace, op: Operation, inputs: Inputs) -> Value:
    """Of two values, or of any number, one after the other."""
    return reduce(lambda a, b: _two(kind, trace, a, b, op.path), [value for value in inputs if value is not None])


def _two(kind: BinaryKind, trace: Trace, a: Value, b: Value, name: str) -> Value:
    if not isinstance(a, Symbol) and not isinstance(b, Symbol):
        functions = {"add": np.add, "maximum": np.maximum, "minimum": np.minimum}
        return np.asarray(functions[kind](a, b))
    if kind == "div" and not isinstance(b, Symbol) and not np.all(b):
        raise UnsupportedError("it divides by zero")
    return trace.binary(kind, a, b, name)


def _mean(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    n = len(inputs)
    return trace.binary("mul", symbol([_binary("add", trace, op, inputs)]), np.array(1.0 / n), op.path)


def _power(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    base, exponent = inputs[0], inputs[1]
    if not isinstance(base, Symbol):
        value = np.ravel(needed(inputs, 0, "base"))
        if value.size != 1 or value[0] <= 0:
            raise UnsupportedError("a power of a constant that is not one number above 0")
        return trace.map("exp", trace.map("linear_map", symbol(inputs, 1), log(float(value[0]))), name=op.path)
    if isinstance(exponent, Symbol):
        raise UnsupportedError(f"its exponent is computed from the input ({exponent.node!r}), expected a constant")
    values = np.ravel(needed(inputs, 1, "exponent"))
    if not np.all(values == values[0]):
        raise UnsupportedError("its exponents differ, expected one number")
    return _power_of(trace, base, float(values[0]), op.path)


def _power_of(trace: Trace, x: Symbol, exponent: float, name: str) -> Symbol:
    if exponent in {1.0, 2.0, 3.0, 4.0, 0.5, -1.0, -0.5}:
        return trace.power(x, exponent, name)
    if exponent <= 0 or exponent == int(exponent):
        raise UnsupportedError(f"the power {exponent} is not known, only -1, -0.5, 1, 2, 3, 4 and fractions above 0")
    # Of a negative value the original is NaN; of 0 this is as good as 0, for the logarithm is bounded.
    return trace.map("exp", trace.map("linear_map", trace.map("log", x), exponent), name=name)


def _compare(is_greater: bool, is_strict: bool, trace: Trace, op: Operation, inputs: Inputs) -> Value:
    """1 where it is so, else 0."""
    a, b = (inputs[0], inputs[1]) if is_greater else (inputs[1], inputs[0])
    assert a is not None and b is not None
    return trace.greater(a, b, is_strict, op.path)


def _sign(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    return trace.sign(symbol(inputs), op.path)


def _not(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    return trace.negated(symbol(inputs), op.path)


def _where(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    condition, yes, no = inputs[:3]
    assert condition is not None and yes is not None and no is not None
    return trace.choose(condition, yes, no, op.path)


# Over dimensions


def _axes(op: Operation, inputs: Inputs, x: Symbol) -> list[int]:
    axes = numbers(op, inputs, "axes", 1)
    if not axes:
        return [] if op.get("noop_with_empty_axes", 0) else list(range(x.ndim))
    return [x.dim(d) for d in axes]


def _reduce(kind: Reduction, trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x = symbol(inputs)
    return trace.reduce(kind, x, _axes(op, inputs, x), bool(op.get("keepdims", 1)), op.path)


def _reduce_of(before: MapKind, after: MapKind | None, trace: Trace, op: Operation, inputs: Inputs) -> Value:
    """A sum of mapped values, mapped."""
    x = symbol(inputs)
    y = trace.reduce("sum", trace.map(before, x), _axes(op, inputs, x), bool(op.get("keepdims", 1)), op.path)
    return y if after is None else trace.map(after, y)


def _normalised(trace: Trace, op: Operation, inputs: Inputs) -> Value:
    """LpNormalization."""
    x, axis = symbol(inputs), op.get("axis", -1)
    if op.get("p", 2) == 2:
        norm = trace.map("sqrt", trace.reduce("sum", trace.map("square", x), [axis], True))
    else:
        norm = trace.reduce("sum", trace.map("abs", x), [axis], True)
    return trace.binary("div", x, norm, op.path)


def _pooled(kind: Reduction, trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x = symbol(inputs)
    return trace.reduce(kind, x, range(2, x.ndim), True, op.path)


def _softmax(kind: SoftKind, trace: Trace, op: Operation, inputs: Inputs) -> Value:
    x = symbol(inputs)
    if op.version >= 13:
        return trace.softmax(kind, x, op.get("axis", -1), op.path)
    axis = x.dim(op.get("axis", 1))  # older versions: over all dimensions from this one on
    if axis == x.ndim - 1:
        return trace.softmax(kind, x, axis, op.path)
    flat = trace.reshape(x, (*x.shape[:axis], prod(x.shape[axis:])))
    return trace.reshape(trace.softmax(kind, flat, -1, op.path), x.shape)


_PLAIN: dict[str, MapKind] = {
    "Relu": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid", "Softsign": "softsign", "Erf": "erf", "Exp": "exp",
    "Log": "log", "Sqrt": "sqrt", "Abs": "abs", "Reciprocal": "reciprocal", "Mish": "mish", "HardSwish": "hard_swish",
}  # fmt: skip
_BINARY: dict[str, BinaryKind] = {
    "Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "Max": "maximum", "Min": "minimum", "Sum": "add",
    "And": "minimum", "Or": "maximum",
}  # fmt: skip
_REDUCTIONS: dict[str, Reduction] = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "max", "ReduceMin": "min"}


def _table() -> dict[str, Handler]:
    found: dict[str, Callable[..., Value]] = {
        "LeakyRelu": partial(_with_alpha, "leaky_relu", 0.01),
        "ThresholdedRelu": partial(_with_alpha, "thresholded_relu", 1.0),
        "Elu": partial(_with_alpha, "elu", 1.0),
        "HardSigmoid": _hard_sigmoid,
        "Softplus": _softplus,
        "Neg": _negative,
        "Gelu": _gelu,
        "Selu": _selu,
        "Celu": _celu,
        "Swish": _swish,
        "Clip": _clip,
        "PRelu": _prelu,
        "Mean": _mean,
        "Pow": _power,
        "Where": _where,
        "Greater": partial(_compare, True, True),
        "GreaterOrEqual": partial(_compare, True, False),
        "Less": partial(_compare, False, True),
        "LessOrEqual": partial(_compare, False, False),
        "Sign": _sign,
        "Not": _not,
        "ReduceL1": partial(_reduce_of, "abs", None),
        "ReduceL2": partial(_reduce_of, "square", "sqrt"),
        "ReduceSumSquare": partial(_reduce_of, "square", None),
        "ReduceLogSumExp": partial(_reduce_of, "exp", "log"),
        "LpNormalization": _normalised,
        "GlobalAveragePool": partial(_pooled, "mean"),
        "GlobalMaxPool": partial(_pooled, "max"),
        "Softmax": partial(_softmax, "softmax"),
        "LogSoftmax": partial(_softmax, "log_softmax"),
    }
    found |= {kind: partial(_plain, ours) for kind, ours in _PLAIN.items()}
    found |= {kind: partial(_binary, ours_) for kind, ours_ in _BINARY.items()}
    found |= {kind: partial(_reduce, how) for kind, how in _REDUCTIONS.items()}
    return dict(found)


MATHS = _table()
"""Handlers by ONNX' op_type."""
