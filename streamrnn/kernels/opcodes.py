"""The ops of a program: what each row of the int64 table means. The compiler writes it, the runner reads it.

Offsets count float32 elements: `src`, `src2`, `dst` in the work row, `state` in the state row, `weights` and `bias` in
the weight buffer. "Padded" sizes are rounded up to `PANEL_SIZE`; every region starts on a multiple of it.
"""

from enum import IntEnum

N_COLUMNS = 10
OPCODE, SRC, DST, N_IN, N_OUT, WEIGHTS, BIAS, STATE, PRECISION, PAIRED = range(N_COLUMNS)
"""Columns. `BIAS` is -1 where an op has none; two-operand ops use `BIAS` as their second source offset (`SRC2`).

`PAIRED` is 1 in a `LINEAR` that a lone frame takes together with the `LINEAR_STATE` that goes on with its chains.
"""
SRC2 = BIAS


class Precision(IntEnum):
    """How the weights of a linear op are stored. State, activations and sums are float32 in each."""

    FLOAT32 = 0
    BFLOAT16 = 1  # the upper half of a float32
    INT8 = 2  # integers; what they sum to is scaled afterwards


class Op(IntEnum):
    """Operations over one state row and one work row.

    `n` below is N_OUT (padded, except where said); gates are consecutive padded regions of `n` in the work row.
    """

    INPUT = 0  # x (N_IN) -> work[dst]; N_OUT = number of tokens, 0 where the input is dense. Always the first op.
    OUTPUT = 1  # work[src] (N_IN) -> y. Always the last op.
    SCAN = 2  # the next N_OUT ops go frame by frame; all others take every frame of a chunk at once
    COPY = 3  # work[src] (N_IN, exact) -> work[dst]
    LOAD_STATE = 4  # state (N_IN, exact) -> work[dst]
    STORE_STATE = 5  # work[src] (N_IN, exact) -> state
    BIAS = 6  # bias -> work[dst]: where a chain starts that the linear op after it goes on with
    LINEAR = 7  # work[dst] = bias, or work[dst] where there is none, + weights . work[src] (N_IN)
    LINEAR_STATE = 8  # the same with state (N_IN) in place of work[src]
    TANH = 9  # work[src] -> work[dst]
    SIGMOID = 10
    RELU = 11
    SOFTMAX = 12  # over N_IN (exact) values
    LOG_SOFTMAX = 13
    ADD = 14  # work[src] + work[src2] -> work[dst]
    AFFINE = 15  # work[src] * weights + bias -> work[dst]
    ADD_SCALED = 16  # work[dst] + work[src] * weights -> work[dst]
    EMBEDDING = 17  # row work[src] of weights (n wide) -> work[dst]
    RNN_TANH = 18  # h = tanh(work[src]) -> state, work[dst]
    RNN_RELU = 19
    LSTM = 20  # gates i f g o at src, state h then c -> state, work[dst]
    GRU = 21  # gates xn r z hn at src (reset after the matmul), state h -> state, work[dst]
    GRU_RESET = 22  # sigmoid(work[src]) * h -> work[dst]: the reset before the matmul
    GRU_BEFORE = 23  # gates z n at src, state h -> state, work[dst]
