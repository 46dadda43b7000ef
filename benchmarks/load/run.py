"""Plays one load and hands over what became of each message."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.load import loop
from benchmarks.load.arrivals import room
from benchmarks.load.board import ECHO, IS_CLOSED, IS_SENDING, RAW, STREAMRNN, Board, Lines, make_board
from benchmarks.load.packets import raw_packet
from benchmarks.load.plan import Load, lines_of, schedule_of
from benchmarks.load.sockets import Address, LoadError, Sockets, open_sessions
from streamrnn.wire.codec import MSGPACK

SLICE_NS = 250_000_000
"""How long the loop runs between looks at signals and at what `watch` sees."""
LEAD_NS = 20_000_000
DIALECTS = {"streamrnn": STREAMRNN, "raw": RAW, "echo": ECHO}
N_SAMPLED = 4
"""Sessions whose outputs are kept to be compared."""

Watch = Callable[[float], None]
"""Called between slices with the seconds since the start."""


@dataclass
class Played:
    """What a run leaves behind.

    Attributes:
        load: with the sizes that the server told.
        board: see `board.Board`.
        start_ns: of the monotonic clock; times in `due_ns` are on it too.
        end_ns: when no more was sent.
        cpu_s: of the generator, user and system.
        elapsed_s: on the clock, with the wait for the last answers.
        sampled: sessions whose outputs stand in `board.captured`.
    """

    load: Load
    board: Board
    start_ns: int
    end_ns: int
    cpu_s: float
    elapsed_s: float
    sampled: list[int] = field(default_factory=list)

    @property
    def line_of_message(self) -> NDArray[np.int64]:
        """(n_messages,) int64: which line each belongs to."""
        return np.repeat(np.arange(len(self.board.width)), np.diff(self.board.first))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def play(load: Load, watch: Watch | None = None) -> Played:
    """Run a load against its server.

    Raises:
        LoadError: the server cannot be reached, or refuses a session.
    """
    _compile()
    protocol = None if load.dialect == "raw" else MSGPACK
    with Sockets(Address.of(load.url), load.n_connections, protocol, load.send_buffer_bytes) as sockets:
        if load.dialect == "streamrnn":
            options = {"overload": load.overload, "window": load.queue_frames}
            opened = open_sessions(sockets, load.session_counts, load.model, options)
            load = load.with_sizes(opened.input.size, opened.output.size, opened.input.n_tokens)
        if not load.input_size:
            raise LoadError("expected an input size: this server does not tell it")
        sampled = sample_of(load)
        capture = (sampled, load.n_checked_frames, load.output_size)
        lines, plan = lines_of(load), schedule_of(load)
        board = make_board(
            lines,
            plan,
            sockets.fds,
            sockets.epoll.fileno(),
            DIALECTS[load.dialect],
            capture,
            load.n_tokens,
            int(load.give_up_ms * 1e6),
            load.max_unanswered,
        )
        sockets.arm()
        return _timed(load, board, watch, sampled)


def _compile() -> None:
    """Compile the loop, or load what was compiled, before any session is open: it takes a while the first time."""
    lines = Lines([raw_packet(np.zeros(1, np.float32))], [0], [1], 1)
    board = make_board(lines, room(1, 1), [0], 0, RAW)
    loop.start_closed(board, 0)
    loop.play(board, 0)


def sample_of(load: Load) -> list[int]:
    """A few sessions from the first to the last, if any frame is to be checked."""
    if not load.n_checked_frames:
        return []
    return sorted({int(i) for i in np.linspace(0, load.n_sessions - 1, min(N_SAMPLED, load.n_sessions))})


def _timed(load: Load, board: Board, watch: Watch | None, sampled: list[int]) -> Played:
    begin_cpu_s = _cpu_s()
    start_ns = time.monotonic_ns() + (0 if board.gauges[IS_CLOSED] else LEAD_NS)
    end_ns = start_ns + int(load.total_s * 1e9)
    if board.gauges[IS_CLOSED]:
        loop.start_closed(board, load.window)
    else:
        np.add(board.due_ns, start_ns, out=board.due_ns)
    _slices(board, start_ns, end_ns, watch)
    loop.call_due(board, end_ns)  # what was due while the generator did not run is sent late, but sent
    board.gauges[IS_SENDING] = 0
    _slices(board, start_ns, end_ns + int(load.grace_s * 1e9), watch)
    elapsed_s = (time.monotonic_ns() - start_ns) / 1e9
    return Played(load, board, start_ns, end_ns, _cpu_s() - begin_cpu_s, elapsed_s, sampled)


def _slices(board: Board, start_ns: int, end_ns: int, watch: Watch | None) -> None:
    now_ns = time.monotonic_ns()
    while now_ns < end_ns:
        until_ns = min(end_ns, now_ns + SLICE_NS)
        loop.play(board, until_ns)
        now_ns = time.monotonic_ns()
        if watch is not None:
            watch((now_ns - start_ns) / 1e9)
        if now_ns < until_ns:  # all is answered
            return
