"""Run any program for a batch of slots: the one function that is compiled, for every model.

Ops are the outer loop, sessions and frames the inner ones, so that each weight is read once per batch and a chunk's
products over its input go at the speed of a batch; only what a `SCAN` holds goes frame by frame. Every frame is checked
before any state is touched, and each op writes only the rows of its own session and frame.
"""

from streamrnn.kernels import ops
from streamrnn.kernels.floatmode import flush_denormals, restore_mode
from streamrnn.kernels.jit import entry, inlined, outlined, pasted
from streamrnn.kernels.matmul import group_alone, matmul_alone, matmul_batch, n_groups
from streamrnn.kernels.memory import address_of, call_function, load_int, load_scalar, store_int
from streamrnn.kernels.opcodes import (
    BIAS,
    DST,
    N_COLUMNS,
    N_IN,
    N_OUT,
    OPCODE,
    PAIRED,
    PRECISION,
    SRC,
    SRC2,
    STATE,
    WEIGHTS,
    Op,
)
from streamrnn.kernels.plan import CallWord, PlanWord
from streamrnn.kernels.simd import GROUP_SIZE, PANEL_SIZE

ALL_STEPPED = -1
OP_BYTES = 8 * N_COLUMNS


@inlined
def _column(op, column):
    """Of the op at that address."""
    return load_int(op + 8 * column)


@inlined
def _is_refused(x, n_in, n_tokens):
    """Whether a frame at `x` is not finite or, where there are tokens, none of them."""
    if not ops.is_finite(x, n_in):
        return True
    if n_tokens > 0:
        token = load_scalar(x)
        return token < 0 or token >= n_tokens or token != int(token)
    return False


@outlined
def _first_refused(x, n_rows, n_in, n_tokens):
    for r in range(n_rows):
        if _is_refused(x + r * 4 * n_in, n_in, n_tokens):
            return r
    return ALL_STEPPED


@inlined
def _product(op, weights, state_rows, work_rows):
    """Of a LINEAR or LINEAR_STATE op: rows, offset, init, out, weights, n_panels, n_k and precision for `matmul`."""
    is_state = _column(op, OPCODE) == Op.LINEAR_STATE
    out, bias = load_int(work_rows) + 4 * _column(op, DST), _column(op, BIAS)
    return (
        state_rows if is_state else work_rows,
        4 * _column(op, STATE if is_state else SRC),
        weights + 4 * bias if bias >= 0 else out,
        out,
        weights + 4 * _column(op, WEIGHTS),
        _column(op, N_OUT) // PANEL_SIZE,
        _column(op, N_IN),
        _column(op, PRECISION),
    )


@inlined
def _linear(op, weights, state_rows, work_rows, n_rows, work_bytes, scratch, backwards):
    """LINEAR and LINEAR_STATE: start at a bias, or go on with the chains that another op began."""
    rows, offset, init, out, packed, n_panels, n_k, precision = _product(op, weights, state_rows, work_rows)
    if n_rows == 1:
        matmul_alone(rows, offset, init, out, packed, n_panels, n_k, precision, backwards)
    else:
        init_bytes = 0 if _column(op, BIAS) >= 0 else work_bytes
        matmul_batch(rows, n_rows, offset, init, init_bytes, out, work_bytes, packed, n_panels, n_k, precision, scratch)


@inlined
def _linear_pair(first, second, weights, state_rows, work_rows, backwards):
    """A paired LINEAR and its LINEAR_STATE for one session, a group of each in turn, first to last or backwards.

    A step then begins with the weights of both that were read last. The second's outputs may start some panels after
    the first's; a group of it waits until the chains that it goes on with are there.
    """
    rows, offset, init, out, packed, n_panels, n_k, precision = _product(first, weights, state_rows, work_rows)
    rows2, offset2, init2, out2, packed2, n_panels2, n_k2, _ = _product(second, weights, state_rows, work_rows)
    n, n2 = n_groups(n_panels), n_groups(n_panels2)
    shift = (_column(second, DST) - _column(first, DST)) // PANEL_SIZE
    lag = shift // GROUP_SIZE if backwards else n_groups(shift)
    n_turns = max(n, n2 + lag)
    for turn in range(n_turns):
        g = n_turns - 1 - turn if backwards else turn
        if g < n:
            group_alone(rows, offset, init, out, packed, n_panels, n_k, precision, g)
        if g >= lag and g - lag < n2:
            group_alone(rows2, offset2, init2, out2, packed2, n_panels2, n_k2, precision, g - lag)


