"""The maps of one value to one value beyond the gates': vector functions, and `apply_map`, which holds them all.

Errors are `|y - exact| <= bound * max(1, |exact|)` with the bound that each states, asserted over dense grids in
`tests/kernels/test_maps.py`. A NaN stays NaN, and Inf gives the limit, also where PyTorch multiplies it by 0.
"""

from streamrnn.kernels.activations import exp, exp_parts, log, maximum, minimum, tanh
from streamrnn.kernels.jit import inlined, outlined, pasted
from streamrnn.kernels.memory import load, load_scalar, store
from streamrnn.kernels.opcodes import Op
from streamrnn.kernels.simd import (
    VECTOR_BYTES,
    broadcast,
    fma,
    magnitude,
    or_nan,
    power_of_two,
    select_less,
    square_root,
)


@inlined
def expm1_below(x):
    """`exp(x) - 1` of lanes up to 0: within 2e-7 relative; NaN stays NaN."""
    bounded = maximum(broadcast(-87.0), minimum(broadcast(0.0), x))
    n, part = exp_parts(bounded)
    scale = power_of_two(n)
    return fma(scale, part, scale - broadcast(1.0))


@inlined
def exponential(x):
    """`exp` up to the largest float32, and Inf above it: within 3e-7 relative."""
    shift = select_less(broadcast(88.0), x, broadcast(1.0), broadcast(0.0))
    factor = select_less(broadcast(88.0), x, broadcast(2.718281828459045), broadcast(1.0))
    return exp(x - shift) * factor


@inlined
def logarithm(x, least):
    """`log(max(x, least))` of lanes up to Inf, at least the smallest normal: within 1.5e-7."""
    x = maximum(least, x)
    small = select_less(x, broadcast(8.5e37), broadcast(1.0), broadcast(0.25))
    shift = select_less(x, broadcast(8.5e37), broadcast(0.0), broadcast(1.3862943611198906))
    return select_less(broadcast(3.4028234663852886e38), x, x, log(x * small) + shift)


@inlined
def elu(x, alpha):
    """`x`, and `alpha * (exp(x) - 1)` below 0: within 2e-7 relative (3e-7 with alpha)."""
    return select_less(broadcast(0.0), x, x, alpha * expm1_below(x))


@inlined
def erfc_above(z):
    """`erfc` of lanes in [0, 9.3]: within 2e-7. Source: a rational fit of `erfc(z) exp(z**2)`, ours."""
    t = broadcast(1.0) / fma(z, broadcast(0.4), broadcast(1.0))
    p = fma(t, broadcast(-0.03100815108), broadcast(0.205738318))
    p = fma(t, p, broadcast(-0.5171014481))
    p = fma(t, p, broadcast(0.5720150664))
    p = fma(t, p, broadcast(-0.3049882726))
    p = fma(t, p, broadcast(0.2832445826))
    p = fma(t, p, broadcast(0.1257720411))
    p = fma(t, p, broadcast(0.2157670248))
    p = fma(t, p, broadcast(0.2248485276))
    p = fma(t, p, broadcast(0.2257123176))
    return p * t * exp(broadcast(0.0) - z * z)


@inlined
def erf(x):
    """Error function: within 1.5e-7, odd; NaN stays NaN. Source: below 1 a minimax polynomial, ours."""
    z = minimum(broadcast(5.0), magnitude(x))
    square = z * z
    p = fma(square, broadcast(7.853857683e-5), broadcast(-0.0008010192514))
    p = fma(square, p, broadcast(0.005188327559))
    p = fma(square, p, broadcast(-0.02685381187))
    p = fma(square, p, broadcast(0.1128358515))
    p = fma(square, p, broadcast(-0.3761262582))
    p = fma(square, p, broadcast(1.128379166))
    y = select_less(z, broadcast(1.0), z * p, broadcast(1.0) - erfc_above(z))
    return select_less(x, broadcast(0.0), broadcast(0.0) - y, y)


@inlined
def gelu(x):
    """`x * (1 + erf(x / sqrt(2))) / 2`: within 3e-7."""
    x = maximum(broadcast(-13.0), x)
    z = minimum(broadcast(13.0), magnitude(x)) * broadcast(0.7071067811865476)
    half = broadcast(0.5) * erfc_above(z)
    return x * select_less(x, broadcast(0.0), half, broadcast(1.0) - half)


@inlined
def gelu_tanh(x):
    """`x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x**3))) / 2`, as a logistic function: within 3e-7."""
    x = maximum(broadcast(-10.0), x)
    bounded = minimum(broadcast(10.0), x)
    inner = fma(bounded * bounded, broadcast(-0.07135481282552), broadcast(-1.5957691216057308))
    return x / (broadcast(1.0) + exp(bounded * inner))


