"""Which function an op calls, for one session; products aside."""

from streamrnn.kernels import cells, norms, ops, running, windows
from streamrnn.kernels.jit import pasted
from streamrnn.kernels.maps import apply_map
from streamrnn.kernels.memory import column, load_scalar
from streamrnn.kernels.opcodes import (
    BIAS,
    DST,
    DST_STEP,
    KERNEL,
    LAG,
    LENGTH,
    N_IN,
    N_OUT,
    OPCODE,
    SRC,
    SRC2,
    SRC_STEP,
    STATE,
    STEPS,
    TAP_STEP,
    WEIGHTS,
    Op,
)
from streamrnn.kernels.simd import PANEL_SIZE


@pasted
def move(op, weights, state, work):
    """Copies between the two rows, and windows; `STEPS` times."""
    opcode, n = column(op, OPCODE), column(op, N_IN)
    if opcode == Op.RING:
        windows.run_ring(op, weights, state, work)
        return
    if opcode == Op.WINDOWS:
        windows.run_windows(op, weights, work)
        return
    if opcode == Op.UNTIL:
        windows.run_until(op, weights, state)
        return
    src, dst = work + 4 * column(op, SRC), work + 4 * column(op, DST)
    if opcode == Op.LOAD_STATE:
        src = state + 4 * column(op, STATE)
    elif opcode == Op.STORE_STATE:
        dst = state + 4 * column(op, STATE)
    for _ in range(column(op, STEPS)):
        ops.copy(src, dst, n)
        src += 4 * column(op, SRC_STEP)
        dst += 4 * column(op, DST_STEP)


@pasted
def update_cell(op, weights, state, work):
    """The element-wise end of a recurrent cell, and what else keeps a state of its own."""
    opcode, n = column(op, OPCODE), column(op, N_OUT)
    src, dst, h = work + 4 * column(op, SRC), work + 4 * column(op, DST), state + 4 * column(op, STATE)
    if opcode == Op.LSTM:
        cells.lstm_update(src, h, h + 4 * n, dst, n)
    elif opcode == Op.GRU:
        cells.gru_update(src, h, dst, n)
    elif opcode == Op.GRU_RESET:
        cells.gru_reset(src, h, dst, n)
    elif opcode == Op.GRU_BEFORE:
        cells.gru_before_update(src, h, dst, n)
    elif opcode <= Op.RNN_RELU:
        if opcode == Op.RNN_TANH:
            ops.apply_tanh(src, dst, n)
        else:
            ops.apply_relu(src, dst, n)
        ops.copy(dst, h, n)
    elif opcode == Op.SSM:
        n_states = column(op, N_IN)
        b = src + 4 * column(op, LAG)
        c = b + 4 * (-(-n_states // PANEL_SIZE) * PANEL_SIZE)
        delta, a = work + 4 * column(op, SRC2), weights + 4 * column(op, WEIGHTS)
        cells.ssm_update(src, delta, b, c, a, h, dst, n, column(op, LENGTH), n_states)
    elif opcode == Op.RUNNING_MEAN:
        running.running_mean(src, h, dst, n, column(op, N_IN))
    elif opcode == Op.RUNNING_MAX:
        running.running_max(src, h, dst, n, column(op, N_IN))
    else:
        eps = weights + 4 * column(op, WEIGHTS) if opcode == Op.RUNNING_NORM else 0
        running.running_stats(src, h, dst, n, column(op, N_IN), eps)


@pasted
def apply(op, weights, work, src, dst):
    """Ops from the work row to the work row, whose operands are at `src` and `dst`."""
    opcode, n = column(op, OPCODE), column(op, N_OUT)
    if opcode == Op.BIAS:
        ops.copy(weights + 4 * column(op, BIAS), dst, n)
    elif opcode == Op.TANH:
        ops.apply_tanh(src, dst, n)
    elif opcode == Op.SIGMOID:
        ops.apply_sigmoid(src, dst, n)
    elif opcode == Op.RELU:
        ops.apply_relu(src, dst, n)
    elif opcode == Op.ADD:
        ops.add(src, work + 4 * column(op, SRC2), dst, n)
    elif opcode == Op.AFFINE:
        ops.affine(src, weights + 4 * column(op, WEIGHTS), weights + 4 * column(op, BIAS), dst, n)
    elif opcode == Op.ADD_SCALED:
        ops.affine(src, weights + 4 * column(op, WEIGHTS), dst, dst, n)
    elif opcode == Op.EMBEDDING:
        ops.copy(weights + 4 * (column(op, WEIGHTS) + int(load_scalar(src)) * n), dst, n)
    elif opcode == Op.SOFTMAX or opcode == Op.LOG_SOFTMAX:
        norms.softmax(src, dst, column(op, N_IN), opcode == Op.LOG_SOFTMAX)
    elif opcode > Op.RELU:
        apply_map(opcode, src, dst, n, weights + 4 * max(column(op, WEIGHTS), 0))
    elif opcode <= Op.MUL_ADD:
        ops.combine(opcode, src, work + 4 * column(op, SRC2), dst, n)
    elif opcode == Op.PRELU:
        ops.prelu(src, weights + 4 * column(op, WEIGHTS), dst, n)
    elif opcode == Op.WEIGHTED_TAPS:
        w, bias = weights + 4 * column(op, WEIGHTS), weights + 4 * column(op, BIAS)
        ops.weighted_taps(src, 4 * column(op, TAP_STEP), column(op, KERNEL), w, bias, dst, n)
    elif opcode == Op.LARGEST_TAP:
        ops.largest_tap(src, 4 * column(op, TAP_STEP), column(op, KERNEL), dst, n)
    elif opcode == Op.GATHER:
        ops.gather(src, weights + 4 * column(op, WEIGHTS), dst, column(op, N_IN))
    elif opcode == Op.LAYER_NORM:
        norms.layer_norm(src, dst, column(op, N_IN), weights + 4 * column(op, WEIGHTS))
    else:
        norms.rms_norm(src, dst, column(op, N_IN), weights + 4 * column(op, WEIGHTS))
