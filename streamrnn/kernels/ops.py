"""The element-wise ops of a program, each for one session: plain loops over vectors at addresses.

All sizes `n` are padded, so there are no tails: padding lanes of weights and biases are 0, and what an op leaves in the
padding of its result is never read (a linear op reads exactly `N_IN` inputs).
"""

from streamrnn.kernels.activations import exp, log, max_lanes, maximum, relu, sigmoid, sum_lanes, tanh
from streamrnn.kernels.jit import inlined, outlined
from streamrnn.kernels.memory import load, load_first, store, store_first, store_scalar
from streamrnn.kernels.simd import PANEL_SIZE, VECTOR_BYTES, WIDTH, broadcast, fma, is_zero, lane

PANEL_BYTES = 4 * PANEL_SIZE


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


@inlined
def _largest(src, n):
    largest = load(src)
    for j in range(VECTOR_BYTES, 4 * n, VECTOR_BYTES):
        largest = maximum(load(src + j), largest)
    return broadcast(max_lanes(largest))


@outlined
def softmax(src, dst, n_exact, logarithm):
    """`dst = softmax(src)` over `n_exact` values, or its logarithm; the padding of `src` is overwritten.

    The largest value is subtracted first. The sum has one chain for each of a panel's 16 places, added first to last,
    so that it does not depend on the vector width.
    """
    n = -(-n_exact // PANEL_SIZE) * PANEL_SIZE
    fill(src, n_exact, n, -float("inf"))
    largest = _largest(src, n)
    total = lane(broadcast(0.0), 0)
    for place in range(0, PANEL_BYTES, VECTOR_BYTES):
        chains = broadcast(0.0)
        for j in range(place, 4 * n, PANEL_BYTES):
            value = load(src + j) - largest
            power = exp(value)
            chains = chains + power
            store(dst + j, value if logarithm else power)
        total = sum_lanes(chains, total)
    whole = broadcast(total)
    shift = log(whole)
    for j in range(0, 4 * n, VECTOR_BYTES):
        value = load(dst + j)
        store(dst + j, value - shift if logarithm else value / whole)
    fill(src, n_exact, n, 0.0)
    fill(dst, n_exact, n, 0.0)


@inlined
def lstm_update(gates, h, c, out, n):
    """`c = f * c + i * g`, `h = o * tanh(c)` from the pre-activations i, f, g, o (PyTorch's order), `n` floats each.

    Updates h and c in place and copies h to `out`. Source: PyTorch `nn.LSTM`.
    """
    gate_bytes = 4 * n
    for j in range(0, gate_bytes, VECTOR_BYTES):
        i = sigmoid(load(gates + j))
        f = sigmoid(load(gates + gate_bytes + j))
        g = tanh(load(gates + 2 * gate_bytes + j))
        o = sigmoid(load(gates + 3 * gate_bytes + j))
        cell = fma(f, load(c + j), i * g)
        hidden = o * tanh(cell)
        store(c + j, cell)
        store(h + j, hidden)
        store(out + j, hidden)


@inlined
def gru_update(gates, h, out, n):
    """`h = n + z * (h - n)` with `n = tanh(xn + r * hn)`, from the pre-activations xn, r, z, hn, `n` floats each.

    Reset after the matmul. Updates h in place and copies it to `out`. Source: PyTorch `nn.GRU`.
    """
    gate_bytes = 4 * n
    for j in range(0, gate_bytes, VECTOR_BYTES):
        r = sigmoid(load(gates + gate_bytes + j))
        z = sigmoid(load(gates + 2 * gate_bytes + j))
        new = tanh(fma(r, load(gates + 3 * gate_bytes + j), load(gates + j)))
        hidden = fma(z, load(h + j) - new, new)
        store(h + j, hidden)
        store(out + j, hidden)


@outlined
def gru_reset(gate, h, out, n):
    """`out = sigmoid(gate) * h`: the reset before the matmul. Source: Cho et al. 2014, equation 8."""
    for j in range(0, 4 * n, VECTOR_BYTES):
        store(out + j, sigmoid(load(gate + j)) * load(h + j))


@outlined
def gru_before_update(gates, h, out, n):
    """`h = n + z * (h - n)` with `n = tanh(pre-activation)`, from z, n. Updates h in place and copies it to `out`.

    Source: Cho et al. 2014, equation 7, with z as PyTorch has it (z keeps the old state).
    """
    gate_bytes = 4 * n
    for j in range(0, gate_bytes, VECTOR_BYTES):
        z = sigmoid(load(gates + j))
        new = tanh(load(gates + gate_bytes + j))
        hidden = fma(z, load(h + j) - new, new)
        store(h + j, hidden)
        store(out + j, hidden)
