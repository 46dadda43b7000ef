"""The register tile: `out[s, o] += sum over k of x[s, k] * w[k, o]` for a few sessions and one to four weight panels.

The accumulators are phi nodes of one loop over k, so each output is one chain of fused multiply-adds in the order of k,
whatever the tile's shape: that is why a batch gives the bits of a lone step. The loop forbids unrolling, since LLVM's
unrolled form spills the accumulators (measured: half the speed).
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from streamrnn.kernels.jit import outlined, pasted
from streamrnn.kernels.simd import PANEL_SIZE, WIDTH, call_lanes, load_lanes, splat, store_lanes

VECTORS_PER_PANEL = PANEL_SIZE // WIDTH
PANEL_ROW_BYTES = 4 * PANEL_SIZE
VECTOR_BYTES = 4 * WIDTH


def _forbid_unrolling(builder, branch):
    module = builder.module
    disable = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = module.add_metadata([disable, ir.Constant(ir.IntType(32), len(module.metadata))])
    loop.operands = (loop, disable)  # a loop id refers to itself
    branch.set_metadata("llvm.loop", loop)


@intrinsic
def fma_tile(typing_context, n_panels, xs, outs, weights, panel_bytes, n_k):
    """Add `n_panels` (literal) panels' products into the outputs of `len(xs)` sessions.

    xs, outs: tuples of addresses (intp), one a session: inputs (n_k,) float32, outputs (n_panels * 16,) float32,
    updated in place. weights: address of panels (n_panels, n_k, 16) float32, `panel_bytes` apart. n_k >= 1.
    """
    if not isinstance(n_panels, types.IntegerLiteral):
        return None
    n_sessions, n_vectors = len(xs), n_panels.literal_value * VECTORS_PER_PANEL
    places = [divmod(v, VECTORS_PER_PANEL) for v in range(n_vectors)]

    def codegen(context, builder, signature, args):
        _, xs_value, outs_value, weights_value, panel_stride, n = args
        intp = weights_value.type
        x = [builder.extract_value(xs_value, s) for s in range(n_sessions)]
        out = [builder.extract_value(outs_value, s) for s in range(n_sessions)]
        panels = [
            builder.add(weights_value, builder.mul(panel_stride, ir.Constant(intp, p)))
            for p in range(n_panels.literal_value)
        ]
        offsets = [p * PANEL_ROW_BYTES + v * VECTOR_BYTES for p, v in places]
        initial = [load_lanes(builder, out[s], offset) for s in range(n_sessions) for offset in offsets]

        before = builder.block
        body = builder.append_basic_block("tile.k")
        after = builder.append_basic_block("tile.end")
        builder.branch(body)

        builder.position_at_end(body)
        k = builder.phi(intp)
        k.add_incoming(ir.Constant(intp, 0), before)
        sums = [builder.phi(value.type) for value in initial]
        row_offset = builder.mul(k, ir.Constant(intp, PANEL_ROW_BYTES))
        rows = [builder.add(panel, row_offset) for panel in panels]
        w = [load_lanes(builder, rows[p], v * VECTOR_BYTES) for p, v in places]
        nexts = []
        for s in range(n_sessions):
            place = builder.add(x[s], builder.mul(k, ir.Constant(intp, 4)))
            lanes = splat(builder, builder.load(builder.inttoptr(place, ir.FloatType().as_pointer())))
            for v in range(n_vectors):
                nexts.append(call_lanes(builder, "llvm.fma", lanes, w[v], sums[s * n_vectors + v]))
        k_next = builder.add(k, ir.Constant(intp, 1))
        k.add_incoming(k_next, body)
        for phi, first, following in zip(sums, initial, nexts, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(following, body)
        _forbid_unrolling(builder, builder.cbranch(builder.icmp_signed("<", k_next, n), body, after))

        builder.position_at_end(after)
        for s in range(n_sessions):
            for v, offset in enumerate(offsets):
                store_lanes(builder, nexts[s * n_vectors + v], out[s], offset)
        return context.get_dummy_value()

    return types.none(n_panels, xs, outs, types.intp, types.intp, types.intp), codegen


@pasted
def _matmul_alone(x, out, weights, panel_bytes, n_panels, n_k):
    p = 0
    while p + 4 <= n_panels:
        fma_tile(4, (x,), (out + p * PANEL_ROW_BYTES,), weights + p * panel_bytes, panel_bytes, n_k)
        p += 4
    if p + 2 <= n_panels:
        fma_tile(2, (x,), (out + p * PANEL_ROW_BYTES,), weights + p * panel_bytes, panel_bytes, n_k)
        p += 2
    if p < n_panels:
        fma_tile(1, (x,), (out + p * PANEL_ROW_BYTES,), weights + p * panel_bytes, panel_bytes, n_k)


@outlined
def matmul(rows, offset, out, out_stride, weights, n_panels, n_k):
    """Add `x @ w` of every session of a batch to its outputs.

    rows: (n_sessions,) int64, addresses of the sessions' rows; x (n_k,) float32 starts `offset` bytes into each.
    out: address of the first session's outputs (n_panels * 16,) float32, `out_stride` bytes apart, updated in place.
    weights: address of (n_panels, n_k, 16) float32.
    The panel is the outer loop, so that it is read from the level-1 cache for all sessions but the first four.
    """
    n_sessions = rows.size
    panel_bytes = n_k * PANEL_ROW_BYTES
    if n_sessions == 1:
        _matmul_alone(rows[0] + offset, out, weights, panel_bytes, n_panels, n_k)
        return
    for p in range(n_panels):
        w = weights + p * panel_bytes
        o = out + p * PANEL_ROW_BYTES
        s = 0
        while s + 4 <= n_sessions:
            xs = (rows[s] + offset, rows[s + 1] + offset, rows[s + 2] + offset, rows[s + 3] + offset)
            first = o + s * out_stride
            fma_tile(
                1, xs, (first, first + out_stride, first + 2 * out_stride, first + 3 * out_stride), w, panel_bytes, n_k
            )
            s += 4
        first = o + s * out_stride
        if s + 3 == n_sessions:
            xs3 = (rows[s] + offset, rows[s + 1] + offset, rows[s + 2] + offset)
            fma_tile(1, xs3, (first, first + out_stride, first + 2 * out_stride), w, panel_bytes, n_k)
        elif s + 2 == n_sessions:
            fma_tile(1, (rows[s] + offset, rows[s + 1] + offset), (first, first + out_stride), w, panel_bytes, n_k)
        elif s + 1 == n_sessions:
            fma_tile(1, (rows[s] + offset,), (first,), w, panel_bytes, n_k)
