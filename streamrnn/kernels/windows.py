"""Windows over steps, each for one session: out of a ring in the state row, or within a frame. See `opcodes.Op`.

A row of a state may hold anything, NaN too: what is read from it never makes an address that lies outside of it.
"""

from streamrnn.kernels.jit import inlined, outlined
from streamrnn.kernels.memory import column, load_scalar, store_scalar
from streamrnn.kernels.opcodes import (
    DILATION,
    DST,
    DST_STEP,
    HOLD,
    KERNEL,
    LAG,
    LENGTH,
    N_IN,
    N_OUT,
    SRC,
    SRC_STEP,
    STATE,
    STEPS,
    STRIDE,
    TAP_STEP,
    WEIGHTS,
)
from streamrnn.kernels.ops import copy, fill
from streamrnn.kernels.simd import PANEL_SIZE

ZEROS, REFLECT, EDGE = range(3)
"""What stands beside a frame; `HOLD` of `WINDOWS`."""


@inlined
def _whole(place, limit):
    """The number (float32) at `place` as an intp in [0, limit]: 0 where it is below, NaN or above."""
    value = load_scalar(place)
    return int(value) if value >= 0 and value <= limit else 0


@inlined
def _write(src, src_bytes, ring, at, n_steps, step_bytes, length):
    """Copy steps into the ring from step `at` on, at most `length`; where it goes on."""
    n = step_bytes >> 2
    if src_bytes == step_bytes:
        first = min(n_steps, length - at)
        copy(src, ring + at * step_bytes, first * n)
        if first < n_steps:
            copy(src + first * src_bytes, ring, (n_steps - first) * n)
        at += n_steps
        return at - length if at >= length else at
    for s in range(n_steps):
        copy(src + s * src_bytes, ring + at * step_bytes, n)
        at += 1
        if at == length:
            at = 0
    return at


@inlined
def _read(ring, at, dst, n_taps, dilation, tap_bytes, step_bytes, length):
    """Copy taps out of the ring, the first of them step `at`."""
    n = step_bytes >> 2
    if dilation == 1 and tap_bytes == step_bytes:
        first = min(n_taps, length - at)
        copy(ring + at * step_bytes, dst, first * n)
        if first < n_taps:
            copy(ring, dst + first * step_bytes, (n_taps - first) * n)
        return
    for k in range(n_taps):
        copy(ring + at * step_bytes, dst + k * tap_bytes, n)
        at += dilation
        if at >= length:
            at -= length


@outlined
def run_ring(op, weights, state, work):
    """RING: put a frame's steps into the ring, and copy a window out of it after each `STRIDE` of them."""
    n, n_steps, stride, length = column(op, N_IN), column(op, STEPS), column(op, STRIDE), column(op, LENGTH)
    src, dst, src_bytes = work + 4 * column(op, SRC), work + 4 * column(op, DST), 4 * column(op, SRC_STEP)
    n_taps, dilation, hold = column(op, KERNEL), column(op, DILATION), column(op, HOLD)
    held = weights + 4 * column(op, WEIGHTS)
    ring, step_bytes = state + 4 * column(op, STATE), 4 * n
    place = ring + 4 * (-(-length * n // PANEL_SIZE) * PANEL_SIZE)
    at, n_seen = _whole(place, length - 1), _whole(place + 4, hold)
    reach = column(op, LAG) + (n_taps - 1) * dilation + 1
    for _ in range(n_steps // stride):
        n_held = min(stride, hold - n_seen)
        n_seen += n_held
        for _ in range(n_held):
            fill(ring + at * step_bytes, 0, n, load_scalar(held))
            at = at + 1 if at + 1 < length else 0
        at = _write(src + n_held * src_bytes, src_bytes, ring, at, stride - n_held, step_bytes, length)
        first = at - reach if at >= reach else at - reach + length
        _read(ring, first, dst, n_taps, dilation, 4 * column(op, TAP_STEP), step_bytes, length)
        src += stride * src_bytes
        dst += 4 * column(op, DST_STEP)
    store_scalar(place, at)
    store_scalar(place + 4, n_seen)


@outlined
def run_windows(op, weights, work):
    """WINDOWS: copy the windows of a frame's own steps."""
    n, n_steps, n_taps, dilation = column(op, N_IN), column(op, STEPS), column(op, KERNEL), column(op, DILATION)
    src, src_bytes, tap_bytes = work + 4 * column(op, SRC), 4 * column(op, SRC_STEP), 4 * column(op, TAP_STEP)
    beside, value = column(op, HOLD), load_scalar(weights + 4 * column(op, WEIGHTS))
    is_dense = dilation == 1 and src_bytes == 4 * n and tap_bytes == 4 * n
    first, dst = -column(op, LAG), work + 4 * column(op, DST)
    for _ in range(column(op, N_OUT)):
        if is_dense and first >= 0 and first + n_taps <= n_steps:
            copy(src + first * src_bytes, dst, n_taps * n)
        else:
            for k in range(n_taps):
                _copy_tap(src, src_bytes, first + k * dilation, n_steps, beside, value, dst + k * tap_bytes, n)
        first += column(op, STRIDE)
        dst += 4 * column(op, DST_STEP)


@inlined
def _copy_tap(src, src_bytes, step, n_steps, beside, value, dst, n):
    """Copy one step, or what stands beside the frame in its place."""
    if beside == REFLECT:
        step = abs(step)
        step = min(step, 2 * (n_steps - 1) - step)
    elif beside == EDGE:
        step = min(max(step, 0), n_steps - 1)
    if step >= 0 and step < n_steps:
        copy(src + step * src_bytes, dst, n)
    else:
        fill(dst, 0, n, value)


@outlined
def run_until(op, weights, state):
    """UNTIL: write a state's initial values, as often as `HOLD` says."""
    h, hold = state + 4 * column(op, STATE), column(op, HOLD)
    place = h + 4 * column(op, N_OUT)
    n_done = _whole(place, hold)
    if n_done < hold:
        copy(weights + 4 * column(op, WEIGHTS), h, column(op, N_IN))
        store_scalar(place, n_done + 1)
