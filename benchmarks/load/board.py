"""All arrays of a run, in one tuple that compiled code takes: what is to be sent, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.load.arrivals import Schedule
from benchmarks.load.packets import Packet, Values, value_rows
from benchmarks.load.system import EVENT_WORDS

UNSENT, ANSWERED, REFUSED, DROPPED = -1, -2, -3, -4
"""Marks in `seqs` of frames that are not under way."""

N_GAUGES = 16
POSITION, IS_CLOSED, IS_SENDING, UNDER_WAY, BUSY_NS, N_STRAY, N_OTHER, N_CODES = range(8)
DIALECT, N_BLOCKED, RETRY_NS, GIVE_UP_NS, MAX_UNANSWERED = range(8, 13)
"""Places in `gauges`."""
STREAMRNN, RAW, ECHO = range(3)
"""Dialects: our messages, bare float32, and our messages sent back by an echo."""

MAX_CODES = 32
CODE_BYTES = 48
MAX_EVENTS = 32
MAX_MESSAGE_BYTES = 1 << 20
MANY_CONNECTIONS = 512
SMALL_BUFFER_BYTES = 1 << 17

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Bytes = NDArray[np.uint8]


class Board(NamedTuple):
    """One run. A *line* sends messages one after the other: one session, or in columns all those of a connection.

    Messages of line `i` are `first[i] .. first[i + 1]` in the arrays of messages; message `k` of a line of `width`
    sessions has its seqs at `seqs[seq_first[i] + k * width + session]`.
    """

    gauges: Int64
    stamp: Int64
    fields: Int64
    ready: Int32

    # connections
    epoll_fd: int
    fds: Int32
    connection_of: Int32
    """By file descriptor."""
    inbox: Bytes
    n_inbox: Int64
    outbox: Bytes
    outbox_span: Int64
    is_blocked: Bytes
    is_lost: Bytes
    line_first: Int64
    session_first: Int64
    queue_head: Int64
    queue_tail: Int64
    touched: Int32

    # lines
    line_connection: Int32
    line_session: Int64
    """The first session of each line."""
    width: Int64
    n_frames: Int64
    """Frames of each session in one message."""
    queue_next: Int64
    is_queued: Bytes
    n_due: Int64
    n_sent: Int64
    n_settled: Int64
    """Messages that are answered in full, or were never sent."""
    is_held: Bytes
    """Lines that wait for answers before they send more."""
    packets: Bytes
    packet_first: Int64
    seq_at: Int64
    value_at: Int64
    frame_bytes: Int64
    values: Bytes
    order: Int32

    # sessions
    session_line: Int32
    next_seq: Int64
    answered_to: Int64
    """The message up to which a session's outputs have come; and the same of refusals."""
    refused_to: Int64
    rewound_at: Int64
    """The first message after the last time that a refusal turned the session's seq back."""
    capture_row: Int32
    captured: Values

    # messages
    first: Int64
    due_ns: Int64
    sent_ns: Int64
    done_ns: Int64
    n_left: Int32
    """Frames of a message that have not been answered."""
    n_bad: Int32
    """Frames of a message that got no output."""
    was_blocked: Bytes
    """Messages that waited for the server to read or to answer."""

    # frames
    seq_first: Int64
    seqs: Int32

    # errors
    codes: Bytes
    code_counts: Int64


class Lines(NamedTuple):
    """Who sends what: lines in the order of their connections, and sessions in that of their lines."""

    packets: Sequence[Packet]
    connections: Sequence[int]
    widths: Sequence[int]
    n_frames: int
    """Frames of one session in a message: 1, but for chunks."""


