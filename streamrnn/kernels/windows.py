"""Windows over steps, each for one session: out of a ring in the state row, or within a frame.

A row of a state may hold anything, NaN too: what is read from it never makes an address that lies outside of it.
"""

from streamrnn.kernels.jit import inlined, outlined
from streamrnn.kernels.memory import load_scalar, store_scalar
from streamrnn.kernels.ops import copy, fill

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
def run_ring(src, src_bytes, n_steps, n, ring, place, length, hold, held, dst, dst_bytes, n_taps, tap_bytes, stride, dilation, lag):
    """Put steps into a ring, and a window of it at `dst` after each `stride` of them; see `opcodes.Op.RING`.

    src: steps of `n` floats, `src_bytes` apart. ring: (length, n). place: address of the place of the next step and the
    number of steps seen. held: address of the value that stands for the first `hold` steps. All are intp.
    """
    step_bytes = 4 * n
    at = _whole(place, length - 1)
    n_seen = _whole(place + 4, hold)
    reach = lag + (n_taps - 1) * dilation + 1
    for w in range(n_steps // stride):
        n_held = min(stride, hold - n_seen)
        n_seen += n_held
        for _ in range(n_held):
            fill(ring + at * step_bytes, 0, n, load_scalar(held))
            at = at + 1 if at + 1 < length else 0
        start = src + (w * stride + n_held) * src_bytes
        at = _write(start, src_bytes, ring, at, stride - n_held, step_bytes, length)
        first = at - reach if at >= reach else at - reach + length
        _read(ring, first, dst + w * dst_bytes, n_taps, dilation, tap_bytes, step_bytes, length)
    store_scalar(place, at)
    store_scalar(place + 4, n_seen)


@outlined
def run_windows(src, src_bytes, n_steps, n, beside, value, dst, dst_bytes, n_windows, n_taps, tap_bytes, stride, dilation, lag):
    """Copy the windows of a frame's own steps to `dst`; see `opcodes.Op.WINDOWS`.

    src: steps of `n` floats, `src_bytes` apart. beside: what stands outside of them; `value`: address of it. All are
    intp.
    """
    step_bytes = 4 * n
    is_dense = dilation == 1 and src_bytes == step_bytes and tap_bytes == step_bytes
    for w in range(n_windows):
        first, to = w * stride - lag, dst + w * dst_bytes
        if is_dense and first >= 0 and first + n_taps <= n_steps:
            copy(src + first * step_bytes, to, n_taps * n)
        else:
            for k in range(n_taps):
                step = first + k * dilation
                if beside == REFLECT:
                    step = abs(step)
                    step = min(step, 2 * (n_steps - 1) - step)
                elif beside == EDGE:
                    step = min(max(step, 0), n_steps - 1)
                if step >= 0 and step < n_steps:
                    copy(src + step * src_bytes, to + k * tap_bytes, n)
                else:
                    fill(to + k * tap_bytes, 0, n, load_scalar(value))


@outlined
def run_until(initial, state, n, place, hold):
    """Copy `n` floats from `initial` to `state`, until that was done `hold` times, counted at `place`."""
    n_done = _whole(place, hold)
    if n_done < hold:
        copy(initial, state, n)
        store_scalar(place, n_done + 1)
