"""What the machine can do at most: multiply-adds from registers, and weights read from wherever they stay.

Not part of a step: `streamrnn inspect` and the benchmarks hold a step beside these two.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from streamrnn.kernels.jit import tool
from streamrnn.kernels.memory import address_of, load_lanes, store_lanes
from streamrnn.kernels.simd import VECTOR_BYTES, WIDTH, call_lanes
from streamrnn.kernels.tile import forbid_unrolling

N_CHAINS = 12
"""Chains of multiply-adds under way at once: enough to hide their latency on any host, few enough for its registers."""
N_READERS = 8
READ_SIZE = N_READERS * WIDTH
"""Weights read a turn of the loop."""
SCRATCH_SIZE = (N_CHAINS + 2) * WIDTH
"""Floats of scratch that both probes need."""


def _loop(builder, n, initial, body):
    """A loop of `n` turns over vectors: `body(turn, vectors)` gives those of the next turn; the last ones come back."""
    before = builder.block
    block, after = builder.append_basic_block("probe"), builder.append_basic_block("probe.end")
    builder.branch(block)
    builder.position_at_end(block)
    turn = builder.phi(n.type)
    phis = [builder.phi(value.type) for value in initial]
    nexts = body(turn, phis)
    following = builder.add(turn, ir.Constant(n.type, 1))
    for phi, first, value in zip([turn, *phis], [ir.Constant(n.type, 0), *initial], [following, *nexts], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(value, block)
    forbid_unrolling(builder, builder.cbranch(builder.icmp_signed("<", following, n), block, after))
    builder.position_at_end(after)
    return nexts


@intrinsic
def _multiply_add(typing_context, place, n):
    def codegen(context, builder, signature, args):
        address, n_turns = args
        values = [load_lanes(builder, address, i * VECTOR_BYTES) for i in range(N_CHAINS + 2)]
        *chains, factor, term = values
        ends = _loop(
            builder, n_turns, chains, lambda _, sums: [call_lanes(builder, "llvm.fma", s, factor, term) for s in sums]
        )
        for i, value in enumerate(ends):
            store_lanes(builder, value, address, i * VECTOR_BYTES)
        return context.get_dummy_value()

    return types.none(types.intp, types.intp), codegen


@intrinsic
def _read(typing_context, place, n, sums):
    def codegen(context, builder, signature, args):
        address, n_turns, out = args

        def body(turn, totals):
            row = builder.add(address, builder.mul(turn, ir.Constant(turn.type, N_READERS * VECTOR_BYTES)))
            loads = (load_lanes(builder, row, i * VECTOR_BYTES) for i in range(N_READERS))
            return [builder.fadd(total, value) for total, value in zip(totals, loads, strict=True)]

        initial = [load_lanes(builder, out, i * VECTOR_BYTES) for i in range(N_READERS)]
        for i, value in enumerate(_loop(builder, n_turns, initial, body)):
            store_lanes(builder, value, out, i * VECTOR_BYTES)
        return context.get_dummy_value()

    return types.none(types.intp, types.intp, types.intp), codegen


@tool("int64(float32[::1], int64)")
def multiply_add(scratch, n_turns):
    """Do `n_turns` fused multiply-adds in each lane of twelve registers; how many that were.

    scratch: (SCRATCH_SIZE,) float32, updated. n_turns >= 1.
    """
    _multiply_add(address_of(scratch), n_turns)
    return n_turns * N_CHAINS * WIDTH


@tool("int64(float32[::1], int64, float32[::1])")
def read_weights(weights, n_times, scratch):
    """Read an array over and over, as a lone session reads its weights; how many weights that were.

    weights: (at least READ_SIZE,) float32; what is left of whole turns is not read. n_times >= 1. scratch: as in
    `multiply_add`.
    """
    n_turns = weights.size // READ_SIZE
    for _ in range(n_times):
        _read(address_of(weights), n_turns, address_of(scratch))
    return n_times * n_turns * READ_SIZE
