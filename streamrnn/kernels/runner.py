"""Run any program for a batch of slots: the one function that is compiled, for every model.

Ops are the outer loop, sessions and frames the inner ones, so that each weight is read once per batch and a chunk's
products over its input go at the speed of a batch; only what a `SCAN` holds goes frame by frame. Every frame is checked
before any state is touched, and each op writes only the rows of its own session and frame.
"""

from streamrnn.kernels import ops
from streamrnn.kernels.dispatch import apply, move, update_cell
from streamrnn.kernels.floatmode import flush_denormals, restore_mode
from streamrnn.kernels.jit import entry, inlined, outlined, pasted
from streamrnn.kernels.memory import address_of, call_function, column, load_int, load_scalar, store_int
from streamrnn.kernels.opcodes import (
    DST,
    DST_STEP,
    N_COLUMNS,
    N_IN,
    N_OUT,
    OPCODE,
    PAIRED,
    SRC,
    SRC_STEP,
    STEPS,
    Op,
)
from streamrnn.kernels.plan import CallWord, PlanWord
from streamrnn.kernels.products import linear, linear_pair, linear_steps

ALL_STEPPED = -1
OP_BYTES = 8 * N_COLUMNS


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


@pasted
def _run_op(op, plan, weights, state_rows, work_rows, n_rows, work_bytes, scratch, backwards):
    """One op on `n_rows` work rows; `state_rows` belong to them only where the op is in a scan."""
    opcode, n_steps = column(op, OPCODE), column(op, STEPS)
    if opcode == Op.LINEAR or opcode == Op.LINEAR_STATE:
        if n_steps > 1:
            step_rows = column(plan, PlanWord.STEP_ROWS)
            linear_steps(op, weights, work_rows, step_rows, n_rows, work_bytes, scratch)
        else:
            linear(op, weights, state_rows, work_rows, n_rows, work_bytes, scratch, backwards)
        return
    for r in range(n_rows):
        work = load_int(work_rows + 8 * r)
        if opcode >= Op.RNN_TANH:
            update_cell(op, weights, load_int(state_rows + 8 * r), work)
        elif opcode >= Op.BIAS:
            src, dst = work + 4 * column(op, SRC), work + 4 * column(op, DST)
            for _ in range(n_steps):
                apply(op, weights, work, src, dst)
                src += 4 * column(op, SRC_STEP)
                dst += 4 * column(op, DST_STEP)
        else:
            move(op, weights, load_int(state_rows + 8 * r), work)


@pasted
def _run_block(plan, x, y, n_frames, n_sessions):
    """Step every session by `n_frames` frames, each frame of each session in a work row of its own."""
    program, weights, scratch = (
        column(plan, PlanWord.PROGRAM),
        column(plan, PlanWord.WEIGHTS),
        column(plan, PlanWord.SCRATCH),
    )
    state_rows, work_rows = column(plan, PlanWord.STATE_ROWS), column(plan, PlanWord.WORK_ROWS)
    work_bytes, n_steps = column(plan, PlanWord.WORK_BYTES), column(plan, PlanWord.N_STEPS)
    last = program + (column(plan, PlanWord.N_OPS) - 1) * OP_BYTES
    n_rows = n_frames * n_sessions
    n_in = column(program, N_IN)
    for r in range(n_rows):
        ops.copy(x + r * 4 * n_in, load_int(work_rows + 8 * r) + 4 * column(program, DST), n_in)
    op, put_off = program + OP_BYTES, 0
    while op < last:
        end, n_turns, n = op + OP_BYTES, 1, n_rows
        if column(op, OPCODE) == Op.SCAN:
            op = end
            end += column(op - OP_BYTES, N_OUT) * OP_BYTES
            n_turns, n = n_frames, n_sessions
        for t in range(n_turns):
            backwards = (n_steps + t) & 1
            rows = work_rows + 8 * t * n_sessions
            for each in range(op, end, OP_BYTES):
                if n_rows == 1 and column(each, PAIRED) != 0:
                    put_off = each
                elif put_off != 0 and column(each, OPCODE) == Op.LINEAR_STATE:
                    linear_pair(put_off, each, weights, state_rows, rows, backwards)
                    put_off = 0
                else:
                    _run_op(each, plan, weights, state_rows, rows, n, work_bytes, scratch, backwards)
        op = end
    n_out, n_steps_out = column(last, N_IN), column(last, STEPS)
    for r in range(n_rows):
        src = load_int(work_rows + 8 * r) + 4 * column(last, SRC)
        for s in range(n_steps_out):
            ops.copy(src + s * 4 * column(last, SRC_STEP), y + (r * n_steps_out + s) * 4 * n_out, n_out)
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
    plan, slots, n = column(call, CallWord.PLAN), column(call, CallWord.SLOTS), column(call, CallWord.N_SLOTS)
    x, y, n_frames = column(call, CallWord.X), column(call, CallWord.Y), column(call, CallWord.N_FRAMES)
    program = column(plan, PlanWord.PROGRAM)
    n_in, last = column(program, N_IN), program + (column(plan, PlanWord.N_OPS) - 1) * OP_BYTES
    refused = _first_refused(x, n_frames * n, n_in, column(program, N_OUT))
    if refused < 0 and n > 0:
        for s in range(n):
            slot = load_int(slots + 8 * s)
            row = column(plan, PlanWord.ARENA) + slot * column(plan, PlanWord.STATE_BYTES)
            store_int(column(plan, PlanWord.STATE_ROWS) + 8 * s, row)
            n_applied = column(plan, PlanWord.N_APPLIED) + 8 * slot
            store_int(n_applied, load_int(n_applied) + n_frames)
        n_out = column(last, N_IN) * column(last, STEPS)
        t, n_block = 0, max(1, column(plan, PlanWord.BLOCK_ROWS) // n)
        while t < n_frames:
            n_block = min(n_block, n_frames - t)
            _run_block(plan, x + t * n * 4 * n_in, y + t * n * 4 * n_out, n_block, n)
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


@entry("int64(int64, int64, int64, int64)", nogil=False)
def find_refused_at(frames, n, n_in, n_tokens):
    """As `find_refused`, of n frames of n_in values at an address: a few of them, as often as there are messages."""
    mode = flush_denormals()
    refused = _first_refused(frames, n, n_in, n_tokens)
    restore_mode(mode)
    return refused


@entry("int64(float32[:,::1], int64)")
def find_refused(frames, n_tokens):
    """Index of the first of frames (n, input_size) that `run_program` would refuse, else -1; n_tokens 0: dense."""
    mode = flush_denormals()
    refused = _first_refused(address_of(frames), frames.shape[0], frames.shape[1], n_tokens)
    restore_mode(mode)
    return refused
