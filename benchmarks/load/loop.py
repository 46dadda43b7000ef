"""The loop that sends what is due and takes what comes, without a pause; compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.load.board import (
    BUSY_NS,
    GIVE_UP_NS,
    IS_CLOSED,
    IS_SENDING,
    MAX_EVENTS,
    MAX_UNANSWERED,
    N_BLOCKED,
    N_OTHER,
    POSITION,
    RETRY_NS,
    UNDER_WAY,
)
from benchmarks.load.packets import N_VALUES, SEQ_STEP
from benchmarks.load.settling import enqueue, take
from benchmarks.load.system import (
    EVENT_FD,
    EVENT_WORDS,
    RECV_FLAGS,
    SEND_FLAGS,
    as_int,
    c_recv,
    c_send,
    clock_ns,
    epoll_wait,
)

SPIN_NS = 2_000_000
"""Nearer than this to a send time the loop spins: the timeout of epoll is too coarse."""
RETRY_AFTER_NS = 20_000
"""How often a socket that took no more bytes is tried again."""


@njit(cache=True)
def write_message(board: Any, line: int, out: Any, at: int, now_ns: int) -> int:
    """Write the line's next message to `out` (uint8) from `at`, note it as sent, and return where it ends."""
    start, end = board.packet_first[line], board.packet_first[line + 1]
    out[at : at + end - start] = board.packets[start:end]
    width, n_each, k = board.width[line], board.n_frames[line], board.n_sent[line]
    seq_at, value_at = board.seq_at[line], at + board.value_at[line]
    place = board.seq_first[line] + k * width
    for i in range(width):
        session = board.line_session[line] + i
        seq = board.next_seq[session]
        board.next_seq[session] = seq + n_each
        board.seqs[place + i] = seq
        if seq_at >= 0:
            for byte in range(4):
                out[at + seq_at + SEQ_STEP * i + byte] = (seq >> (24 - 8 * byte)) & 0xFF
        for frame in range(n_each):
            row = (seq + frame) % N_VALUES
            for byte in range(4):
                out[value_at + byte] = board.values[row, byte]
            value_at += board.frame_bytes[line]
    message = board.first[line] + k
    board.sent_ns[message] = now_ns
    board.n_left[message] = width * n_each
    if board.gauges[IS_CLOSED]:
        board.due_ns[message] = now_ns
    board.n_sent[line] = k + 1
    board.gauges[UNDER_WAY] += 1
    return at + end - start  # type: ignore[no-any-return]


@njit(cache=True)
def _may_send(board: Any, line: int, now_ns: int) -> bool:
    """Whether the line has a message to send now; those that are too late are left out first."""
    limit, give_up_ns = board.gauges[MAX_UNANSWERED], board.gauges[GIVE_UP_NS]
    if give_up_ns and not board.gauges[IS_CLOSED]:
        while board.n_sent[line] < board.n_due[line]:
            if now_ns - board.due_ns[board.first[line] + board.n_sent[line]] <= give_up_ns:
                break
            board.n_sent[line] += 1
            board.n_settled[line] += 1
    if board.n_sent[line] == board.n_due[line]:
        return False
    if limit and board.n_sent[line] - board.n_settled[line] >= limit:
        board.is_held[line] = 1
        return False
    return True


@njit(cache=True)
def _fill(board: Any, connection: int, now_ns: int) -> None:
    """Write messages of the connection's lines to its empty outbox, as many as are due and fit."""
    out = board.outbox[connection]
    at = 0
    line = board.queue_head[connection]
    while line >= 0:
        n_bytes = board.packet_first[line + 1] - board.packet_first[line]
        while _may_send(board, line, now_ns) and at + n_bytes <= len(out):
            message = board.first[line] + board.n_sent[line]
            board.was_blocked[message] = board.is_blocked[connection] | board.is_held[line]
            at = write_message(board, line, out, at, now_ns)
        if _may_send(board, line, now_ns):
            break
        if board.n_sent[line] == board.n_due[line]:
            board.is_held[line] = 0
        board.is_queued[line] = 0
        line = board.queue_next[line]
    board.queue_head[connection] = line
    board.outbox_span[connection, 0] = 0
    board.outbox_span[connection, 1] = at