@pasted
def _move(op, state, work):
    opcode, n = _column(op, OPCODE), _column(op, N_IN)
    if opcode == Op.COPY:
        ops.copy(work + 4 * _column(op, SRC), work + 4 * _column(op, DST), n)
    elif opcode == Op.LOAD_STATE:
        ops.copy(state + 4 * _column(op, STATE), work + 4 * _column(op, DST), n)
    else:
        ops.copy(work + 4 * _column(op, SRC), state + 4 * _column(op, STATE), n)


@pasted
def _update_cell(op, state, work):
    """The element-wise end of a recurrent cell: gates in the work row, h (and c) in the state row."""
    opcode, n = _column(op, OPCODE), _column(op, N_OUT)
    src, dst, h = work + 4 * _column(op, SRC), work + 4 * _column(op, DST), state + 4 * _column(op, STATE)
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
    opcode, n = _column(op, OPCODE), _column(op, N_OUT)
    src, dst = work + 4 * _column(op, SRC), work + 4 * _column(op, DST)
    if opcode == Op.BIAS:
        ops.copy(weights + 4 * _column(op, BIAS), dst, n)
    elif opcode == Op.TANH:
        ops.apply_tanh(src, dst, n)
    elif opcode == Op.SIGMOID:
        ops.apply_sigmoid(src, dst, n)
    elif opcode == Op.RELU:
        ops.apply_relu(src, dst, n)
    elif opcode == Op.ADD:
        ops.add(src, work + 4 * _column(op, SRC2), dst, n)
    elif opcode == Op.AFFINE:
        ops.affine(src, weights + 4 * _column(op, WEIGHTS), weights + 4 * _column(op, BIAS), dst, n)
    elif opcode == Op.ADD_SCALED:
        ops.affine(src, weights + 4 * _column(op, WEIGHTS), dst, dst, n)
    elif opcode == Op.EMBEDDING:
        ops.copy(weights + 4 * (_column(op, WEIGHTS) + int(load_scalar(src)) * n), dst, n)
    else:
        ops.softmax(src, dst, _column(op, N_IN), opcode == Op.LOG_SOFTMAX)


@inlined
def _run_op(op, weights, state_rows, work_rows, n_rows, work_bytes, scratch, backwards):
    """One op on `n_rows` work rows; `state_rows` belong to them only where the op is in a scan."""
    opcode = _column(op, OPCODE)
    if opcode == Op.LINEAR or opcode == Op.LINEAR_STATE:
        _linear(op, weights, state_rows, work_rows, n_rows, work_bytes, scratch, backwards)
        return
    for r in range(n_rows):
        if opcode >= Op.RNN_TANH:
            _update_cell(op, load_int(state_rows + 8 * r), load_int(work_rows + 8 * r))
        elif opcode >= Op.BIAS:
            _map(op, weights, load_int(work_rows + 8 * r))
        else:
            _move(op, load_int(state_rows + 8 * r), load_int(work_rows + 8 * r))


