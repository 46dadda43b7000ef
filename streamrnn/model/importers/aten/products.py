"""Products and convolutions with constant weights."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.aten.table import Call, constant, op
from streamrnn.model.importers.tracing.symbol import Constant, Symbol

MAX_UNROLLED = 2**24
"""Most weights of a convolution over positions within a step, written out."""
TWO_COMPUTED = "a product of two computed values, as in attention: it reads frames that a stream no longer has"


@op("linear")
def linear(call: Call, x: Any, weight: Any, bias: Any = None) -> Symbol:
    """`x @ weight.T + bias`."""
    return call.trace.linear(x, constant(weight, "weight"), constant(bias, "bias"), name=call.layer)


@op("matmul", "mm", "bmm", "mv", "dot")
def matmul(call: Call, a: Any, b: Any) -> Symbol:
    """A product with a constant matrix on either side."""
    if isinstance(a, Symbol) and isinstance(b, Symbol):
        raise UnsupportedError(TWO_COMPUTED)
    if isinstance(a, Symbol):
        weight = _matrix(b)
        y = call.trace.linear(a, weight.T if weight.ndim == 2 else weight[None], name=call.layer)
        return y if weight.ndim == 2 else call.trace.squeeze(y, [-1])
    weight = _matrix(a)
    if b.ndim == 1:
        return call.trace.reshape(call.trace.linear(b, np.atleast_2d(weight), name=call.layer), call.shape)
    order = [*range(b.ndim - 2), b.ndim - 1, b.ndim - 2]
    y = call.trace.linear(call.trace.transpose(b, order), np.atleast_2d(weight), name=call.layer)
    return call.trace.reshape(call.trace.transpose(y, order), call.shape)


def _matrix(value: Constant) -> Constant:
    while value.ndim > 2 and value.shape[0] == 1:
        value = value[0]
    if value.ndim > 2:
        raise UnsupportedError(f"a product with a constant of shape {value.shape}, expected one matrix")
    return value


@op("addmm", "baddbmm")
def addmm(call: Call, bias: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Symbol:
    """`beta * bias + alpha * (a @ b)`."""
    if isinstance(a, Symbol) and not isinstance(b, Symbol) and not isinstance(bias, Symbol) and bias.ndim == 1:
        return call.trace.linear(a, _matrix(b).T * alpha, bias * beta, name=call.layer)
    y = matmul(call, a, b)
    y = y if alpha == 1 else call.trace.map("linear_map", y, alpha)
    if isinstance(bias, Symbol) and beta != 1:
        bias = call.trace.map("linear_map", bias, beta)
    return call.trace.binary("add", y, bias if isinstance(bias, Symbol) else bias * beta)


@op("einsum")
def einsum(call: Call, equation: str, operands: Sequence[Any], path: Any = None) -> Symbol:
    """One computed value and one constant, summed over some of their letters."""
    inputs, _, out = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != 2 or not out or "." in equation or all(isinstance(x, Symbol) for x in operands):
        raise UnsupportedError(f"einsum {equation!r}: {TWO_COMPUTED if len(terms) == 2 and out else 'is not known'}")
    i = 0 if isinstance(operands[0], Symbol) else 1
    x, weight, of_x, of_weight = operands[i], operands[1 - i], terms[i], terms[1 - i]
    summed = [c for c in of_x if c not in out]
    new = [c for c in of_weight if c not in of_x]
    if {*of_weight} & {*of_x} & {*out} or not {*summed} <= {*of_weight} or not {*new} <= {*out}:
        raise UnsupportedError(f"einsum {equation!r}: its letters are not those of a product with a matrix")
    kept = [c for c in of_x if c in out]
    sizes = dict(zip(of_weight, weight.shape, strict=True))
    matrix = weight.transpose([of_weight.index(c) for c in new + summed])
    matrix = matrix.reshape(prod(sizes[c] for c in new), prod(sizes[c] for c in summed))
    x = call.trace.transpose(x, [of_x.index(c) for c in kept + summed])
    n_kept = len(kept)
    x = call.trace.reshape(x, [*x.shape[:n_kept], matrix.shape[1]])
    y = call.trace.linear(x, matrix, name=call.layer)
    y = call.trace.reshape(y, [*x.shape[:n_kept], *(sizes[c] for c in new)])
    return call.trace.transpose(y, [(kept + new).index(c) for c in out])


@op("conv1d", "conv1d.padding")
def conv1d(
    call: Call, x: Symbol, weight: Any, bias: Any = None, stride: Sequence[int] = (1,), padding: Any = (0,),
    dilation: Sequence[int] = (1,), groups: int = 1,
) -> Symbol:  # fmt: skip
    """Over the time, or over positions within a step."""
    weight = constant(weight, "weight")
    pads = _pads(padding, weight.shape[2], dilation[0], 0)
    return call.trace.conv1d(x, weight, constant(bias, "bias"), stride[0], pads, dilation[0], groups, name=call.layer)


def _pads(padding: Any, kernel: int, dilation: int, i: int) -> tuple[int, int]:
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = dilation * (kernel - 1)
        return total // 2, total - total // 2
    p = padding[i if len(padding) > 1 else 0]
    return p, p


@op("conv2d", "conv2d.padding")
def conv2d(
    call: Call, x: Symbol, weight: Any, bias: Any = None, stride: Sequence[int] = (1, 1), padding: Any = (0, 0),
    dilation: Sequence[int] = (1, 1), groups: int = 1,
) -> Symbol:  # fmt: skip
    """One of the two dimensions is the time, or a position; the other is written out into channels."""
    weight, bias = constant(weight, "weight"), constant(bias, "bias")
    if x.ndim != 4 or x.shape[0] != 1:
        raise UnsupportedError(f"it reads {x.shape}, expected (batch of one, channels, positions, positions)")
    along = 3 if x.stream == 3 or (x.stream is None and x.shape[2] == 1) else 2
    across = 5 - along
    a, b = along - 2, across - 2
    strides, dilations = [*stride, *stride][:2], [*dilation, *dilation][:2]
    pads = [_pads(padding, weight.shape[2 + i], dilations[i], i) for i in (0, 1)]
    matrix = written_out(
        weight if along == 2 else weight.swapaxes(2, 3), x.shape[across], strides[b], pads[b], dilations[b], groups
    )
    n_across = matrix.shape[0] // weight.shape[0]
    trace = call.trace
    x = trace.transpose(x, [0, 1, across, along])
    x = trace.reshape(x, [1, x.shape[1] * x.shape[2], x.shape[3]])
    shift = None if bias is None else np.repeat(bias, n_across)
    y = trace.conv1d(x, matrix, shift, strides[a], pads[a], dilations[a], name=call.layer)
    y = trace.reshape(y, [1, weight.shape[0], n_across, y.shape[2]])
    return trace.transpose(y, [0, 1, 3, 2]) if along == 2 else y


def written_out(weight: Constant, n: int, stride: int, pads: tuple[int, int], dilation: int, groups: int) -> Constant:
    """Weights (out, in / groups, taps, kernel) over `n` positions as weights between all positions.

    Returns:
        (out * positions out, in * n, taps), channels outermost.
    """
    n_out, part, taps, kernel = weight.shape
    n_new = (n + sum(pads) - dilation * (kernel - 1) - 1) // stride + 1
    if n_out * n_new * part * groups * n * taps > MAX_UNROLLED:
        raise UnsupportedError(f"written out over its {n} positions it has more than {MAX_UNROLLED} weights")
    full = np.zeros((n_out, n_new, part * groups, n, taps), weight.dtype)
    for g in range(groups):
        rows = slice(g * n_out // groups, (g + 1) * n_out // groups)
        for j in range(n_new):
            for k in range(kernel):
                i = j * stride - pads[0] + k * dilation
                if 0 <= i < n:
                    full[rows, j, g * part : (g + 1) * part, i] = weight[rows, :, :, k]
    return full.reshape(n_out * n_new, part * groups * n, taps)


@op("unfold")
def unfold(call: Call, x: Symbol, dim: int, size: int, step: int) -> Symbol:
    """Windows of a dimension, put behind the others; over the time a convolution that copies."""
    dim = x.dim(dim)
    if dim != x.stream:
        starts = range(0, x.shape[dim] - size + 1, step)
        taken = call.trace.take(x, dim, [i for start in starts for i in range(start, start + size)])
        y = call.trace.reshape(taken, [*x.shape[:dim], len(starts), size, *x.shape[dim + 1 :]])
        return call.trace.transpose(y, [*(d for d in range(y.ndim) if d != dim + 1), dim + 1])
    if x.layout:
        raise UnsupportedError("it cuts windows of more than one value a step")
    y = call.trace.reshape(x, [1, 1, x.shape[dim]])
    y = call.trace.conv1d(y, np.eye(size, dtype=np.float32)[:, None], stride=step, name="windows")
    y = call.trace.transpose(y, [0, 2, 1])
    return call.trace.reshape(y, call.shape)
