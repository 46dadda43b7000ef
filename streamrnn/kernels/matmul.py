"""The matrix product of a batch of sessions, or of one, from packed weights of any precision: which tile goes where.

Weights stand in groups of `GROUP_SIZE` panels, each contiguous over k, and one smaller group at the end (`packing`). A
lone session reads a group as one stream, with enough chains in registers to hide the latency of a multiply-add; its
groups are read forwards and backwards in turn, so that a step begins with the weights that the step before has left in
the caches. A batch reads a slice of a group for six sessions at a time. Narrow weights are widened as a lone session
loads them, and once per batch, in blocks that stay in the level-1 cache.
"""

from streamrnn.kernels.jit import inlined, outlined
from streamrnn.kernels.memory import load_bfloat16, load_int8, store
from streamrnn.kernels.opcodes import Precision
from streamrnn.kernels.simd import GROUP_SIZE, PANEL_SIZE, VECTOR_BYTES, WIDTH
from streamrnn.kernels.tile import WEIGHT_BYTES, make_tile

PANEL_ROW_BYTES = 4 * PANEL_SIZE
SLICE_PANELS = 4 if WIDTH == 16 else 1
"""Panels of a batch's tile: six sessions fill 24 of 32 registers (AVX-512, NEON), or 12 of 16 (AVX2)."""
MAX_TILE_SESSIONS = 6
BLOCK_SIZE = 64
"""Inputs of a block of widened weights."""
SCRATCH_SIZE = BLOCK_SIZE * SLICE_PANELS * PANEL_SIZE
"""Floats of scratch that narrow weights need."""


def _make_group(precision, compiled):
    """The product of one session with one group of weights of one precision, inlined or outlined."""
    whole = make_tile(1, GROUP_SIZE, precision)
    tail_1, tail_2, tail_3 = (make_tile(1, n, precision) for n in (1, 2, 3))
    tail_4, tail_5, tail_6, tail_7 = (make_tile(1, n, precision) for n in (4, 5, 6, 7))
    row_bytes = WEIGHT_BYTES[precision] * PANEL_SIZE
    has_wide_groups = GROUP_SIZE > 4

    @compiled
    def group(rows, offset, init, out, weights, n_panels, n_k, g):
        n = min(GROUP_SIZE, n_panels - g * GROUP_SIZE)
        w = weights + g * n_k * GROUP_SIZE * row_bytes
        a, b = init + g * GROUP_SIZE * PANEL_ROW_BYTES, out + g * GROUP_SIZE * PANEL_ROW_BYTES
        stride = n * row_bytes
        if n == GROUP_SIZE:
            whole(rows, offset, a, 0, b, 0, w, GROUP_SIZE * row_bytes, n_k)
        elif n == 1:
            tail_1(rows, offset, a, 0, b, 0, w, stride, n_k)
        elif n == 2:
            tail_2(rows, offset, a, 0, b, 0, w, stride, n_k)
        elif n == 3:
            tail_3(rows, offset, a, 0, b, 0, w, stride, n_k)
        elif has_wide_groups:
            if n == 4:
                tail_4(rows, offset, a, 0, b, 0, w, stride, n_k)
            elif n == 5:
                tail_5(rows, offset, a, 0, b, 0, w, stride, n_k)
            elif n == 6:
                tail_6(rows, offset, a, 0, b, 0, w, stride, n_k)
            elif n == 7:
                tail_7(rows, offset, a, 0, b, 0, w, stride, n_k)

    return group


_group_float32 = _make_group(Precision.FLOAT32, outlined)
_group_inlined = _make_group(Precision.FLOAT32, inlined)
_group_bfloat16 = _make_group(Precision.BFLOAT16, outlined)
_group_int8 = _make_group(Precision.INT8, outlined)


@inlined
def group_alone(rows, offset, init, out, weights, n_panels, n_k, precision, g):
    """`out = init + x @ w` of one session for the outputs of group `g`; the rest is as in `matmul_batch`."""
    if precision == Precision.FLOAT32:
        _group_float32(rows, offset, init, out, weights, n_panels, n_k, g)
    elif precision == Precision.BFLOAT16:
        _group_bfloat16(rows, offset, init, out, weights, n_panels, n_k, g)
    else:
        _group_int8(rows, offset, init, out, weights, n_panels, n_k, g)


@inlined
def n_groups(n_panels):
    """Groups of so many panels."""
    return (n_panels + GROUP_SIZE - 1) // GROUP_SIZE


@inlined
def matmul_alone(rows, offset, init, out, weights, n_panels, n_k, precision, backwards):
    """`out = init + x @ w` of one session, its groups in order or `backwards`; the rest is as in `matmul_batch`."""
    n = n_groups(n_panels)
    for i in range(n):
        g = n - 1 - i if backwards else i
        if precision == Precision.FLOAT32:  # inlined where small nets come by: 7 ns of 110
            _group_inlined(rows, offset, init, out, weights, n_panels, n_k, g)
        else:
            group_alone(rows, offset, init, out, weights, n_panels, n_k, precision, g)