@inlined
def _run_block(plan, x, y, n_frames, n_sessions):
    """Step every session by `n_frames` frames, each frame of each session in a work row of its own."""
    program, weights, scratch = (
        _column(plan, PlanWord.PROGRAM),
        _column(plan, PlanWord.WEIGHTS),
        _column(plan, PlanWord.SCRATCH),
    )
    state_rows, work_rows = _column(plan, PlanWord.STATE_ROWS), _column(plan, PlanWord.WORK_ROWS)
    work_bytes, n_steps = _column(plan, PlanWord.WORK_BYTES), _column(plan, PlanWord.N_STEPS)
    last = program + (_column(plan, PlanWord.N_OPS) - 1) * OP_BYTES
    n_rows = n_frames * n_sessions
    n_in, n_out = _column(program, N_IN), _column(last, N_IN)
    for r in range(n_rows):
        ops.copy(x + r * 4 * n_in, load_int(work_rows + 8 * r) + 4 * _column(program, DST), n_in)
    op, put_off = program + OP_BYTES, 0
    while op < last:
        end, n_turns, n = op + OP_BYTES, 1, n_rows
        if _column(op, OPCODE) == Op.SCAN:
            op = end
            end += _column(op - OP_BYTES, N_OUT) * OP_BYTES
            n_turns, n = n_frames, n_sessions
        for t in range(n_turns):
            backwards = (n_steps + t) & 1
            rows = work_rows + 8 * t * n_sessions
            for each in range(op, end, OP_BYTES):
                if n_rows == 1 and _column(each, PAIRED) != 0:
                    put_off = each
                elif put_off != 0 and _column(each, OPCODE) == Op.LINEAR_STATE:
                    _linear_pair(put_off, each, weights, state_rows, rows, backwards)
                    put_off = 0
                else:
                    _run_op(each, weights, state_rows, rows, n, work_bytes, scratch, backwards)
        op = end
    for r in range(n_rows):
        ops.copy(load_int(work_rows + 8 * r) + 4 * _column(last, SRC), y + r * 4 * n_out, n_out)
    store_int(plan + 8 * PlanWord.N_STEPS, n_steps + n_frames)


@entry("int64(int64)")
def run_program(call):
    """Step every session of a batch by the frames of a call.

    Args:
        call: address of a `Call`: distinct slots, frames x (n_frames, n, input_size), outputs y (n_frames, n,
            output_size), which are written, and the plan, whose rows in those slots are updated in place.

    Returns:
        -1 when all were stepped; else `frame * n + session` of the first frame refused (NaN, Inf, or not a token id),
        and then no state and no output has changed.
    """
    mode = flush_denormals()
    plan, slots, n = _column(call, CallWord.PLAN), _column(call, CallWord.SLOTS), _column(call, CallWord.N_SLOTS)
    x, y, n_frames = _column(call, CallWord.X), _column(call, CallWord.Y), _column(call, CallWord.N_FRAMES)
    program = _column(plan, PlanWord.PROGRAM)
    n_in, last = _column(program, N_IN), program + (_column(plan, PlanWord.N_OPS) - 1) * OP_BYTES
    refused = _first_refused(x, n_frames * n, n_in, _column(program, N_OUT))
    if refused < 0 and n > 0:
        for s in range(n):
            slot = load_int(slots + 8 * s)
            row = _column(plan, PlanWord.ARENA) + slot * _column(plan, PlanWord.STATE_BYTES)
            store_int(_column(plan, PlanWord.STATE_ROWS) + 8 * s, row)
            n_applied = _column(plan, PlanWord.N_APPLIED) + 8 * slot
            store_int(n_applied, load_int(n_applied) + n_frames)
        t, n_block = 0, max(1, _column(plan, PlanWord.BLOCK_ROWS) // n)
        while t < n_frames:
            n_block = min(n_block, n_frames - t)
            _run_block(plan, x + t * n * 4 * n_in, y + t * n * 4 * _column(last, N_IN), n_block, n)
            t += n_block
    restore_mode(mode)
    return refused


@entry("int64(int64, int64)", nogil=False)
def invoke_holding(kernel, call):
    """Call `run_program`, whose address is `kernel`, without letting other Python threads run.

    For steps far shorter than the 5 ms that a thread which lets go of the GIL may wait to have it back; it also costs
    less than letting go.
    """
    return call_function(kernel, call)


@entry("int64(int64, int64)")
def invoke_releasing(kernel, call):
    """Call `run_program`, whose address is `kernel`, while other Python threads may run."""
    return call_function(kernel, call)


@entry("int64(float32[:,::1], int64)")
def find_refused(frames, n_tokens):
    """Index of the first of frames (n, input_size) that `run_program` would refuse, else -1; n_tokens 0: dense."""
    mode = flush_denormals()
    refused = _first_refused(address_of(frames), frames.shape[0], frames.shape[1], n_tokens)
    restore_mode(mode)
    return refused
