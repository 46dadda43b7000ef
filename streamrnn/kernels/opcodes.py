"""The ops of a program: what each row of the int64 table means. The compiler writes it, the runner reads it.

Offsets count float32 elements: `src`, `src2`, `dst` in the work row, `state` in the state row, `weights` and `bias` in
the weight buffer. "Padded" sizes are rounded up to `PANEL_SIZE`; every region starts on a multiple of it.
"""

from enum import IntEnum

N_COLUMNS = 8
OPCODE, SRC, DST, N_IN, N_OUT, WEIGHTS, BIAS, STATE = range(N_COLUMNS)
"""Columns. `BIAS` is -1 where an op has none; two-operand ops use `BIAS` as their second source offset (`SRC2`)."""
SRC2 = BIAS


class Op(IntEnum):
    """Operations over one state row and one work row.

    `n` below is N_OUT (padded, except where said); gates are consecutive padded regions of `n` in the work row.
    """

    INPUT = 0  # x (N_IN) -> work[dst]; N_OUT = number of tokens, 0 where the input is dense. Always the first op.
    OUTPUT = 1  # work[src] (N_IN) -> y. Always the last op.
    COPY = 2  # work[src] (N_IN, exact) -> work[dst]
    LOAD_STATE = 3  # state (N_IN, exact) -> work[dst]
    STORE_STATE = 4  # work[src] (N_IN, exact) -> state
    BIAS = 5  # bias -> work[dst]: where the chains of the linear ops after it start
    LINEAR = 6  # work[dst] += weights . work[src] (N_IN)
    LINEAR_STATE = 7  # work[dst] += weights . state (N_IN)
    TANH = 8  # work[src] -> work[dst]
    SIGMOID = 9
    RELU = 10
    SOFTMAX = 11  # over N_IN (exact) values
    LOG_SOFTMAX = 12
    ADD = 13  # work[src] + work[src2] -> work[dst]
    AFFINE = 14  # work[src] * weights + bias -> work[dst]
    EMBEDDING = 15  # row work[src] of weights (n wide) -> work[dst]
    RNN_TANH = 16  # h = tanh(work[src]) -> state, work[dst]
    RNN_RELU = 17
    LSTM = 18  # gates i f g o at src, state h then c -> state, work[dst]
    GRU = 19  # gates xn r z hn at src (reset after the matmul), state h -> state, work[dst]
    GRU_RESET = 20  # sigmoid(work[src]) * h -> work[dst]: the reset before the matmul
    GRU_BEFORE = 21  # gates z n at src, state h -> state, work[dst]
