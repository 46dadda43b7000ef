"""The ops between work row and work row, the norms and the running figures, against NumPy float64."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn.kernels.opcodes import (
    BIAS,
    DST_STEP,
    KERNEL,
    LAG,
    LENGTH,
    N_IN,
    N_OUT,
    PRECISION,
    SRC2,
    SRC_STEP,
    STEPS,
    TAP_STEP,
    WEIGHTS,
    Op,
)
from streamrnn.kernels.packing import aligned_zeros, pack_panels
from streamrnn.kernels.running import LARGEST_COUNT
from streamrnn.model.precision import to_bfloat16
from tests.kernels.one_op import OneOp
from tests.laws.nets import same_bits

SIZES = [1, 7, 16, 17, 33, 100]


def values(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


BINARY = {
    Op.ADD: np.add,
    Op.SUB: np.subtract,
    Op.MUL: np.multiply,
    Op.DIV: np.divide,
    Op.MAXIMUM: np.maximum,
    Op.MINIMUM: np.minimum,
}


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize("size", [16, 48])
def test_binary_ops_are_those_of_float32(op, size):
    x = values(3, 1, 2 * size)
    y = OneOp(op, {N_OUT: size, SRC2: size}, 2 * size, size).run(x)
    assert same_bits(y, BINARY[op](x[..., :size], x[..., size:]))


def test_the_largest_of_nan_and_a_number_is_nan():
    state = aligned_zeros(1, 16)
    state[0, :2] = np.nan
    y = OneOp(Op.RUNNING_MAX, {N_IN: 16, N_OUT: 16}, 16, 16, state=state).run(np.ones((2, 1, 16), np.float32))
    assert np.isnan(y[:, 0, :2]).all() and (y[:, 0, 2:] == 1).all()


def test_multiply_add_rounds_once():
    """The work row keeps what a call leaves there, so each frame goes on with the sum of those before it."""
    x, op, total = values(50, 1, 32), OneOp(Op.MUL_ADD, {N_OUT: 16, SRC2: 16}, 32, 16), np.zeros(16, np.float32)
    for frame in x[:, 0]:
        products = frame[:16].astype(np.float64) * frame[16:]
        total = (products + total).astype(np.float32)
        assert same_bits(op.run(frame[None, None])[0, 0], total)


@pytest.mark.parametrize("size", [16, 32])
def test_prelu(size):
    x, slope = values(3, 1, size), values(size, seed=1)
    y = OneOp(Op.PRELU, {N_OUT: size}, size, size, slope).run(x)
    assert same_bits(y, np.where(x < 0, x * slope, x))


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("kernel", [1, 2, 5])
def test_taps(kernel, steps):
    size, n = 21, 32
    x, weights, bias = values(2, 1, (kernel + steps - 1) * n), values(kernel, n, seed=1), values(n, seed=2)
    columns = {N_OUT: n, KERNEL: kernel, TAP_STEP: n, STEPS: steps, SRC_STEP: n, DST_STEP: n, BIAS: kernel * n}
    packed = np.concatenate([weights.reshape(-1), bias])
    weighted = OneOp(Op.WEIGHTED_TAPS, columns, x.shape[-1], steps * n, packed).run(x).reshape(2, steps, n)
    largest = OneOp(Op.LARGEST_TAP, columns, x.shape[-1], steps * n).run(x).reshape(2, steps, n)
    taps = x.reshape(2, -1, n)
    for s in range(steps):
        window = taps[:, s : s + kernel].astype(np.float64)
        np.testing.assert_allclose(weighted[:, s, :size], ((window * weights).sum(1) + bias)[:, :size], atol=2e-6)
        assert same_bits(largest[:, s], window.max(1).astype(np.float32))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shift", [0, 1000])
def test_layer_norm(size, shift):
    x = values(5, 1, size) + np.float32(shift)
    y = OneOp(Op.LAYER_NORM, {N_IN: size}, size, size, [1e-3]).run(x)
    exact = x.astype(np.float64)
    exact = (exact - exact.mean(-1, keepdims=True)) / np.sqrt(exact.var(-1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(y, exact, atol=2e-6 if not shift else 1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_rms_norm(size):
    x = values(5, 1, size)
    y = OneOp(Op.RMS_NORM, {N_IN: size}, size, size, [1e-3]).run(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(y, exact / np.sqrt((exact**2).mean(-1, keepdims=True) + 1e-3), rtol=1e-6)


@pytest.mark.parametrize("op", [Op.LAYER_NORM, Op.RMS_NORM])
def test_norms_of_neighbours_do_not_touch_each_other(op):
    """Groups of 5 channels, and steps without gaps: each as it is alone."""
    x = values(3, 1, 20)
    columns = {N_IN: 5, STEPS: 4, SRC_STEP: 5, DST_STEP: 5}
    y = OneOp(op, columns, 20, 32, [1e-3]).run(x)
    alone = OneOp(op, {N_IN: 5}, 5, 5, [1e-3]).run(x.reshape(12, 1, 5))
    assert same_bits(y[..., :20].copy(), alone.reshape(3, 1, 20))
    assert not y[..., 20:].any()


@pytest.mark.parametrize("n_rows", [1, 2, 5])
@pytest.mark.parametrize("steps", [2, 3, 8])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("precision", [0, 1, 2])
def test_steps_of_a_product_are_the_product_of_each_step(n_rows, steps, has_bias, precision):
    """Whichever of rows and steps is the batch; without a bias they go on with zeros."""
    n_k, n = 70, 80
    matrix = values(n, n_k, seed=3)
    narrow = [matrix, to_bfloat16(matrix), (matrix * 20).astype(np.int8)][precision]
    packed = np.frombuffer(pack_panels([narrow]).tobytes(), np.float32)
    weights = np.concatenate([values(n, seed=4), packed])
    columns = {N_IN: n_k, N_OUT: n, WEIGHTS: n, BIAS: 0 if has_bias else -1, PRECISION: precision}
    x = values(1, n_rows, steps * (n_k + 3))
    state = aligned_zeros(n_rows, 16)
    many = {STEPS: steps, SRC_STEP: n_k + 3, DST_STEP: n}
    together = OneOp(Op.LINEAR, columns | many, x.shape[-1], steps * n, weights, state).run(x)
    alone = OneOp(Op.LINEAR, columns, n_k, n, weights)
    for r in range(n_rows):
        for s in range(steps):
            step = x[0, r, s * (n_k + 3) :][:n_k]
            # One frame a call, as the op goes on with what stands in the work row.
            if not has_bias:
                alone = OneOp(Op.LINEAR, columns, n_k, n, weights)
            assert same_bits(together[0, r, s * n : (s + 1) * n], alone.run(step[None, None])[0, 0])


def test_a_selective_scan():
    size, n, n_states, length = 19, 32, 3, 12
    x = values(length, 1, 2 * n + 32)
    x[..., n : 2 * n] = np.abs(x[..., n : 2 * n]) * 0.3  # delta
    a, d = -np.abs(values(n_states, n, seed=1)), values(n, seed=2)
    state = aligned_zeros(1, n_states * n)
    columns = {N_IN: n_states, N_OUT: n, LENGTH: size, SRC2: n, LAG: 2 * n}
    y = OneOp(Op.SSM, columns, x.shape[-1], n, np.concatenate([a.reshape(-1), d]), state).run(x)
    h = np.zeros((n_states, n))
    for t in range(length):
        u, delta, b, c = np.split(x[t, 0].astype(np.float64), [n, 2 * n, 2 * n + 16])
        h = np.exp(delta * a) * h + b[:n_states, None] * (delta * u)
        np.testing.assert_allclose(y[t, 0, :size], (c[:n_states] @ h + d * u)[:size], atol=3e-6)
    np.testing.assert_allclose(state.reshape(n_states, n)[:, :size], h[:, :size], atol=3e-6)
    assert not state.reshape(n_states, n)[:, size:].any()


class TestRunning:
    SIZE = 19

    def run(self, op, x, state, n_y=32):
        return OneOp(op, {N_IN: self.SIZE, N_OUT: 32}, self.SIZE, n_y, [1e-3], state).run(x)

    def test_all_of_them(self):
        x, size = values(200, 1, self.SIZE) + 3, self.SIZE
        exact = x[:, 0].astype(np.float64)
        counts = np.arange(1, 201)[:, None]
        means = exact.cumsum(0) / counts
        deviations = np.array([exact[: t + 1].std(0) for t in range(200)])
        state = aligned_zeros(1, 96)
        np.testing.assert_allclose(self.run(Op.RUNNING_MEAN, x, state)[:, 0, :size], means, rtol=1e-5)
        assert state[0, 32] == 200 and not state[0, size:32].any()
        state = aligned_zeros(1, 96)
        y = self.run(Op.RUNNING_STATS, x, state, 64)[:, 0]
        np.testing.assert_allclose(y[:, :size], means, rtol=1e-5)
        np.testing.assert_allclose(y[:, 32 : 32 + size], deviations, atol=1e-5)
        assert state[0, 64] == 200 and not state[0, size:32].any() and not state[0, 32 + size : 64].any()
        y = self.run(Op.RUNNING_NORM, x, aligned_zeros(1, 96))[:, 0, :size]
        np.testing.assert_allclose(y, (exact - means) / np.sqrt(deviations**2 + 1e-3), atol=3e-5)
        state = np.full((1, 32), -3e38, np.float32)
        y = self.run(Op.RUNNING_MAX, x, state)[:, 0, :size]
        assert same_bits(y.copy(), np.maximum.accumulate(x[:, 0]))

    def test_a_count_stands_still_at_last_and_the_variance_with_it(self):
        state = aligned_zeros(1, 96)
        state[0, 64] = LARGEST_COUNT
        state[0, 32:51] = LARGEST_COUNT  # a variance of 1
        x = np.random.default_rng(0).choice([-1.0, 1.0], (2000, 1, self.SIZE)).astype(np.float32)
        y = self.run(Op.RUNNING_STATS, x, state, 64)
        assert state[0, 64] == LARGEST_COUNT
        np.testing.assert_allclose(y[-1, 0, 32:51], 1, atol=1e-4)

    @pytest.mark.parametrize("op", [Op.RUNNING_MEAN, Op.RUNNING_STATS, Op.RUNNING_NORM])
    def test_a_poisoned_row_is_alone(self, op):
        x = values(3, 3, self.SIZE)
        sound, sick = aligned_zeros(3, 96), aligned_zeros(3, 96)
        expected = self.run(op, x, sound, 64)
        sick[1] = np.nan
        y = self.run(op, x, sick, 64)
        assert same_bits(y[:, ::2].copy(), expected[:, ::2].copy())
        assert same_bits(sick[::2].copy(), sound[::2].copy())


def test_outputs_of_several_steps_are_dense():
    """LEAKY_RELU of slope 1 copies steps apart; the output takes them together."""
    x = values(2, 1, 30)
    columns = {N_OUT: 16, STEPS: 3, SRC_STEP: 10, DST_STEP: 16}
    y = OneOp(Op.LEAKY_RELU, columns, 30, 48, [1.0]).run(x).reshape(2, 3, 16)[:, :, :10]
    assert same_bits(y.reshape(2, 1, 30), x)
