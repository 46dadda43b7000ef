"""Activations on vectors: rational and polynomial approximations, the same bits in every lane, batch and host with FMA.

`math.tanh` and `np.exp` are never called in a step: they are scalar, slow and differ from one C library to the next.
Errors are asserted over dense grids in `tests/kernels/test_activations.py`.
"""

from streamrnn.kernels.jit import inlined
from streamrnn.kernels.simd import (
    WIDTH,
    binary_exponent,
    broadcast,
    fma,
    lane,
    power_of_two,
    round_lanes,
    select_less,
)


@inlined
def minimum(a, b):
    """The smaller lane; `b` where either is NaN."""
    return select_less(a, b, a, b)


@inlined
def maximum(a, b):
    """The larger lane; `b` where either is NaN."""
    return select_less(b, a, a, b)


@inlined
def tanh(x):
    """Hyperbolic tangent: within 6 ulp (float32) and 3.1e-7, odd, `|tanh| <= 1`, 1 from 8.0536 on, NaN stays NaN.

    A 9/8 rational minimax approximation, clamped where its value is first exactly 1: a gate that saturates lower would
    leak a long memory. It may fall by up to 7 ulp where tanh rises.
    Source: the coefficients of Eigen's `ptanh_float`; the clamp is ours, found by trying every float.
    """
    x = maximum(broadcast(-8.053593635559082), minimum(broadcast(8.053593635559082), x))
    square = x * x
    p = fma(square, broadcast(1.394553628e-8), broadcast(2.102733560e-5))
    p = fma(square, p, broadcast(3.520756727e-3))
    p = fma(square, p, broadcast(1.340216100e-1))
    p = fma(square, p, broadcast(1.0))
    q = fma(square, broadcast(8.015776984e-7), broadcast(3.326951409e-4))
    q = fma(square, q, broadcast(2.597254514e-2))
    q = fma(square, q, broadcast(4.673548340e-1))
    q = fma(square, q, broadcast(1.0))
    return x * p / q


@inlined
def sigmoid(x):
    """Logistic function as `0.5 + 0.5 * tanh(x / 2)`: absolute error below 1.8e-7, in [0, 1], NaN stays NaN."""
    half = broadcast(0.5)
    return fma(tanh(x * half), half, half)


@inlined
def relu(x):
    """`max(0, x)`; NaN stays NaN."""
    return maximum(broadcast(0.0), x)


@inlined
def exp_parts(bounded):
    """`n` and `p` with `exp(bounded) = 2 ** n * (1 + p)`, of lanes in [-87.4, 88.4].

    Source: Cephes `expf` (range reduction by ln 2 in two parts, polynomial of degree 5).
    """
    n = round_lanes(bounded * broadcast(1.44269504088896341))
    r = fma(n, broadcast(-0.693359375), bounded)
    r = fma(n, broadcast(2.12194440e-4), r)
    p = fma(r, broadcast(1.9875691500e-4), broadcast(1.3981999507e-3))
    p = fma(r, p, broadcast(8.3334519073e-3))
    p = fma(r, p, broadcast(4.1665795894e-2))
    p = fma(r, p, broadcast(1.6666665459e-1))
    p = fma(r, p, broadcast(5.0000001201e-1))
    return n, fma(r * r, p, r)


@inlined
def exp(x):
    """Exponential: within 2 ulp on [-87.3, 88.3]; 0 below, clamped above (finite); NaN stays NaN."""
    bounded = maximum(broadcast(-87.3365478515625), minimum(broadcast(88.3762626647949), x))
    n, part = exp_parts(bounded)
    value = part + broadcast(1.0)
    return select_less(x, broadcast(-87.3365478515625), broadcast(0.0), value * power_of_two(n))


@inlined
def log(x):
    """Natural logarithm of normal lanes in (0, 2**127): within 1 ulp.

    Source: Cephes `logf` (mantissa in [sqrt(1/2), sqrt(2)), polynomial of degree 8).
    """
    exponent = binary_exponent(x)
    mantissa = x * power_of_two(broadcast(0.0) - exponent)
    root = broadcast(1.41421356237309505)
    exponent = select_less(mantissa, root, exponent, exponent + broadcast(1.0))
    mantissa = select_less(mantissa, root, mantissa, mantissa * broadcast(0.5)) - broadcast(1.0)
    square = mantissa * mantissa
    p = fma(mantissa, broadcast(7.0376836292e-2), broadcast(-1.1514610310e-1))
    p = fma(mantissa, p, broadcast(1.1676998740e-1))
    p = fma(mantissa, p, broadcast(-1.2420140846e-1))
    p = fma(mantissa, p, broadcast(1.4249322787e-1))
    p = fma(mantissa, p, broadcast(-1.6668057665e-1))
    p = fma(mantissa, p, broadcast(2.0000714765e-1))
    p = fma(mantissa, p, broadcast(-2.4999993993e-1))
    p = fma(mantissa, p, broadcast(3.3333331174e-1))
    p = fma(p * mantissa, square, exponent * broadcast(-2.12194440e-4))
    p = fma(square, broadcast(-0.5), p)
    return fma(exponent, broadcast(0.693359375), mantissa + p)


@inlined
def sum_lanes(a, total):
    """`total` (float32) with the lanes added to it, first to last (a fixed order, so a fixed result)."""
    for i in range(WIDTH):
        total += lane(a, i)
    return total


@inlined
def max_lanes(a):
    """Largest lane."""
    largest = lane(a, 0)
    for i in range(1, WIDTH):
        largest = max(largest, lane(a, i))
    return largest