def _make_sweep(n_panels):
    """The product of a batch with a slice of `n_panels` panels: tiles of two to six sessions, as even as can be."""
    tile_2, tile_3, tile_4, tile_5, tile_6 = (make_tile(n, n_panels) for n in range(2, MAX_TILE_SESSIONS + 1))

    @outlined
    def sweep(rows, n_sessions, offset, init, init_stride, out, out_stride, weights, row_bytes, n_k):
        n_tiles = (n_sessions + MAX_TILE_SESSIONS - 1) // MAX_TILE_SESSIONS
        at, a, b = rows, init, out
        # One division a sweep, and none a tile: the first `n_larger` tiles have one session more.
        smaller = n_sessions // n_tiles
        n_larger = n_sessions - smaller * n_tiles
        for i in range(n_tiles):
            n = smaller + 1 if i < n_larger else smaller
            if n == 6:
                tile_6(at, offset, a, init_stride, b, out_stride, weights, row_bytes, n_k)
            elif n == 5:
                tile_5(at, offset, a, init_stride, b, out_stride, weights, row_bytes, n_k)
            elif n == 4:
                tile_4(at, offset, a, init_stride, b, out_stride, weights, row_bytes, n_k)
            elif n == 3:
                tile_3(at, offset, a, init_stride, b, out_stride, weights, row_bytes, n_k)
            else:
                tile_2(at, offset, a, init_stride, b, out_stride, weights, row_bytes, n_k)
            at += 8 * n
            a += n * init_stride
            b += n * out_stride

    return sweep


_sweep_1 = _make_sweep(1)
_sweep_2 = _make_sweep(2) if SLICE_PANELS > 1 else _sweep_1
_sweep_4 = _make_sweep(4) if SLICE_PANELS > 1 else _sweep_1


@outlined
def _widen(weights, row_bytes, n_bytes, n_k, precision, scratch):
    """Weights of `n_k` rows of `n_bytes` (as float32), of a narrow precision, as float32 rows at `scratch`."""
    for k in range(n_k):
        row = weights + k * row_bytes
        wide = scratch + k * n_bytes
        for j in range(0, n_bytes, VECTOR_BYTES):
            if precision == Precision.INT8:
                store(wide + j, load_int8(row + j // 4))
            else:
                store(wide + j, load_bfloat16(row + j // 2))


@inlined
def _sweep(n_panels, rows, n_sessions, offset, init, init_stride, out, out_stride, weights, row_bytes, n_k):
    if n_panels == 4:
        _sweep_4(rows, n_sessions, offset, init, init_stride, out, out_stride, weights, row_bytes, n_k)
    elif n_panels == 2:
        _sweep_2(rows, n_sessions, offset, init, init_stride, out, out_stride, weights, row_bytes, n_k)
    else:
        _sweep_1(rows, n_sessions, offset, init, init_stride, out, out_stride, weights, row_bytes, n_k)


@inlined
def _weight_bytes(precision):
    return 4 if precision == Precision.FLOAT32 else 2 if precision == Precision.BFLOAT16 else 1


@outlined
def matmul_batch(
    rows, n_sessions, offset, init, init_stride, out, out_stride, weights, n_panels, n_k, precision, scratch
):
    """`out = init + x @ w` of every session of a batch of at least two; addresses, strides and offsets in bytes (intp).

    rows: address of (n_sessions,) int64, the addresses of the sessions' rows; x (n_k,) float32 starts `offset` bytes
    into each. init: where the first session's chains start, (n_panels * 16,) float32, `init_stride` apart (0: one bias
    for all). out: the same for the results, which may be `init`. weights: packed, of a `Precision`. scratch: address of
    `SCRATCH_SIZE` floats.
    """
    panel_bytes = _weight_bytes(precision) * PANEL_SIZE
    n_grouped = n_panels - n_panels % GROUP_SIZE
    p = 0
    while p < n_panels:
        first = p - p % GROUP_SIZE
        row_bytes = panel_bytes * (GROUP_SIZE if first < n_grouped else n_panels - n_grouped)
        n = min(SLICE_PANELS, n_panels - p)
        n = 2 if n == 3 else n
        w = weights + first * n_k * panel_bytes + (p - first) * panel_bytes
        a, b = init + p * PANEL_ROW_BYTES, out + p * PANEL_ROW_BYTES
        if precision == Precision.FLOAT32:
            _sweep(n, rows, n_sessions, offset, a, init_stride, b, out_stride, w, row_bytes, n_k)
        else:
            a_stride = init_stride
            for k in range(0, n_k, BLOCK_SIZE):
                n_block = min(BLOCK_SIZE, n_k - k)
                _widen(w + k * row_bytes, row_bytes, n * PANEL_ROW_BYTES, n_block, precision, scratch)
                _sweep(
                    n,
                    rows,
                    n_sessions,
                    offset + 4 * k,
                    a,
                    a_stride,
                    b,
                    out_stride,
                    scratch,
                    n * PANEL_ROW_BYTES,
                    n_block,
                )
                a, a_stride = b, out_stride  # the chains go on where the block before has left them
        p += n