@njit(cache=True)
def _push_bytes(board: Any, connection: int) -> bool:
    """Send what stands in the outbox; whether the socket took it all."""
    lo, hi = board.outbox_span[connection]
    start = board.outbox[connection].ctypes.data
    while lo < hi:
        n = c_send(board.fds[connection], start + np.uint64(lo), np.uint64(hi - lo), SEND_FLAGS)
        if n <= 0:
            break
        lo += n
    board.outbox_span[connection, 0] = lo
    return lo == hi  # type: ignore[no-any-return]


@njit(cache=True)
def flush(board: Any, connection: int) -> None:
    """Send all that is due on a connection, in one write where the socket takes it."""
    if board.is_lost[connection]:
        return
    is_free = _push_bytes(board, connection)
    while is_free and board.queue_head[connection] >= 0:
        _fill(board, connection, clock_ns(board.stamp))
        is_free = _push_bytes(board, connection)
    if board.is_blocked[connection] == is_free:
        board.is_blocked[connection] = not is_free
        board.gauges[N_BLOCKED] += -1 if is_free else 1


@njit(cache=True)
def _lose(board: Any, connection: int) -> None:
    board.is_lost[connection] = 1
    if board.is_blocked[connection]:
        board.is_blocked[connection] = 0
        board.gauges[N_BLOCKED] -= 1


@njit(cache=True)
def _pong(board: Any, connection: int, at: int, n: int) -> None:
    """Answer a ping behind what waits in the outbox; one that does not fit is left out."""
    out, span = board.outbox[connection], board.outbox_span[connection]
    end = 0 if span[0] == span[1] else span[1]
    if end == 0:
        span[0] = 0
    if end + 6 + n > len(out):
        return
    out[end], out[end + 1] = 0x8A, 0x80 | n
    out[end + 2 : end + 6] = 0
    out[end + 6 : end + 6 + n] = board.inbox[connection, at : at + n]
    span[1] = end + 6 + n


@njit(cache=True)
def cut(board: Any, connection: int, now_ns: int) -> None:
    """Take every whole websocket frame out of the inbox.

    Raises:
        ValueError: a message came in parts, or is larger than the inbox.
    """
    inbox, n_inbox = board.inbox[connection], board.n_inbox[connection]
    at = 0
    while n_inbox - at >= 2:
        n, start = as_int(inbox[at + 1]), at + 2
        if n >= 126:
            n_long = 2 if n == 126 else 8
            if n_inbox - at < 2 + n_long:
                break
            n = 0
            for i in range(n_long):
                n = n << 8 | as_int(inbox[start + i])
            start += n_long
        if start - at + n > len(inbox):
            raise ValueError("expected messages that fit the inbox")
        if start + n > n_inbox:
            break
        head = inbox[at]
        if head == 0x82:
            take(board, connection, start, now_ns)
        elif head == 0x89:
            _pong(board, connection, start, n)
        elif head == 0x88:
            _lose(board, connection)
        elif head & 0x80 == 0 or head & 0x0F == 0:
            raise ValueError("expected whole messages, got a part of one")
        else:
            board.gauges[N_OTHER] += 1
        at = start + n
    if at:
        inbox[: n_inbox - at] = inbox[at:n_inbox].copy()
        board.n_inbox[connection] = n_inbox - at


