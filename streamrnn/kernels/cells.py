"""The element-wise ends of the cells, each for one session: gates in the work row, h (and c) in the state row.

All sizes `n` are padded; what is 0 in the padding of a state stays 0.
"""

from streamrnn.kernels.activations import exp, sigmoid, tanh
from streamrnn.kernels.jit import inlined, outlined
from streamrnn.kernels.memory import load, load_part, load_scalar, store
from streamrnn.kernels.simd import VECTOR_BYTES, broadcast, fma


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


@outlined
def ssm_update(x, delta, b, c, weights, h, out, n, n_exact, n_states):
    """`h = exp(delta A) h + delta B x`, `out = C h + D x`: a selective scan, `n_states` values of h for each channel.

    x, delta: (n_exact,), their padding is not read. b, c: (n_states,). weights: rows of A (n_states, n), then D (n,).
    h: (n_states, n), updated in place. Each output is one chain over the states in order. Source: Gu & Dao 2023,
    equation 2 and algorithm 2, with B discretised by Euler's rule as in their code.
    """
    row_bytes, n_bytes = 4 * n, 4 * n_exact
    for j in range(0, row_bytes, VECTOR_BYTES):
        value, step = load_part(x, j, n_bytes), load_part(delta, j, n_bytes)
        scaled, total = step * value, load(weights + n_states * row_bytes + j) * value
        for k in range(n_states):
            place = k * row_bytes + j
            decay = exp(step * load(weights + place))
            state = fma(decay, load(h + place), broadcast(load_scalar(b + 4 * k)) * scaled)
            total = fma(broadcast(load_scalar(c + 4 * k)), state, total)
            store(h + place, state)
        store(out + j, total)
