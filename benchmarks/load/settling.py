"""What an answer means for the frames under way; compiled.

The outputs of a session come in the order in which its frames were sent, and so do its refusals, but not the one beside
the other. So each session has two cursors over its messages, and no answer is searched for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.load.board import (
    ANSWERED,
    CODE_BYTES,
    DROPPED,
    IS_CLOSED,
    IS_SENDING,
    N_CODES,
    N_OTHER,
    N_STRAY,
    RAW,
    REFUSED,
    UNDER_WAY,
)
from benchmarks.load.board import DIALECT as DIALECT_AT
from benchmarks.load.board import ECHO as ECHO_DIALECT
from benchmarks.load.replies import (
    CODE_AT,
    ERROR,
    EXPECTED,
    FRAME,
    FRAMES,
    HANDLE,
    HANDLES_AT,
    KIND,
    N_COLUMNS,
    OUTPUT,
    OUTPUTS,
    PAYLOAD_AT,
    PAYLOAD_BYTES,
    SEQ,
    SEQS_AT,
    SKIPPED,
    N,
    parse,
    read_int,
)
from benchmarks.load.replies import CODE_BYTES as CODE_BYTES_AT


@njit(cache=True)
def enqueue(board: Any, line: int) -> None:
    """Let a line send what it has due when its connection is next flushed."""
    if board.is_queued[line]:
        return
    board.is_queued[line] = 1
    connection = board.line_connection[line]
    if board.queue_head[connection] < 0:
        board.queue_head[connection] = line
    else:
        board.queue_next[board.queue_tail[connection]] = line
    board.queue_tail[connection] = line
    board.queue_next[line] = -1


@njit(cache=True)
def _finish_frames(board: Any, line: int, message: int, n: int, now_ns: int) -> None:
    """Take `n` frames off a message; with its last one it is done, and in a closed loop the next one is due."""
    board.n_left[message] -= n
    if board.n_left[message] > 0:
        return
    board.done_ns[message] = now_ns
    board.gauges[UNDER_WAY] -= 1
    board.n_settled[line] += 1
    if board.is_held[line]:
        enqueue(board, line)
    is_going_on = board.gauges[IS_CLOSED] and board.gauges[IS_SENDING]
    if is_going_on and board.first[line] + board.n_due[line] < board.first[line + 1]:
        board.n_due[line] += 1
        enqueue(board, line)


@njit(cache=True)
def settle(board: Any, session: int, seq: int, n: int, outcome: int, payload_at: int, now_ns: int, inbox: Any) -> None:
    """Note that frames `seq .. seq + n - 1` of a session were `ANSWERED`, with outputs of `fields`, or `DROPPED`."""
    line = board.session_line[session]
    place = board.seq_first[line] + session - board.line_session[line]
    width, n_each, n_sent = board.width[line], board.n_frames[line], board.n_sent[line]
    at = board.answered_to[session]
    while n > 0:
        while at < n_sent and (board.seqs[place + at * width] < 0 or board.seqs[place + at * width] + n_each <= seq):
            at += 1
        if at == n_sent or board.seqs[place + at * width] > seq:
            board.gauges[N_STRAY] += n
            break
        end = board.seqs[place + at * width] + n_each
        n_here = min(n, end - seq)
        message = board.first[line] + at
        if outcome == DROPPED:
            board.n_bad[message] += n_here
        elif board.capture_row[session] >= 0:
            payload_at = _capture(board, board.capture_row[session], seq, n_here, payload_at, inbox)
        if seq + n_here == end:
            board.seqs[place + at * width] = outcome
            at += 1
        _finish_frames(board, line, message, n_here, now_ns)
        seq += n_here
        n -= n_here
    board.answered_to[session] = at


@njit(cache=True)
def _capture(board: Any, row: int, seq: int, n: int, payload_at: int, inbox: Any) -> int:
    size = board.captured.shape[2]
    for i in range(n):
        if seq + i < board.captured.shape[1]:
            for j in range(size):
                place = payload_at + 4 * j
                bits = np.uint32(0)
                for byte in range(4):
                    bits |= np.uint32(inbox[place + byte]) << np.uint32(8 * byte)
                board.captured[row, seq + i, j] = np.uint32(bits).view(np.float32)
        payload_at += 4 * size
    return payload_at


@njit(cache=True)
def refuse(board: Any, session: int, seq: int, expected: int, now_ns: int) -> None:
    """Note an error that names a frame; the session's seq turns back to the one that the server waits for.

    Frames that were sent before the turn are refused too, as gaps; they turn nothing back again.
    """
    line = board.session_line[session]
    place = board.seq_first[line] + session - board.line_session[line]
    width, n_each, n_sent = board.width[line], board.n_frames[line], board.n_sent[line]
    at = board.refused_to[session]
    while at < n_sent and board.seqs[place + at * width] != seq:
        at += 1
    if at == n_sent:
        board.gauges[N_STRAY] += 1
        return
    message = board.first[line] + at
    board.seqs[place + at * width] = REFUSED
    board.refused_to[session] = at + 1
    board.n_bad[message] += n_each
    if at >= board.rewound_at[session]:
        board.next_seq[session] = expected if expected >= 0 else seq
        board.rewound_at[session] = n_sent
    _finish_frames(board, line, message, n_each, now_ns)


@njit(cache=True)
def count_code(board: Any, at: int, n: int, inbox: Any) -> None:
    """Count an error by its code."""
    n = min(n, CODE_BYTES)
    n_codes = board.gauges[N_CODES]
    for row in range(n_codes):
        is_same = n == CODE_BYTES or board.codes[row, n] == 0
        for i in range(n):
            is_same = is_same and board.codes[row, i] == inbox[at + i]
        if is_same:
            board.code_counts[row] += 1
            return
    if n_codes < len(board.codes):
        for i in range(n):
            board.codes[n_codes, i] = inbox[at + i]
        board.code_counts[n_codes] = 1
        board.gauges[N_CODES] += 1


@njit(cache=True)
def _take_columns(board: Any, connection: int, now_ns: int, inbox: Any) -> None:
    fields = board.fields
    n, handle_at, seq_at = fields[N_COLUMNS], fields[HANDLES_AT], fields[SEQS_AT]
    payload_at, row_bytes = fields[PAYLOAD_AT], fields[PAYLOAD_BYTES] // max(1, n)
    for i in range(n):
        handle, handle_at = read_int(inbox, handle_at)
        seq, seq_at = read_int(inbox, seq_at)
        session = board.session_first[connection] + handle
        if session < board.session_first[connection + 1]:
            settle(board, session, seq, 1, ANSWERED, payload_at + i * row_bytes, now_ns, inbox)
        else:
            board.gauges[N_STRAY] += 1


@njit(cache=True)
def take(board: Any, connection: int, at: int, now_ns: int) -> None:
    """Take one message of the server, which begins at `at` of the connection's inbox."""
    inbox = board.inbox[connection]
    first_session = board.session_first[connection]
    if board.gauges[DIALECT_AT] == RAW:
        seq = _oldest(board, first_session)
        settle(board, first_session, seq, 1, ANSWERED, at, now_ns, inbox)
        return
    fields = board.fields
    parse(inbox, at, fields)
    kind = fields[KIND]
    if kind in (OUTPUTS, FRAMES):
        _take_columns(board, connection, now_ns, inbox)
        return
    session = first_session + fields[HANDLE]
    is_known = fields[HANDLE] >= 0 and session < board.session_first[connection + 1]
    if kind == ERROR:
        count_code(board, fields[CODE_AT], fields[CODE_BYTES_AT], inbox)
    if not is_known:
        board.gauges[N_OTHER] += 1
    elif kind in (OUTPUT, FRAME):
        is_echo = board.gauges[DIALECT_AT] == ECHO_DIALECT
        n = board.n_frames[board.session_line[session]] if is_echo else fields[N]
        settle(board, session, fields[SEQ], n, ANSWERED, fields[PAYLOAD_AT], now_ns, inbox)
    elif kind == SKIPPED:
        settle(board, session, fields[SEQ], fields[N], DROPPED, 0, now_ns, inbox)
    elif kind == ERROR and fields[SEQ] >= 0:
        refuse(board, session, fields[SEQ], fields[EXPECTED], now_ns)
    else:
        board.gauges[N_OTHER] += 1


@njit(cache=True)
def _oldest(board: Any, session: int) -> int:
    line = board.session_line[session]
    at = board.answered_to[session]
    return board.seqs[board.seq_first[line] + at] if at < board.n_sent[line] else 0
