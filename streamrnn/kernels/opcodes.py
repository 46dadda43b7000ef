"""The ops of a program: what each row of the int64 table means. The compiler writes it, the runner reads it.

Offsets count float32 elements: `src`, `src2`, `dst` in the work row, `state` in the state row, `weights` and `bias` in
the weight buffer. "Padded" sizes are rounded up to `PANEL_SIZE`; every region starts on a multiple of it. A value of
several steps has its steps one after the other, a fixed number of elements apart.
"""

from enum import IntEnum

N_COLUMNS = 20
(
    OPCODE, SRC, DST, N_IN, N_OUT, WEIGHTS, BIAS, STATE, PRECISION, PAIRED,
    STEPS, SRC_STEP, DST_STEP, KERNEL, STRIDE, DILATION, LAG, HOLD, TAP_STEP, LENGTH,
) = range(N_COLUMNS)  # fmt: skip
"""Columns. `BIAS` is -1 where an op has none; two-operand ops use `BIAS` as their second source offset (`SRC2`).

`PAIRED` is 1 in a `LINEAR` that a lone frame takes together with the `LINEAR_STATE` that goes on with its chains.
`STEPS` is how often a move, a map or a `LINEAR` is repeated: each time `src` goes on by `SRC_STEP`,
`dst` by `DST_STEP`. The columns behind it are those of `RING`, `WINDOWS` and `UNTIL`.
"""
SRC2 = BIAS


class Precision(IntEnum):
    """How the weights of a linear op are stored. State, activations and sums are float32 in each."""

    FLOAT32 = 0
    BFLOAT16 = 1  # the upper half of a float32
    INT8 = 2  # integers; what they sum to is scaled afterwards


class Op(IntEnum):
    """Operations over one state row and one work row.

    `n` below is N_OUT (padded, except where said); gates are consecutive padded regions of `n` in the work row. Maps
    with parameters have them at `weights`: alpha, then beta.
    """

    INPUT = 0  # x (N_IN) -> work[dst]; N_OUT = number of tokens, 0 where the input is dense. Always the first op.
    OUTPUT = 1  # work[src] (N_IN, STEPS times) -> y. Always the last op.
    SCAN = 2  # the next N_OUT ops go frame by frame; all others take every frame of a chunk at once

    COPY = 3  # work[src] (N_IN, exact) -> work[dst], STEPS times
    LOAD_STATE = 4  # state (N_IN, exact) -> work[dst]
    STORE_STATE = 5  # work[src] (N_IN, exact) -> state
    RING = 6
    # STEPS steps of N_IN values at src, SRC_STEP apart, into a ring of LENGTH steps at state, and out of it a window of
    # KERNEL taps after each STRIDE steps: tap k lies LAG + (KERNEL - 1 - k) * DILATION steps before the newest. Windows
    # start DST_STEP apart at dst, their taps TAP_STEP apart. Behind the ring (LENGTH * N_IN, padded) stand the place of
    # the next step and the number of steps seen, the first HOLD of which go in as the value at `weights`.
    WINDOWS = 7
    # The same windows without a state: tap k of window w is step w * STRIDE + k * DILATION - LAG of STEPS steps at src;
    # outside of them it is the value at `weights`, or by HOLD = 1 the step mirrored at the
    # edge, by HOLD = 2 that at the edge. N_OUT: how many windows.
    UNTIL = 8  # until it has run HOLD times, counted at state + N_OUT: weights (N_IN, exact) -> state

    LINEAR = 9  # work[dst] = bias, or work[dst] where there is none, + weights . work[src] (N_IN), STEPS times
    LINEAR_STATE = 10  # the same with state (N_IN) in place of work[src], once

    BIAS = 11  # bias -> work[dst]: where a chain starts that the linear op after it goes on with
    EMBEDDING = 12  # row work[src] of weights (n wide) -> work[dst]
    ADD = 13  # work[src] + work[src2] -> work[dst]
    SUB = 14
    MUL = 15
    DIV = 16
    MAXIMUM = 17
    MINIMUM = 18
    MUL_ADD = 19  # work[dst] + work[src] * work[src2] -> work[dst]
    AFFINE = 20  # work[src] * weights + bias -> work[dst]
    ADD_SCALED = 21  # work[dst] + work[src] * weights -> work[dst]
    PRELU = 22  # work[src], times weights where it is negative -> work[dst]
    WEIGHTED_TAPS = 23  # bias + sum over KERNEL taps, TAP_STEP apart, of work[src] * weights (n wide each) -> work[dst]
    LARGEST_TAP = 24  # the largest of KERNEL taps, TAP_STEP apart, of work[src] -> work[dst]
    SOFTMAX = 25  # over N_IN (exact) values
    LOG_SOFTMAX = 26
    LAYER_NORM = 27  # N_IN (exact) values less their mean, over sqrt(variance + eps), eps at weights
    RMS_NORM = 28  # N_IN (exact) values over sqrt(mean square + eps), eps at weights
    GATHER = 29  # work[src + weights[j]] -> work[dst + j] for N_IN places j

    TANH = 30  # work[src] -> work[dst], and so are the maps below; see `model.kinds.MapKind`
    SIGMOID = 31
    RELU = 32
    LEAKY_RELU = 33
    THRESHOLDED_RELU = 34
    ELU = 35
    GELU = 36
    GELU_TANH = 37
    SILU = 38
    MISH = 39
    HARD_SIGMOID = 40
    HARD_SWISH = 41
    CLAMP = 42
    SOFTPLUS = 43
    SOFTSIGN = 44
    EXP = 45
    LOG = 46
    SQRT = 47
    SQUARE = 48
    ABS = 49
    RECIPROCAL = 50
    ERF = 51
    SCALED_TANH = 52
    LINEAR_MAP = 53

    RNN_TANH = 54  # h = tanh(work[src]) -> state, work[dst]
    RNN_RELU = 55
    LSTM = 56  # gates i f g o at src, state h then c -> state, work[dst]
    GRU = 57  # gates xn r z hn at src (reset after the matmul), state h -> state, work[dst]
    GRU_RESET = 58  # sigmoid(work[src]) * h -> work[dst]: the reset before the matmul
    GRU_BEFORE = 59  # gates z n at src, state h -> state, work[dst]
    SSM = 60
    # Selective scan: x at src, delta at src2 (LENGTH values each), B then C (N_IN values each, padded) at src + LAG;
    # weights: N_IN rows of A (n wide), then D; state: N_IN rows of h (n wide) -> state, work[dst]
    RUNNING_MEAN = 61  # of N_IN (exact) values; state: mean (n), then the number of steps -> work[dst] = mean
    RUNNING_MAX = 62  # state: the largest so far (n) -> state, work[dst]
    RUNNING_STATS = 63  # state: mean (n), sum of squared deviations (n), number -> work[dst] = mean (n), deviation (n)
    RUNNING_NORM = 64  # the same state -> work[dst] = (x - mean) / sqrt(variance + eps), eps at weights


WRITES_STATE = frozenset(
    {
        Op.STORE_STATE, Op.RING, Op.UNTIL, Op.RNN_TANH, Op.RNN_RELU, Op.LSTM, Op.GRU, Op.GRU_BEFORE, Op.SSM,
        Op.RUNNING_MEAN, Op.RUNNING_MAX, Op.RUNNING_STATS, Op.RUNNING_NORM,
    }
)  # fmt: skip
"""Ops after which a session is no longer what it was."""
