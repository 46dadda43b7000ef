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
    """Hyperbolic tangent: within 4 ulp (float32), odd, `|tanh| <= 1`, NaN stays NaN.

    A 13/6 rational minimax approximation on |x| <= 7.905, clamped outside, where tanh rounds to 1.
    Source: the coefficients of Eigen's `ptanh_float`.
    """
    x = maximum(broadcast(-7.90531110763549805), minimum(broadcast(7.90531110763549805), x))
    square = x * x
    p = fma(square, broadcast(-2.76076847742355e-16), broadcast(2.00018790482477e-13))
    p = fma(square, p, broadcast(-8.60467152213735e-11))
    p = fma(square, p, broadcast(5.12229709037114e-08))
    p = fma(square, p, broadcast(1.48572235717979e-05))
    p = fma(square, p, broadcast(6.37261928875436e-04))
    p = fma(square, p, broadcast(4.89352455891786e-03))
    q = fma(square, broadcast(1.19825839466702e-06), broadcast(1.18534705686654e-04))
    q = fma(square, q, broadcast(2.26843463243900e-03))
    q = fma(square, q, broadcast(4.89352518554385e-03))
    return maximum(broadcast(-1.0), minimum(broadcast(1.0), x * p / q))


@inlined
def sigmoid(x):
    """Logistic function as `0.5 + 0.5 * tanh(x / 2)`: absolute error below 1.2e-7, within [0, 1], NaN stays NaN."""
    half = broadcast(0.5)
    return fma(tanh(x * half), half, half)


@inlined
def relu(x):
    """`max(0, x)`; NaN stays NaN."""
    return maximum(broadcast(0.0), x)


@inlined
def exp(x):
    """Exponential: within 2 ulp on [-87.3, 88.3]; 0 below, clamped above (finite); NaN stays NaN.

    Source: Cephes `expf` (range reduction by ln 2 in two parts, polynomial of degree 5).
    """
    bounded = maximum(broadcast(-87.3365478515625), minimum(broadcast(88.3762626647949), x))
    n = round_lanes(bounded * broadcast(1.44269504088896341))
    r = fma(n, broadcast(-0.693359375), bounded)
    r = fma(n, broadcast(2.12194440e-4), r)
    p = fma(r, broadcast(1.9875691500e-4), broadcast(1.3981999507e-3))
    p = fma(r, p, broadcast(8.3334519073e-3))
    p = fma(r, p, broadcast(4.1665795894e-2))
    p = fma(r, p, broadcast(1.6666665459e-1))
    p = fma(r, p, broadcast(5.0000001201e-1))
    value = fma(r * r, p, r) + broadcast(1.0)
    return select_less(x, broadcast(-87.3365478515625), broadcast(0.0), value * power_of_two(n))


@inlined
def log(x):
    """Natural logarithm of positive normal lanes: absolute error below 2e-7 or 2 ulp, whichever is larger.

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
def sum_lanes(a):
    """Sum of the lanes, first to last (a fixed order, so a fixed result)."""
    total = lane(a, 0)
    for i in range(1, WIDTH):
        total += lane(a, i)
    return total


@inlined
def max_lanes(a):
    """Largest lane."""
    largest = lane(a, 0)
    for i in range(1, WIDTH):
        largest = max(largest, lane(a, i))
    return largest
