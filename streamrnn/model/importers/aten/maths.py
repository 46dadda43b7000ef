"""Arithmetic and activations: one value to one, two values to one."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.aten.table import Call, constant, op
from streamrnn.model.importers.tracing.maths import LARGEST
from streamrnn.model.importers.tracing.symbol import Symbol
from streamrnn.model.kinds import BinaryKind, MapKind

MAPS: dict[str, tuple[MapKind, float, float]] = {
    "tanh": ("tanh", 0, 0),
    "sigmoid": ("sigmoid", 0, 0),
    "relu": ("relu", 0, 0),
    "relu6": ("clamp", 0, 6),
    "silu": ("silu", 0, 0),
    "mish": ("mish", 0, 0),
    "hardsigmoid": ("hard_sigmoid", 1 / 6, 0.5),
    "hardswish": ("hard_swish", 0, 0),
    "exp": ("exp", 0, 0),
    "log": ("log", 0, 0),
    "sqrt": ("sqrt", 0, 0),
    "square": ("square", 0, 0),
    "abs": ("abs", 0, 0),
    "neg": ("linear_map", -1, 0),
    "reciprocal": ("reciprocal", 0, 0),
    "erf": ("erf", 0, 0),
}
SCALES = {"log2": 1 / np.log(2), "log10": 1 / np.log(10)}


@op(*MAPS)
def mapped(call: Call, x: Symbol) -> Symbol:
    """A map that needs no parameters."""
    kind, alpha, beta = MAPS[call.op.removeprefix("aten.")]
    return call.trace.map(kind, x, alpha, beta)


@op("log2", "log10")
def scaled_log(call: Call, x: Symbol) -> Symbol:
    """A logarithm of another base."""
    return call.trace.map("linear_map", call.trace.map("log", x), SCALES[call.op.removeprefix("aten.")])


@op("log1p")
def log1p(call: Call, x: Symbol) -> Symbol:
    """`log(1 + x)`, with the rounding of `1 + x`."""
    return call.trace.map("log", call.trace.map("linear_map", x, 1.0, 1.0))


@op("expm1")
def expm1(call: Call, x: Symbol) -> Symbol:
    """`exp(x) - 1`, with the rounding of `exp(x)`."""
    return call.trace.map("linear_map", call.trace.map("exp", x), 1.0, -1.0)


@op("leaky_relu")
def leaky_relu(call: Call, x: Symbol, slope: float = 0.01) -> Symbol:
    """Another slope below 0."""
    return call.trace.map("leaky_relu", x, slope)


@op("prelu")
def prelu(call: Call, x: Symbol, weight: Any) -> Symbol:
    """The same with slopes of its own, for all channels or for each (dimension 1)."""
    return call.trace.prelu(x, constant(weight, "slope"), channel=min(1, x.ndim - 1), name=call.layer)


@op("elu")
def elu(call: Call, x: Symbol, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Symbol:
    """`scale * (x, or alpha (exp(input_scale x) - 1) below 0)`."""
    if input_scale != 1.0:
        raise UnsupportedError(f"its input_scale is {input_scale}, expected 1")
    return call.trace.selu(x, alpha, scale)


@op("selu")
def selu(call: Call, x: Symbol) -> Symbol:
    """An `elu` with the constants of self-normalising nets."""
    return call.trace.selu(x)


@op("celu")
def celu(call: Call, x: Symbol, alpha: float = 1.0) -> Symbol:
    """`alpha elu(x / alpha)`."""
    return call.trace.celu(x, alpha)


@op("gelu")
def gelu(call: Call, x: Symbol, approximate: str = "none") -> Symbol:
    """Both forms."""
    return call.trace.map("gelu_tanh" if approximate == "tanh" else "gelu", x)


@op("softplus")
def softplus(call: Call, x: Symbol, beta: float = 1.0, threshold: float = 20.0) -> Symbol:
    """Above the threshold PyTorch gives x itself, which is what float32 rounds to there."""
    if threshold < 15.0:
        raise UnsupportedError(f"its threshold is {threshold}, expected 20, where it makes no difference")
    return call.trace.map("softplus", x, beta)


@op("log_sigmoid")
def log_sigmoid(call: Call, x: Symbol) -> Symbol:
    """`-softplus(-x)`."""
    return call.trace.log_sigmoid(x)


@op("hardtanh", "clamp")
def clamp(call: Call, x: Symbol, low: Any = None, high: Any = None) -> Symbol:
    """Between two numbers; of `hardtanh` -1 and 1 by default."""
    if call.op == "aten.hardtanh":
        low, high = -1.0 if low is None else low, 1.0 if high is None else high
    bounds = [default if value is None else value for value, default in ((low, -LARGEST), (high, LARGEST))]
    if any(not isinstance(value, int | float) and np.size(constant(value, "bound")) != 1 for value in bounds):
        raise UnsupportedError("its bounds are tensors, expected numbers")
    return call.trace.map("clamp", x, float(bounds[0]), float(bounds[1]))


@op("clamp_min")
def clamp_min(call: Call, x: Symbol, low: Any) -> Symbol:
    """At least a number."""
    return clamp(call, x, low, None)


@op("clamp_max")
def clamp_max(call: Call, x: Symbol, high: Any) -> Symbol:
    """At most a number."""
    return clamp(call, x, None, high)


@op("threshold")
def threshold(call: Call, x: Symbol, at: float, value: float) -> Symbol:
    """0 where x is not above a threshold."""
    if value:
        raise UnsupportedError(f"what it gives below its threshold is {value}, expected 0")
    return call.trace.map("thresholded_relu", x, at)


@op("tanhshrink")
def tanhshrink(call: Call, x: Symbol) -> Symbol:
    """`x - tanh(x)`."""
    return call.trace.tanh_shrink(x)


@op("softshrink")
def softshrink(call: Call, x: Symbol, bound: float = 0.5) -> Symbol:
    """`x` without what lies between `-bound` and `bound`."""
    return call.trace.soft_shrink(x, bound)


@op("rsqrt")
def rsqrt(call: Call, x: Symbol) -> Symbol:
    """`x ** -0.5`."""
    return call.trace.power(x, -0.5)


@op("pow.Tensor_Scalar")
def power(call: Call, x: Symbol, exponent: float) -> Symbol:
    """A power by a number."""
    return call.trace.power(x, float(exponent))


def _binary(call: Call, kind: BinaryKind, a: Any, b: Any) -> Symbol:
    a, b = (x if isinstance(x, Symbol) else np.asarray(x) for x in (a, b))
    return call.trace.binary(kind, a, b)


def _times(call: Call, x: Any, factor: float) -> Any:
    if factor == 1:
        return x
    return call.trace.map("linear_map", x, factor) if isinstance(x, Symbol) else np.asarray(x) * factor


@op("add", "sub", "subtract")
def add(call: Call, a: Any, b: Any, alpha: float = 1) -> Symbol:
    """`a + alpha * b`, or the difference."""
    return _binary(call, "add" if call.op == "aten.add" else "sub", a, _times(call, b, alpha))


@op("rsub")
def rsub(call: Call, a: Any, b: Any, alpha: float = 1) -> Symbol:
    """`b - alpha * a`."""
    return _binary(call, "sub", b, _times(call, a, alpha))


@op("mul", "multiply", "div.Tensor", "div.Scalar", "divide.Tensor", "maximum", "minimum", "max.other", "min.other")
def binary(call: Call, a: Any, b: Any) -> Symbol:
    """Product, quotient, larger or smaller value."""
    kinds: dict[str, BinaryKind] = {
        "mul": "mul", "multiply": "mul", "div": "div", "divide": "div", "maximum": "maximum", "minimum": "minimum",
        "max": "maximum", "min": "minimum",
    }  # fmt: skip
    return _binary(call, kinds[call.op.removeprefix("aten.")], a, b)


@op("lerp")
def lerp(call: Call, a: Any, b: Any, weight: Any) -> Symbol:
    """`a + weight * (b - a)`."""
    return _binary(call, "add", a, _binary(call, "mul", _binary(call, "sub", b, a), weight))


@op("addcmul")
def addcmul(call: Call, a: Any, b: Any, c: Any, value: float = 1) -> Symbol:
    """`a + value * b * c`."""
    return _binary(call, "add", a, _times(call, _binary(call, "mul", b, c), value))


@op("glu")
def glu(call: Call, x: Symbol, dim: int = -1) -> Symbol:
    """One half, gated by the other."""
    return call.trace.glu(x, dim)