@inlined
def silu(x):
    """`x * sigmoid(x)`: within 3e-7."""
    x = maximum(broadcast(-87.0), x)
    return x / (broadcast(1.0) + exp(broadcast(0.0) - x))


@inlined
def mish(x):
    """`x * tanh(log(1 + exp(x)))` as `x * n / (n + 2)` with `n = exp(x) * (exp(x) + 2)`: within 3e-7."""
    x = maximum(broadcast(-87.0), x)
    power = exp(minimum(broadcast(20.0), x))
    n = power * (power + broadcast(2.0))
    return x * (n / (n + broadcast(2.0)))


@inlined
def softplus(x, alpha):
    """`log(1 + exp(alpha x)) / alpha`, which never overflows: within 4e-7."""
    z = x * alpha
    power = exp(broadcast(0.0) - magnitude(z))
    u = broadcast(1.0) + power
    tail = log(u) + (power - (u - broadcast(1.0))) / u
    return select_less(broadcast(0.0), z, x, broadcast(0.0)) + tail / alpha


@inlined
def hard_swish(x):
    """`x * min(max(x + 3, 0), 6) / 6`: within 2e-7. Source: PyTorch `nn.Hardswish`."""
    x = maximum(broadcast(-3.0), x)
    return x * (minimum(broadcast(6.0), x + broadcast(3.0)) / broadcast(6.0))


@inlined
def softsign(x):
    """`x / (1 + |x|)`."""
    x = maximum(broadcast(-1e30), minimum(broadcast(1e30), x))
    return x / (broadcast(1.0) + magnitude(x))


@inlined
def thresholded(x, threshold):
    """`x` above the threshold, else 0."""
    return or_nan(x, select_less(threshold, x, x, broadcast(0.0)))


@inlined
def leaky(x, slope):
    """`x`, times `slope` below 0."""
    return select_less(x, broadcast(0.0), x * slope, x)


@inlined
def clamp(x, low, high):
    """`min(max(x, low), high)`; NaN stays NaN."""
    return maximum(low, minimum(high, x))


@pasted
def _plain(opcode, src, dst, n_bytes):
    if opcode == Op.GELU:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, gelu(load(src + j)))
    elif opcode == Op.GELU_TANH:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, gelu_tanh(load(src + j)))
    elif opcode == Op.SILU:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, silu(load(src + j)))
    elif opcode == Op.MISH:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, mish(load(src + j)))
    elif opcode == Op.HARD_SWISH:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, hard_swish(load(src + j)))
    elif opcode == Op.SOFTSIGN:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, softsign(load(src + j)))
    elif opcode == Op.EXP:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, exponential(load(src + j)))
    elif opcode == Op.SQRT:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, square_root(load(src + j)))
    elif opcode == Op.SQUARE:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, load(src + j) * load(src + j))
    elif opcode == Op.ABS:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, magnitude(load(src + j)))
    elif opcode == Op.RECIPROCAL:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, broadcast(1.0) / load(src + j))
    else:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, erf(load(src + j)))


@pasted
def _with_parameters(opcode, src, dst, n_bytes, alpha, beta):
    least = maximum(broadcast(1.1754943508222875e-38), alpha)
    if opcode == Op.LEAKY_RELU:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, leaky(load(src + j), alpha))
    elif opcode == Op.THRESHOLDED_RELU:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, thresholded(load(src + j), alpha))
    elif opcode == Op.ELU:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, elu(load(src + j), alpha))
    elif opcode == Op.HARD_SIGMOID:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, clamp(fma(load(src + j), alpha, beta), broadcast(0.0), broadcast(1.0)))
    elif opcode == Op.CLAMP:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, clamp(load(src + j), alpha, beta))
    elif opcode == Op.SOFTPLUS:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, softplus(load(src + j), alpha))
    elif opcode == Op.LOG:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, logarithm(load(src + j), least))
    elif opcode == Op.SCALED_TANH:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, alpha * tanh(beta * load(src + j)))
    else:
        for j in range(0, n_bytes, VECTOR_BYTES):
            store(dst + j, fma(load(src + j), alpha, beta))


@outlined
def apply_map(opcode, src, dst, n, parameters):
    """`dst` is the map `opcode` of `src`. parameters: address of alpha and beta, which are read in any case."""
    has_none = (
        (opcode >= Op.GELU and opcode <= Op.MISH)
        or opcode == Op.HARD_SWISH
        or (opcode >= Op.SOFTSIGN and opcode <= Op.ERF and opcode != Op.LOG)
    )
    if has_none:
        _plain(opcode, src, dst, 4 * n)
    else:
        alpha, beta = broadcast(load_scalar(parameters)), broadcast(load_scalar(parameters + 4))
        _with_parameters(opcode, src, dst, 4 * n, alpha, beta)
