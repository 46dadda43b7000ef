"""Run any program for a batch of slots: the one function that is compiled, for every model.

Ops are the outer loop and sessions the inner one, so that each weight is read once per batch. Every frame is checked
before any state is touched, and each op writes only the rows of its own session.
"""

from streamrnn.kernels import ops
from streamrnn.kernels.floatmode import flush_denormals, restore_mode
from streamrnn.kernels.jit import entry, inlined, outlined, pasted
from streamrnn.kernels.opcodes import BIAS, DST, N_IN, N_OUT, OPCODE, SRC, SRC2, STATE, WEIGHTS, Op
from streamrnn.kernels.simd import PANEL_SIZE, address_of, load_scalar
from streamrnn.kernels.tile import matmul

ALL_STEPPED = -1


@inlined
def _pad(n):
    return -(-n // PANEL_SIZE) * PANEL_SIZE


@outlined
def _accept_input(op, x, x_stride, work_rows):
    """Copy the frames into the work rows; index of the first frame that is not finite or not a token, else -1."""
    n_in, n_tokens = op[N_IN], op[N_OUT]
    n = _pad(n_in)
    for s in range(work_rows.size):
        dst = work_rows[s] + 4 * op[DST]
        ops.copy(x + s * x_stride, dst, n_in)
        ops.fill(dst, n_in, n, 0.0)
        if not ops.is_finite(dst, n):
            return s
        if n_tokens > 0:
            token = load_scalar(dst)
            if token < 0 or token >= n_tokens or token != int(token):
                return s
    return ALL_STEPPED


@pasted
def _linear(op, weights, state_rows, work_rows, work_stride):
    """LINEAR and LINEAR_STATE: go on with the chains that BIAS or another of them began."""
    out = work_rows[0] + 4 * op[DST]
    packed = weights + 4 * op[WEIGHTS]
    n_panels = op[N_OUT] // PANEL_SIZE
    if op[OPCODE] == Op.LINEAR:
        matmul(work_rows, 4 * op[SRC], out, work_stride, packed, n_panels, op[N_IN])
    else:
        matmul(state_rows, 4 * op[STATE], out, work_stride, packed, n_panels, op[N_IN])


@pasted
def _move(op, state, work):
    opcode = op[OPCODE]
    if opcode == Op.COPY:
        ops.copy(work + 4 * op[SRC], work + 4 * op[DST], op[N_IN])
    elif opcode == Op.LOAD_STATE:
        ops.copy(state + 4 * op[STATE], work + 4 * op[DST], op[N_IN])
    else:
        ops.copy(work + 4 * op[SRC], state + 4 * op[STATE], op[N_IN])


@pasted
def _update_cell(op, state, work):
    """The element-wise end of a recurrent cell: gates in the work row, h (and c) in the state row."""
    opcode, n = op[OPCODE], op[N_OUT]
    src, dst, h = work + 4 * op[SRC], work + 4 * op[DST], state + 4 * op[STATE]
    if opcode == Op.LSTM:
        ops.lstm_update(src, h, h + 4 * n, dst, n)
    elif opcode == Op.GRU:
        ops.gru_update(src, h, dst, n)
    elif opcode == Op.GRU_RESET:
        ops.gru_reset(src, h, dst, n)
    elif opcode == Op.GRU_BEFORE:
        ops.gru_before_update(src, h, dst, n)
    else:
        if opcode == Op.RNN_TANH:
            ops.apply_tanh(src, dst, n)
        else:
            ops.apply_relu(src, dst, n)
        ops.copy(dst, h, n)


@pasted
def _map(op, weights, work):
    """Ops from the work row to the work row."""
    opcode, n = op[OPCODE], op[N_OUT]
    src, dst = work + 4 * op[SRC], work + 4 * op[DST]
    if opcode == Op.BIAS:
        ops.copy(weights + 4 * op[BIAS], dst, n)
    elif opcode == Op.TANH:
        ops.apply_tanh(src, dst, n)
    elif opcode == Op.SIGMOID:
        ops.apply_sigmoid(src, dst, n)
    elif opcode == Op.RELU:
        ops.apply_relu(src, dst, n)
    elif opcode == Op.ADD:
        ops.add(src, work + 4 * op[SRC2], dst, n)
    elif opcode == Op.AFFINE:
        ops.affine(src, weights + 4 * op[WEIGHTS], weights + 4 * op[BIAS], dst, n)
    elif opcode == Op.EMBEDDING:
        ops.copy(weights + 4 * (op[WEIGHTS] + int(load_scalar(src)) * n), dst, n)
    else:
        ops.softmax(src, dst, op[N_IN], opcode == Op.LOG_SOFTMAX)


@outlined
def _run_op(op, weights, state_rows, work_rows, work_stride):
    opcode = op[OPCODE]
    if opcode == Op.LINEAR or opcode == Op.LINEAR_STATE:
        _linear(op, weights, state_rows, work_rows, work_stride)
        return
    for s in range(work_rows.size):
        if opcode >= Op.RNN_TANH:
            _update_cell(op, state_rows[s], work_rows[s])
        elif opcode >= Op.BIAS:
            _map(op, weights, work_rows[s])
        else:
            _move(op, state_rows[s], work_rows[s])


@entry(
    "int64(int64[:,::1], float32[::1], float32[:,::1], int64[::1],"
    " float32[:,:,::1], float32[:,:,::1], float32[:,::1], int64[:,::1])"
)
def run_program(program, weights, arena, slots, x, y, work, rows):
    """Step every session of a batch by `n_frames` frames.

    Args:
        program: (n_ops, 8) int64, the table of `opcodes`.
        weights: (n_weights,) float32, packed by the compiler.
        arena: (n_slots, state_size) float32, one state row a session; the rows in `slots` are updated in place.
        slots: (n,) int64, distinct rows of `arena`.
        x: (n_frames, n, input_size) float32, the frames of each slot.
        y: (n_frames, n, output_size) float32, written.
        work: (at least n, work_size) float32 scratch.
        rows: (2, at least n) int64 scratch.

    Returns:
        -1 when all were stepped; else `frame * n + session` of the first frame refused (NaN, Inf, or not a token id),
        and then no state and no output has changed.
    """
    mode = flush_denormals()
    n_frames, n, last = x.shape[0], slots.size, program.shape[0] - 1
    x_stride, y_stride, work_stride = 4 * x.shape[2], 4 * y.shape[2], 4 * work.shape[1]
    state_rows, work_rows = rows[0, :n], rows[1, :n]
    for s in range(n):
        state_rows[s] = address_of(arena) + slots[s] * 4 * arena.shape[1]
        work_rows[s] = address_of(work) + s * work_stride
    refused = ALL_STEPPED
    for t in range(n_frames - 1, -1, -1):  # the first frame last: it stays in the work rows
        index = _accept_input(program[0], address_of(x) + t * n * x_stride, x_stride, work_rows)
        if index >= 0:
            refused = t * n + index
    if refused < 0:
        for t in range(n_frames):
            if t > 0:
                _accept_input(program[0], address_of(x) + t * n * x_stride, x_stride, work_rows)
            for i in range(1, last):
                _run_op(program[i], address_of(weights), state_rows, work_rows, work_stride)
            for s in range(n):
                y_row = address_of(y) + (t * n + s) * y_stride
                ops.copy(work_rows[s] + 4 * program[last, SRC], y_row, program[last, N_IN])
    restore_mode(mode)
    return refused


@entry("int64(float32[:,::1], int64)")
def find_refused(frames, n_tokens):
    """Index of the first of frames (n, input_size) that `run_program` would refuse, else -1; n_tokens 0: dense."""
    mode = flush_denormals()
    refused = ALL_STEPPED
    for i in range(frames.shape[0] - 1, -1, -1):
        for j in range(frames.shape[1]):
            value = frames[i, j]
            is_refused = value - value != 0.0  # NaN for NaN and Inf, and NaN differs from all
            if n_tokens > 0 and not is_refused:
                is_refused = value < 0 or value >= n_tokens or value != int(value)
            if is_refused:
                refused = i
    restore_mode(mode)
    return refused
