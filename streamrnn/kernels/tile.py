"""The register tile: `out[s, o] = init[s, o] + sum over k of x[s, k] * w[k, o]` for a few sessions and a few panels.

The accumulators are phi nodes of one loop over k, so each output is one chain of fused multiply-adds in the order of k,
whatever the tile's shape: that is why a batch gives the bits of a lone step. The loop forbids unrolling, since LLVM's
unrolled form spills the accumulators (measured: half the speed). `tests/kernels/test_emitted.py` reads the machine
code.
"""

from itertools import product

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from streamrnn.kernels.memory import load_lanes, load_narrow, load_word, store_lanes
from streamrnn.kernels.opcodes import Precision
from streamrnn.kernels.simd import PANEL_SIZE, VECTOR_BYTES, WIDTH, call_lanes, splat

VECTORS_PER_PANEL = PANEL_SIZE // WIDTH
WEIGHT_BYTES = {Precision.FLOAT32: 4, Precision.BFLOAT16: 2, Precision.INT8: 1}


def forbid_unrolling(builder, branch):
    """Mark the loop that the LLVM `branch` closes."""
    module = builder.module
    disable = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = module.add_metadata([disable, ir.Constant(ir.IntType(32), len(module.metadata))])
    loop.operands = (loop, disable)  # a loop id refers to itself
    branch.set_metadata("llvm.loop", loop)


def _load_row(builder, row, n_vectors, precision):
    """The weights of one k: `n_vectors` vectors of float32, from the address `row`."""
    if precision == Precision.FLOAT32:
        return [load_lanes(builder, row, v * VECTOR_BYTES) for v in range(n_vectors)]
    lane_bytes = WEIGHT_BYTES[precision]
    return [load_narrow(builder, row, v * WIDTH * lane_bytes, 8 * lane_bytes) for v in range(n_vectors)]


def make_tile(n_sessions: int, n_panels: int, precision: Precision = Precision.FLOAT32):
    """An intrinsic `tile(rows, offset, init, init_stride, out, out_stride, weights, row_bytes, n_k)` of a fixed shape.

    All are intp; addresses and strides count bytes. rows: address of `n_sessions` addresses of the sessions' rows; x
    (n_k,) float32 starts `offset` into each. init: where the first session's chains start, out: where they end,
    (n_panels * 16,) float32 each, which may be the same place; the next session's stand a stride after, and an
    init_stride of 0 starts all of them at one bias. weights: of k = 0, (n_panels * 16,) of the precision; those of the
    next k stand `row_bytes` after. n_k >= 1.
    """
    n_vectors = n_panels * VECTORS_PER_PANEL
    v_bytes = [v * VECTOR_BYTES for v in range(n_vectors)]

    def codegen(context, builder, signature, args):
        rows, offset, init, init_stride, out, out_stride, weights, row_bytes, n = args
        intp = n.type

        def spaced(first, stride):
            return [builder.add(first, builder.mul(stride, ir.Constant(intp, s))) for s in range(n_sessions)]

        places = [load_word(builder, rows, 8 * s) for s in range(n_sessions)]
        x = [builder.add(place, offset) for place in places]
        inits, outs = spaced(init, init_stride), spaced(out, out_stride)
        initial = [load_lanes(builder, start, place) for start in inits for place in v_bytes]

        before = builder.block
        body = builder.append_basic_block("tile.k")
        after = builder.append_basic_block("tile.end")
        builder.branch(body)

        builder.position_at_end(body)
        k, row = builder.phi(intp), builder.phi(intp)
        sums = [builder.phi(value.type) for value in initial]
        w = _load_row(builder, row, n_vectors, precision)
        nexts = []
        for s in range(n_sessions):
            place = builder.add(x[s], builder.mul(k, ir.Constant(intp, 4)))
            lanes = splat(builder, builder.load(builder.inttoptr(place, ir.FloatType().as_pointer())))
            for v in range(n_vectors):
                nexts.append(call_lanes(builder, "llvm.fma", lanes, w[v], sums[s * n_vectors + v]))
        k_next = builder.add(k, ir.Constant(intp, 1))
        following = [(k, ir.Constant(intp, 0), k_next), (row, weights, builder.add(row, row_bytes))]
        for phi, first, value in (*following, *zip(sums, initial, nexts, strict=True)):
            phi.add_incoming(first, before)
            phi.add_incoming(value, body)
        forbid_unrolling(builder, builder.cbranch(builder.icmp_signed("<", k_next, n), body, after))

        builder.position_at_end(after)
        for value, (end, place) in zip(nexts, product(outs, v_bytes), strict=True):
            store_lanes(builder, value, end, place)
        return context.get_dummy_value()

    @intrinsic
    def tile(typing_context, rows, offset, init, init_stride, out, out_stride, weights, row_bytes, n_k):
        return types.none(*[types.intp] * 9), codegen

    return tile
