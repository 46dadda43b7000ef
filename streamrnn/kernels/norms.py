"""Softmax and the norms: each of one value as a whole, whose sums are the same for every vector width.

A sum has one chain for each of a panel's 16 places, and the chains are added first to last. Norms may stand anywhere in
a row, group beside group: they read and write nothing behind their `n_exact` values.
"""

from streamrnn.kernels.activations import exp, log, max_lanes, maximum, sum_lanes
from streamrnn.kernels.jit import inlined, outlined
from streamrnn.kernels.memory import load, load_part, load_scalar, store, store_part
from streamrnn.kernels.ops import copy, fill
from streamrnn.kernels.simd import PANEL_SIZE, VECTOR_BYTES, broadcast, fma, lane, square_root

PANEL_BYTES = 4 * PANEL_SIZE


@inlined
def _largest(src, n):
    largest = load(src)
    for j in range(VECTOR_BYTES, 4 * n, VECTOR_BYTES):
        largest = maximum(load(src + j), largest)
    return broadcast(max_lanes(largest))


@outlined
def softmax(src, dst, n_exact, logarithm):
    """`dst = softmax(src)` over `n_exact` values, or its logarithm.

    The largest value is subtracted first. The sum has one chain for each of a panel's 16 places, added first to last,
    so that it does not depend on the vector width.
    """
    n = -(-n_exact // PANEL_SIZE) * PANEL_SIZE
    copy(src, dst, n_exact)
    fill(dst, n_exact, n, -float("inf"))
    largest = _largest(dst, n)
    total = lane(broadcast(0.0), 0)
    for place in range(0, PANEL_BYTES, VECTOR_BYTES):
        chains = broadcast(0.0)
        for j in range(place, 4 * n, PANEL_BYTES):
            value = load(dst + j) - largest
            power = exp(value)
            chains = chains + power
            store(dst + j, value if logarithm else power)
        total = sum_lanes(chains, total)
    whole = broadcast(total)
    shift = log(whole)
    for j in range(0, 4 * n, VECTOR_BYTES):
        value = load(dst + j)
        store(dst + j, value - shift if logarithm else value / whole)
    fill(dst, n_exact, n, 0.0)


@inlined
def _sum(src, n_bytes, of_squares):
    """The sum (float32) of the values at `src`, or of their squares."""
    total = lane(broadcast(0.0), 0)
    for place in range(0, PANEL_BYTES, VECTOR_BYTES):
        chains = broadcast(0.0)
        for j in range(place, n_bytes, PANEL_BYTES):
            value = load_part(src, j, n_bytes)
            chains = fma(value, value, chains) if of_squares else chains + value
        total = sum_lanes(chains, total)
    return total


@inlined
def _divide(src, dst, n_bytes, divisor):
    for j in range(0, n_bytes, VECTOR_BYTES):
        store_part(dst, j, n_bytes, load_part(src, j, n_bytes) / divisor)


@outlined
def layer_norm(src, dst, n_exact, eps):
    """`dst = (src - mean) / sqrt(variance + eps)` over `n_exact` values, the variance that of all of them.

    The mean comes first, and the deviations from it are squared. eps: address. Source: Ba et al. 2016.
    """
    n_bytes, n = 4 * n_exact, broadcast(n_exact)
    mean = broadcast(_sum(src, n_bytes, False)) / n
    for j in range(0, n_bytes, VECTOR_BYTES):
        store_part(dst, j, n_bytes, load_part(src, j, n_bytes) - mean)
    variance = broadcast(_sum(dst, n_bytes, True)) / n
    _divide(dst, dst, n_bytes, square_root(variance + broadcast(load_scalar(eps))))


@outlined
def rms_norm(src, dst, n_exact, eps):
    """`dst = src / sqrt(mean square + eps)` over `n_exact` values. eps: address. Source: Zhang & Sennrich 2019."""
    n_bytes = 4 * n_exact
    square = broadcast(_sum(src, n_bytes, True)) / broadcast(n_exact)
    _divide(src, dst, n_bytes, square_root(square + broadcast(load_scalar(eps))))
