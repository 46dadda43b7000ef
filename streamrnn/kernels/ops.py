"""The element-wise ops from work row to work row, each for one session: plain loops over vectors at addresses.

All sizes `n` are padded, so there are no tails: padding lanes of weights and biases are 0, and what an op leaves in the
padding of its result is never read (a linear op reads exactly `N_IN` inputs).
"""

from streamrnn.kernels.activations import relu, sigmoid, tanh
from streamrnn.kernels.jit import inlined, outlined
from streamrnn.kernels.memory import load, load_first, load_scalar, store, store_first, store_scalar
from streamrnn.kernels.opcodes import Op
from streamrnn.kernels.simd import VECTOR_BYTES, WIDTH, broadcast, fma, is_zero, larger, select_less, smaller


@inlined
def copy(src, dst, n):
    """`n` (exact) floats from `src` to `dst`, which do not overlap."""
    whole = n - n % WIDTH
    for j in range(0, 4 * whole, VECTOR_BYTES):
        store(dst + j, load(src + j))
    if whole < n:
        store_first(dst + 4 * whole, load_first(src + 4 * whole, n - whole), n - whole)


@inlined
def is_finite(src, n):
    """Whether `n` (exact) floats are all finite; `0 * v` is NaN where v is not."""
    zero = broadcast(0.0)
    whole = n - n % WIDTH
    total = zero
    for j in range(0, 4 * whole, VECTOR_BYTES):
        total = fma(load(src + j), zero, total)
    if whole < n:
        total = fma(load_first(src + 4 * whole, n - whole), zero, total)
    return is_zero(total)


@inlined
def fill(dst, n, n_padded, value):
    """`value` (float32) into the padding of a region of `n` floats."""
    for j in range(4 * n, 4 * n_padded, 4):
        store_scalar(dst + j, value)


@outlined
def apply_tanh(src, dst, n):
    """`dst = tanh(src)`."""
    for j in range(0, 4 * n, VECTOR_BYTES):
        store(dst + j, tanh(load(src + j)))


@outlined
def apply_sigmoid(src, dst, n):
    """`dst = sigmoid(src)`."""
    for j in range(0, 4 * n, VECTOR_BYTES):
        store(dst + j, sigmoid(load(src + j)))


@inlined
def apply_relu(src, dst, n):
    """`dst = max(0, src)`."""
    for j in range(0, 4 * n, VECTOR_BYTES):
        store(dst + j, relu(load(src + j)))


@inlined
def add(src, src2, dst, n):
    """`dst = src + src2`."""
    for j in range(0, 4 * n, VECTOR_BYTES):
        store(dst + j, load(src + j) + load(src2 + j))


@inlined
def affine(src, scale, shift, dst, n):
    """`dst = src * scale + shift`, rounded once."""
    for j in range(0, 4 * n, VECTOR_BYTES):
        store(dst + j, fma(load(src + j), load(scale + j), load(shift + j)))


@outlined
def combine(opcode, src, src2, dst, n):
    """`dst` is the difference, product, quotient, larger or smaller one of `src` and `src2`."""
    if opcode == Op.SUB:
        for j in range(0, 4 * n, VECTOR_BYTES):
            store(dst + j, load(src + j) - load(src2 + j))
    elif opcode == Op.MUL:
        for j in range(0, 4 * n, VECTOR_BYTES):
            store(dst + j, load(src + j) * load(src2 + j))
    elif opcode == Op.DIV:
        for j in range(0, 4 * n, VECTOR_BYTES):
            store(dst + j, load(src + j) / load(src2 + j))
    elif opcode == Op.MAXIMUM:
        for j in range(0, 4 * n, VECTOR_BYTES):
            store(dst + j, larger(load(src + j), load(src2 + j)))
    elif opcode == Op.MINIMUM:
        for j in range(0, 4 * n, VECTOR_BYTES):
            store(dst + j, smaller(load(src + j), load(src2 + j)))
    else:
        for j in range(0, 4 * n, VECTOR_BYTES):
            store(dst + j, fma(load(src + j), load(src2 + j), load(dst + j)))


@inlined
def prelu(src, slope, dst, n):
    """`dst = src`, times `slope` where it is negative."""
    for j in range(0, 4 * n, VECTOR_BYTES):
        x = load(src + j)
        store(dst + j, select_less(x, broadcast(0.0), x * load(slope + j), x))


@outlined
def weighted_taps(src, tap_bytes, n_taps, weights, bias, dst, n):
    """`dst = bias + sum over taps of src * weights`: one chain over the taps in order for each of `n` floats.

    The taps stand `tap_bytes` apart at `src`, their weights `n` floats apart.
    """
    for j in range(0, 4 * n, VECTOR_BYTES):
        total = load(bias + j)
        for k in range(n_taps):
            total = fma(load(src + k * tap_bytes + j), load(weights + k * 4 * n + j), total)
        store(dst + j, total)


@outlined
def largest_tap(src, tap_bytes, n_taps, dst, n):
    """`dst` is the largest of taps that stand `tap_bytes` apart at `src`."""
    for j in range(0, 4 * n, VECTOR_BYTES):
        largest = load(src + j)
        for k in range(1, n_taps):
            largest = larger(largest, load(src + k * tap_bytes + j))
        store(dst + j, largest)


@outlined
def gather(src, places, dst, n):
    """`dst[j] = src[places[j]]` for `n` (exact) places, float32 numbers that the compiler wrote."""
    for j in range(0, 4 * n, 4):
        store_scalar(dst + j, load_scalar(src + 4 * int(load_scalar(places + j))))