@njit(cache=True)
def receive(board: Any, connection: int) -> None:
    """Read once from a connection and take what came."""
    have = board.n_inbox[connection]
    start = board.inbox[connection].ctypes.data + np.uint64(have)
    n = c_recv(board.fds[connection], start, np.uint64(board.inbox.shape[1] - have), RECV_FLAGS)
    if n == 0:
        _lose(board, connection)
    if n <= 0:
        return
    board.n_inbox[connection] = have + n
    cut(board, connection, clock_ns(board.stamp))


@njit(cache=True)
def call_due(board: Any, now_ns: int) -> int:
    """Queue every line whose next message is due, flush their connections, and return how many messages it were."""
    gauges, order = board.gauges, board.order
    position, n_touched = gauges[POSITION], 0
    while position < len(order):
        line = order[position]
        if board.due_ns[board.first[line] + board.n_due[line]] > now_ns:
            break
        board.n_due[line] += 1
        connection = board.line_connection[line]
        if board.queue_head[connection] < 0:
            board.touched[n_touched] = connection
            n_touched += 1
        enqueue(board, line)
        position += 1
    n_due = position - gauges[POSITION]
    gauges[POSITION] = position
    for i in range(n_touched):
        if not board.is_blocked[board.touched[i]]:
            flush(board, board.touched[i])
    return n_due  # type: ignore[no-any-return]


@njit(cache=True)
def _retry(board: Any, now_ns: int) -> None:
    if board.gauges[N_BLOCKED] == 0 or now_ns < board.gauges[RETRY_NS]:
        return
    board.gauges[RETRY_NS] = now_ns + RETRY_AFTER_NS
    for connection in range(len(board.fds)):
        if board.is_blocked[connection]:
            flush(board, connection)


@njit(cache=True)
def _timeout_ms(board: Any, now_ns: int, until_ns: int) -> int:
    """How long epoll may sleep: not at all when closed, or so near to the next send time that it might miss it."""
    gauges = board.gauges
    if gauges[N_BLOCKED] or (gauges[IS_CLOSED] and gauges[IS_SENDING]):
        return 0
    next_ns = until_ns
    if gauges[IS_SENDING] and gauges[POSITION] < len(board.order):
        line = board.order[gauges[POSITION]]
        next_ns = min(next_ns, board.due_ns[board.first[line] + board.n_due[line]])
    return max(0, (next_ns - now_ns - SPIN_NS) // 1_000_000)


@njit(cache=True)
def start_closed(board: Any, window: int) -> None:
    """Let each line begin a closed loop with `window` messages under way."""
    for line in range(len(board.width)):
        board.n_due[line] = min(window, board.first[line + 1] - board.first[line])
        enqueue(board, line)
    for connection in range(len(board.fds)):
        flush(board, connection)


@njit(cache=True, nogil=True)
def play(board: Any, until_ns: int) -> None:
    """Send and receive until `until_ns` of the monotonic clock; once it sends no more, until all is answered."""
    gauges, ready = board.gauges, board.ready
    while True:
        now_ns = clock_ns(board.stamp)
        if now_ns >= until_ns or (not gauges[IS_SENDING] and gauges[UNDER_WAY] == gauges[N_BLOCKED] == 0):
            return
        n_due = call_due(board, now_ns) if gauges[IS_SENDING] else 0
        _retry(board, now_ns)
        timeout_ms = 0 if n_due else _timeout_ms(board, now_ns, until_ns)
        begin_ns = now_ns if n_due else as_int(0)
        n = epoll_wait(board.epoll_fd, ready.ctypes.data, MAX_EVENTS, timeout_ms)
        if n > 0 and not begin_ns:
            begin_ns = clock_ns(board.stamp)
        for i in range(n):
            connection = board.connection_of[ready[i * EVENT_WORDS + EVENT_FD]]
            if board.is_lost[connection]:
                continue
            receive(board, connection)
            span = board.outbox_span[connection]
            if board.queue_head[connection] >= 0 or span[0] < span[1]:
                flush(board, connection)
        if begin_ns:
            gauges[BUSY_NS] += clock_ns(board.stamp) - begin_ns
