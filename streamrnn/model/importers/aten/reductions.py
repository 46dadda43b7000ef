"""What sums up: means, sums, largest values, deviations, norms, softmaxes, pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.aten.table import Call, Refused, op
from streamrnn.model.importers.tracing.maths import Reduction
from streamrnn.model.importers.tracing.symbol import Symbol

Dims = int | Sequence[int] | None


def _dims(x: Symbol, dims: Dims) -> list[int]:
    if dims is None or (isinstance(dims, Sequence) and not dims):
        return list(range(x.ndim))
    return [x.dim(d) for d in ([dims] if isinstance(dims, int) else dims)]


@op("mean", "sum", "amax", "amin")
def reduced(call: Call, x: Symbol, dim: Dims = None, keepdim: bool = False, **_: Any) -> Symbol:
    """Mean, sum, largest or smallest value over dimensions, or all."""
    kinds: dict[str, Reduction] = {"mean": "mean", "sum": "sum", "amax": "max", "amin": "min"}
    return call.trace.reduce(kinds[call.op.removeprefix("aten.")], x, _dims(x, dim), keepdim)


@op("max.default", "min.default")
def largest(call: Call, x: Symbol) -> Symbol:
    """The largest or smallest value of all."""
    return call.trace.reduce("max" if call.op == "aten.max" else "min", x, _dims(x, None))


@op("max.dim", "min.dim")
def largest_along(call: Call, x: Symbol, dim: int, keepdim: bool = False) -> tuple[Symbol, Refused]:
    """The largest or smallest value along a dimension; where it stands is not known."""
    value = call.trace.reduce("max" if call.op == "aten.max" else "min", x, [dim], keepdim)
    return value, Refused(UnsupportedError("the place of the largest value is not known, only the value"))


@op("logsumexp")
def logsumexp(call: Call, x: Symbol, dim: Dims, keepdim: bool = False) -> Symbol:
    """`x - log_softmax(x)`, which is the same for all."""
    (dim,) = _dims(x, dim)
    first = call.trace.slice(x, dim, 0, 1)
    y = call.trace.binary("sub", first, call.trace.slice(call.trace.softmax("log_softmax", x, dim), dim, 0, 1))
    return y if keepdim else call.trace.squeeze(y, [dim])


@op("std_mean", "var_mean")
def spread_and_mean(
    call: Call, x: Symbol, dim: Dims = None, unbiased: Any = None, keepdim: bool = False, *, correction: float = 1
) -> tuple[Symbol, Symbol]:
    """Deviation or variance, and mean."""
    correction = correction if unbiased is None else float(unbiased)
    trace, dims = call.trace, _dims(x, dim)
    is_root = call.op.startswith("aten.std")
    if x.stream in dims:
        if [d for d in dims if d != x.stream and x.shape[d] != 1]:
            raise UnsupportedError("its deviation is over the time and what a step holds together")
        mean, spread = trace.running_spread(x, correction)
        spread = spread if is_root else trace.map("square", spread)
    else:
        n = int(np.prod([x.shape[d] for d in dims]))
        mean = trace.reduce("mean", x, dims, keep=True)
        squares = trace.map("square", trace.binary("sub", x, mean))
        spread = trace.map("linear_map", trace.reduce("mean", squares, dims, keep=True), n / max(n - correction, 1))
        spread = trace.map("sqrt", spread) if is_root else spread
    return (spread, mean) if keepdim else (trace.squeeze(spread, dims), trace.squeeze(mean, dims))


@op("std", "var")
def spread(
    call: Call, x: Symbol, dim: Dims = None, unbiased: Any = None, keepdim: bool = False, *, correction: float = 1
) -> Symbol:
    """Deviation or variance."""
    return spread_and_mean(call, x, dim, unbiased, keepdim, correction=correction)[0]


@op("linalg_vector_norm", "linalg_norm", "norm.ScalarOpt_dim", "norm.Scalar")
def norm(call: Call, x: Symbol, order: Any = 2, dim: Dims = None, keepdim: bool = False, **_: Any) -> Symbol:
    """Euclidean length, or the sum of magnitudes."""
    dims = _dims(x, dim)
    if order not in {None, 1, 2} or (call.op == "aten.linalg_norm" and order == 1 and len(dims) > 1):
        raise UnsupportedError(f"its norm is of order {order}, expected 1 or 2")
    if order == 1:
        return call.trace.reduce("sum", call.trace.map("abs", x), dims, keepdim)
    return call.trace.map("sqrt", call.trace.reduce("sum", call.trace.map("square", x), dims, keepdim))


@op("softmax", "_softmax", "log_softmax", "_log_softmax")
def softmax(call: Call, x: Symbol, dim: int, *_: Any, **__: Any) -> Symbol:
    """Over one dimension that a step holds."""
    if x.dim(dim) == 0 and x.shape[0] == 1 and x.ndim > 1:
        raise UnsupportedError("it runs over dimension 0, the batch; expected that of the features, the last (dim=-1)")
    return call.trace.softmax("log_softmax" if "log" in call.op else "softmax", x, dim)


@op("avg_pool1d", "max_pool1d", "max_pool1d_with_indices")
def pool(call: Call, x: Symbol, kernel: Sequence[int], stride: Sequence[int] = (), pads: Any = 0, *rest: Any) -> Any:
    """Windows over the positions, or over the time."""
    kind: Literal["mean", "max"] = "mean" if "avg" in call.op else "max"
    ceil, counts_pads, dilation = (*_mean_rest(*rest), 1) if kind == "mean" else _max_rest(*rest)
    k, p = _one(kernel), _one(pads)
    if ceil and (x.shape[-1] + 2 * p - k) % _one(stride or kernel):
        raise UnsupportedError("its windows reach beyond the end (ceil_mode)")
    if p and not counts_pads:
        raise UnsupportedError("it leaves the padding out of its means (count_include_pad=False)")
    y = call.trace.pool1d(kind, x, k, _one(stride or kernel), (p, p), dilation)
    if "indices" in call.op:
        return y, Refused(UnsupportedError("the place of the largest value is not known, only the value"))
    return y


def _mean_rest(ceil: bool = False, counts_pads: bool = True, divisor: Any = None) -> tuple[bool, bool]:
    return ceil, counts_pads


def _max_rest(dilation: Any = 1, ceil: bool = False) -> tuple[bool, bool, int]:
    return ceil, True, _one(dilation)


def _one(value: Any) -> int:
    return int(value if isinstance(value, int) else value[0])


@op("avg_pool2d", "max_pool2d")
def pool2d(call: Call, x: Symbol, kernel: Sequence[int], stride: Sequence[int] = (), pads: Any = 0, *rest: Any) -> Any:
    """Windows without overlap over the one of two dimensions that a step holds."""
    sizes = [*kernel, *kernel][:2]
    wide = [i for i in (0, 1) if sizes[i] != 1]
    strides = [*(stride or sizes), *(stride or sizes)][:2]
    if np.any(pads) or strides != sizes or len(wide) != 1 or any(np.ravel([rest[:1]]) > 1):
        raise UnsupportedError(
            f"it pools by {sizes} in steps of {strides}, expected one of both to be 1, and no overlap"
        )
    d = x.ndim - 2 + wide[0]
    k, n = sizes[wide[0]], x.shape[x.ndim - 2 + wide[0]] // sizes[wide[0]]
    if d == x.stream:
        raise UnsupportedError("it pools over the time; avg_pool1d and max_pool1d can be streamed")
    x = call.trace.slice(x, d, 0, n * k)
    x = call.trace.reshape(x, [*x.shape[:d], n, k, *x.shape[d + 1 :]])
    return call.trace.reduce("mean" if "avg" in call.op else "max", x, [d + 1])


@op("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d")
def pool_all(call: Call, x: Symbol, size: Sequence[int]) -> Any:
    """Everything to one value."""
    if any(n != 1 for n in size):
        raise UnsupportedError(f"it pools to {list(size)} positions, whose windows grow with the time; expected one")
    dims = list(range(x.ndim - len(size), x.ndim))
    if "avg" in call.op:
        return call.trace.reduce("mean", x, dims, keep=True)
    place = Refused(UnsupportedError("the place of the largest value is not known, only the value"))
    return call.trace.reduce("max", x, dims, keep=True), place