def _offsets(sizes: Int64) -> Int64:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def make_board(
    lines: Lines,
    plan: Schedule,
    fds: Sequence[int],
    epoll_fd: int,
    dialect: int,
    capture: tuple[Sequence[int], int, int] = ((), 0, 0),
    n_tokens: int = 0,
    give_up_ns: int = 0,
    max_unanswered: int = 0,
) -> Board:
    """Lay out the arrays of one run.

    Args:
        lines: who sends what.
        plan: when; without an order the loop is closed.
        fds: the sockets, one a connection.
        epoll_fd: where they are registered.
        dialect: `STREAMRNN`, `RAW` or `ECHO`.
        capture: sessions whose outputs are kept, of how many frames, of what size.
        n_tokens: of an input of tokens, else 0.
        give_up_ns: how long after its time a message is not sent any more; 0: it is sent, however late.
        max_unanswered: messages of a line that it leaves unanswered; 0: any number.
    """
    n_lines, n_connections = len(lines.packets), len(fds)
    connections = np.array(lines.connections, np.int32)
    width = np.array(lines.widths, np.int64)
    line_session = _offsets(width)
    n_sessions = int(line_session[-1])
    line_first = np.searchsorted(connections, np.arange(n_connections + 1)).astype(np.int64)
    counts = np.diff(plan.first)
    connection_of = np.full(max(fds) + 1, -1, np.int32)
    connection_of[list(fds)] = np.arange(n_connections)
    buffer_bytes = MAX_MESSAGE_BYTES if n_connections <= MANY_CONNECTIONS else SMALL_BUFFER_BYTES
    sessions, n_captured, output_size = capture
    capture_row = np.full(n_sessions, -1, np.int32)
    capture_row[list(sessions)] = np.arange(len(sessions))
    gauges = np.zeros(N_GAUGES, np.int64)
    gauges[IS_CLOSED], gauges[IS_SENDING], gauges[DIALECT] = not len(plan.order), 1, dialect
    gauges[GIVE_UP_NS], gauges[MAX_UNANSWERED] = give_up_ns, max_unanswered
    n_messages = int(plan.first[-1])
    return Board(
        gauges=gauges,
        stamp=np.zeros(2, np.int64),
        fields=np.zeros(16, np.int64),
        ready=np.zeros(MAX_EVENTS * EVENT_WORDS, np.int32),
        epoll_fd=epoll_fd,
        fds=np.array(fds, np.int32),
        connection_of=connection_of,
        inbox=np.zeros((n_connections, buffer_bytes), np.uint8),
        n_inbox=np.zeros(n_connections, np.int64),
        outbox=np.zeros((n_connections, buffer_bytes), np.uint8),
        outbox_span=np.zeros((n_connections, 2), np.int64),
        is_blocked=np.zeros(n_connections, np.uint8),
        is_lost=np.zeros(n_connections, np.uint8),
        line_first=line_first,
        session_first=line_session[line_first],
        queue_head=np.full(n_connections, -1, np.int64),
        queue_tail=np.full(n_connections, -1, np.int64),
        touched=np.zeros(n_connections, np.int32),
        line_connection=connections,
        line_session=line_session,
        width=width,
        n_frames=np.full(n_lines, lines.n_frames, np.int64),
        queue_next=np.full(n_lines, -1, np.int64),
        is_queued=np.zeros(n_lines, np.uint8),
        n_due=np.zeros(n_lines, np.int64),
        n_sent=np.zeros(n_lines, np.int64),
        n_settled=np.zeros(n_lines, np.int64),
        is_held=np.zeros(n_lines, np.uint8),
        packets=np.frombuffer(b"".join(packet.data for packet in lines.packets), np.uint8).copy(),
        packet_first=_offsets(np.array([len(packet.data) for packet in lines.packets], np.int64)),
        seq_at=np.array([packet.seq_at for packet in lines.packets], np.int64),
        value_at=np.array([packet.value_at for packet in lines.packets], np.int64),
        frame_bytes=np.array([packet.frame_bytes for packet in lines.packets], np.int64),
        values=value_rows(n_tokens),
        order=plan.order,
        session_line=np.repeat(np.arange(n_lines, dtype=np.int32), width),
        next_seq=np.zeros(n_sessions, np.int64),
        answered_to=np.zeros(n_sessions, np.int64),
        refused_to=np.zeros(n_sessions, np.int64),
        rewound_at=np.zeros(n_sessions, np.int64),
        capture_row=capture_row,
        captured=np.full((max(1, len(sessions)), max(1, n_captured), max(1, output_size)), np.nan, np.float32),
        first=plan.first,
        due_ns=plan.due_ns,
        sent_ns=np.zeros(n_messages, np.int64),
        done_ns=np.zeros(n_messages, np.int64),
        n_left=np.zeros(n_messages, np.int32),
        n_bad=np.zeros(n_messages, np.int32),
        was_blocked=np.zeros(n_messages, np.uint8),
        seq_first=_offsets(counts * width),
        seqs=np.full(int((counts * width).sum()), UNSENT, np.int32),
        codes=np.zeros((MAX_CODES, CODE_BYTES), np.uint8),
        code_counts=np.zeros(MAX_CODES, np.int64),
    )
