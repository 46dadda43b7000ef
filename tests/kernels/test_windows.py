"""Rings and windows against NumPy, step by step; and a row of anything never leads outside of its ring."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.kernels.opcodes import (
    DILATION,
    DST_STEP,
    HOLD,
    KERNEL,
    LAG,
    LENGTH,
    N_IN,
    N_OUT,
    SRC_STEP,
    STATE,
    STEPS,
    STRIDE,
    TAP_STEP,
    Op,
)
from streamrnn.kernels.packing import aligned_zeros, padded
from tests.kernels.one_op import OneOp
from tests.laws.nets import same_bits

FILL = -7.0
MARGIN = 16


@st.composite
def rings(draw):
    """Columns of a RING: any shape, close or with gaps."""
    n, stride, n_windows = draw(st.integers(1, 20)), draw(st.integers(1, 7)), draw(st.integers(1, 3))
    kernel, dilation, lag = draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.integers(0, 5))
    src_step = n + draw(st.sampled_from([0, 0, 3]))
    tap_step = n + draw(st.sampled_from([0, 0, 5]))
    length = max(lag + (kernel - 1) * dilation + 1, stride) + draw(st.integers(0, 2))
    return {
        N_IN: n, STEPS: stride * n_windows, STRIDE: stride, KERNEL: kernel, DILATION: dilation, LAG: lag,
        SRC_STEP: src_step, TAP_STEP: tap_step, DST_STEP: kernel * tap_step, LENGTH: length,
        HOLD: draw(st.integers(0, 30)), STATE: MARGIN,
    }  # fmt: skip


def ring_op(columns, n_sessions=1):
    size = padded(columns[LENGTH] * columns[N_IN])
    n_windows = columns[STEPS] // columns[STRIDE]
    state = aligned_zeros(n_sessions, 2 * MARGIN + size + 16)
    return OneOp(
        Op.RING, columns, columns[STEPS] * columns[SRC_STEP], n_windows * columns[DST_STEP], [FILL], state
    )  # fmt: skip


def expected_windows(columns, steps):
    """Windows (n_windows, kernel, n) after each stride of `steps` (n_steps, n), zeros before."""
    reach = columns[LAG] + (columns[KERNEL] - 1) * columns[DILATION]
    steps = steps.copy()
    steps[: columns[HOLD]] = FILL
    whole = np.concatenate([np.zeros((reach, columns[N_IN]), np.float32), steps])
    first = range(columns[STRIDE] - 1, len(steps), columns[STRIDE])
    return np.array([whole[at : at + reach - columns[LAG] + 1 : columns[DILATION]] for at in first])


@given(columns=rings(), seed=st.integers(0, 1000), n_frames=st.integers(1, 12))
def test_a_ring_remembers(columns, seed, n_frames):
    op, n = ring_op(columns), columns[N_IN]
    x = np.random.default_rng(seed).standard_normal((n_frames, 1, columns[STEPS] * columns[SRC_STEP]))
    y = op.run(x.astype(np.float32))
    steps = x.astype(np.float32).reshape(-1, columns[SRC_STEP])[:, :n]
    found = y.reshape(-1, columns[KERNEL], columns[TAP_STEP])[:, :, :n]
    np.testing.assert_array_equal(found, expected_windows(columns, steps))
    row = op.state[0]
    size = padded(columns[LENGTH] * n)
    assert not row[:MARGIN].any() and not row[MARGIN + size + 2 :].any()
    assert not row[MARGIN + columns[LENGTH] * n : MARGIN + size].any()
    assert row[MARGIN + size] == len(steps) % columns[LENGTH]
    assert row[MARGIN + size + 1] == min(len(steps), columns[HOLD])


@given(columns=rings(), poison=st.sampled_from([np.nan, np.inf, -np.inf, -1.0, 0.7, 1e-40, 3e38, 1e7, -1e-45]))
def test_a_poisoned_ring_stays_in_its_place(columns, poison):
    op = ring_op(columns, 3)
    x = np.random.default_rng(0).standard_normal((4, 3, columns[STEPS] * columns[SRC_STEP])).astype(np.float32)
    sound = ring_op(columns, 3)
    ys = sound.run(x)
    op.state[1] = poison
    found = op.run(x)
    assert same_bits(np.ascontiguousarray(found[:, ::2]), np.ascontiguousarray(ys[:, ::2]))
    assert same_bits(op.state[::2].copy(), sound.state[::2].copy())
    size = padded(columns[LENGTH] * columns[N_IN])
    beside = np.concatenate([op.state[1, :MARGIN], op.state[1, MARGIN + size + 2 :]])
    assert same_bits(beside, np.full_like(beside, poison))
    assert 0 <= op.state[1, MARGIN + size] < columns[LENGTH]
    assert 0 <= op.state[1, MARGIN + size + 1] <= columns[HOLD]


@st.composite
def frames(draw):
    """Columns of WINDOWS."""
    n, n_steps, kernel = draw(st.integers(1, 20)), draw(st.integers(1, 9)), draw(st.integers(1, 5))
    dilation, stride, beside = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(0, 2))
    most = n_steps - 1 if beside == 1 else 6
    before, after = draw(st.integers(0, most)), draw(st.integers(0, most))
    n_windows = (n_steps + before + after - (kernel - 1) * dilation - 1) // stride + 1
    gap = draw(st.sampled_from([0, 0, 4]))
    columns = {
        N_IN: n, STEPS: n_steps, STRIDE: stride, KERNEL: kernel, DILATION: dilation, LAG: before, HOLD: beside,
        SRC_STEP: n + draw(st.sampled_from([0, 0, 3])), TAP_STEP: n + gap, DST_STEP: kernel * (n + gap),
        N_OUT: n_windows,
    }  # fmt: skip
    return columns, after


@given(drawn=frames(), seed=st.integers(0, 1000))
def test_windows_of_a_frame(drawn, seed):
    columns, after = drawn
    if columns[N_OUT] < 1:
        return
    n = columns[N_IN]
    op = OneOp(Op.WINDOWS, columns, columns[STEPS] * columns[SRC_STEP], columns[N_OUT] * columns[DST_STEP], [FILL])
    x = np.random.default_rng(seed).standard_normal((2, 1, columns[STEPS] * columns[SRC_STEP])).astype(np.float32)
    for frame, y in zip(x[:, 0], op.run(x)[:, 0], strict=True):
        pads = ((columns[LAG], after), (0, 0))
        steps = frame.reshape(columns[STEPS], -1)[:, :n]
        match columns[HOLD]:
            case 0:
                steps = np.pad(steps, pads, constant_values=FILL)
            case 1:
                steps = np.pad(steps, pads, mode="reflect")
            case _:
                steps = np.pad(steps, pads, mode="edge")
        taps = np.arange(columns[KERNEL]) * columns[DILATION]
        expected = np.array([steps[w * columns[STRIDE] + taps] for w in range(columns[N_OUT])])
        found = y.reshape(columns[N_OUT], columns[KERNEL], columns[TAP_STEP])[:, :, :n]
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("hold", [0, 1, 3])
def test_until_puts_a_state_back(hold):
    n = 19
    state = aligned_zeros(1, 48)
    op = OneOp(Op.UNTIL, {N_IN: n, N_OUT: 32, HOLD: hold}, n, 1, np.arange(1, n + 1), state)
    for t in range(5):
        state[0, :32] = 100
        op.run(np.zeros((1, 1, n), np.float32))
        np.testing.assert_array_equal(state[0, :n], np.arange(1, n + 1) if t < hold else 100)
        assert (state[0, n:32] == 100).all()
        assert state[0, 32] == min(t + 1, hold)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, -3.0, 1e30])
def test_a_poisoned_count_is_none(poison):
    state = aligned_zeros(1, 32)
    state[0, 16] = poison
    OneOp(Op.UNTIL, {N_IN: 3, N_OUT: 16, HOLD: 2}, 3, 1, [1, 2, 3], state).run(np.zeros((1, 1, 3), np.float32))
    assert state[0, :3].tolist() == [1, 2, 3]
    assert state[0, 16] == 1
