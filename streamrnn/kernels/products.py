"""The matrix products of a program: LINEAR and LINEAR_STATE ops of a batch of rows, of a lone one, and of steps."""

from streamrnn.kernels.jit import inlined, outlined
from streamrnn.kernels.matmul import group_alone, matmul_alone, matmul_batch, n_groups
from streamrnn.kernels.memory import column, load_int, store_int
from streamrnn.kernels.opcodes import (
    BIAS,
    DST,
    DST_STEP,
    N_IN,
    N_OUT,
    OPCODE,
    PRECISION,
    SRC,
    SRC_STEP,
    STATE,
    STEPS,
    WEIGHTS,
    Op,
)
from streamrnn.kernels.simd import GROUP_SIZE, PANEL_SIZE


@inlined
def _product(op, weights, state_rows, work_rows):
    """Of a LINEAR or LINEAR_STATE op: rows, offset, init, out, weights, n_panels, n_k and precision for `matmul`."""
    is_state = column(op, OPCODE) == Op.LINEAR_STATE
    out, bias = load_int(work_rows) + 4 * column(op, DST), column(op, BIAS)
    return (
        state_rows if is_state else work_rows,
        4 * column(op, STATE if is_state else SRC),
        weights + 4 * bias if bias >= 0 else out,
        out,
        weights + 4 * column(op, WEIGHTS),
        column(op, N_OUT) // PANEL_SIZE,
        column(op, N_IN),
        column(op, PRECISION),
    )


@inlined
def linear(op, weights, state_rows, work_rows, n_rows, work_bytes, scratch, backwards):
    """LINEAR and LINEAR_STATE: start at a bias, or go on with the chains that another op began."""
    rows, offset, init, out, packed, n_panels, n_k, precision = _product(op, weights, state_rows, work_rows)
    if n_rows == 1:
        matmul_alone(rows, offset, init, out, packed, n_panels, n_k, precision, backwards)
    else:
        init_bytes = 0 if column(op, BIAS) >= 0 else work_bytes
        matmul_batch(rows, n_rows, offset, init, init_bytes, out, work_bytes, packed, n_panels, n_k, precision, scratch)


@inlined
def linear_pair(first, second, weights, state_rows, work_rows, backwards):
    """A paired LINEAR and its LINEAR_STATE for one session, a group of each in turn, first to last or backwards.

    A step then begins with the weights of both that were read last. The second's outputs may start some panels after
    the first's; a group of it waits until the chains that it goes on with are there.
    """
    rows, offset, init, out, packed, n_panels, n_k, precision = _product(first, weights, state_rows, work_rows)
    rows2, offset2, init2, out2, packed2, n_panels2, n_k2, _ = _product(second, weights, state_rows, work_rows)
    n, n2 = n_groups(n_panels), n_groups(n_panels2)
    shift = (column(second, DST) - column(first, DST)) // PANEL_SIZE
    lag = shift // GROUP_SIZE if backwards else n_groups(shift)
    n_turns = max(n, n2 + lag)
    for turn in range(n_turns):
        g = n_turns - 1 - turn if backwards else turn
        if g < n:
            group_alone(rows, offset, init, out, packed, n_panels, n_k, precision, g)
        if g >= lag and g - lag < n2:
            group_alone(rows2, offset2, init2, out2, packed2, n_panels2, n_k2, precision, g - lag)


@outlined
def linear_steps(op, weights, work_rows, step_rows, n_rows, work_bytes, scratch):
    """A LINEAR of several steps: a batch of each row's steps, or of each step's rows where those are more.

    step_rows: address of words enough for the steps.
    """
    rows, offset, init, out, packed, n_panels, n_k, precision = _product(op, weights, work_rows, work_rows)
    n_steps, src_bytes, dst_bytes = column(op, STEPS), 4 * column(op, SRC_STEP), 4 * column(op, DST_STEP)
    has_bias = column(op, BIAS) >= 0
    if n_rows > n_steps:
        init_bytes = 0 if has_bias else work_bytes
        for _ in range(n_steps):
            matmul_batch(
                rows, n_rows, offset, init, init_bytes, out, work_bytes, packed, n_panels, n_k, precision, scratch
            )
            offset += src_bytes
            out += dst_bytes
            init = init if has_bias else out
        return
    init_bytes = 0 if has_bias else dst_bytes
    for r in range(n_rows):
        for s in range(n_steps):
            store_int(step_rows + 8 * s, load_int(work_rows + 8 * r) + s * src_bytes)
        matmul_batch(
            step_rows, n_steps, offset, init, init_bytes, out, dst_bytes, packed, n_panels, n_k, precision, scratch
        )
        out += work_bytes
        init = init if has_bias else out
