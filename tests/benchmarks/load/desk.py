"""A generator's side of a run without a server: the test holds the other ends of its sockets."""

from __future__ import annotations

import contextlib
import select
import socket
import time

import numpy as np

from benchmarks.load import loop
from benchmarks.load.board import ECHO, RAW, STREAMRNN, make_board
from benchmarks.load.packets import CODEC
from benchmarks.load.plan import Load, lines_of, schedule_of
from streamrnn.server.splitter import Splitter

DIALECTS = {"streamrnn": STREAMRNN, "raw": RAW, "echo": ECHO}


class Desk:
    """The board of a load, its sockets, and the test's ends of them, `ends`."""

    def __init__(self, load, n_captured=0, **options):
        self.load = load.with_sizes(load.input_size or 3, load.output_size or 2, 0)
        pairs = [socket.socketpair() for _ in range(load.n_connections)]
        self.own, self.ends = [a for a, _ in pairs], [b for _, b in pairs]
        self.epoll = select.epoll()
        for plug in self.own:
            plug.setblocking(False)
            self.epoll.register(plug.fileno(), select.EPOLLIN)
        self.board = make_board(
            lines_of(self.load),
            schedule_of(self.load),
            [plug.fileno() for plug in self.own],
            self.epoll.fileno(),
            DIALECTS[load.dialect],
            (range(load.n_sessions), n_captured, self.load.output_size) if n_captured else ((), 0, 0),
            **options,
        )
        self._splitters = [Splitter(1 << 22, 1) for _ in self.ends]

    def close(self):
        self.epoll.close()
        for plug in (*self.own, *self.ends):
            plug.close()

    def send_due(self, n=None):
        """Make `n` more messages of every line due (all: those whose time has come), and send them."""
        if n is None:
            loop.call_due(self.board, time.monotonic_ns())
            return
        for line in range(len(self.board.width)):
            self.board.n_due[line] += n
            loop.enqueue(self.board, line)
        for connection in range(len(self.own)):
            loop.flush(self.board, connection)

    def read(self, connection=0):
        """The payloads of the messages that arrived on the test's end of a connection."""
        chunk = self.ends[connection].recv(1 << 22)
        splitter = self._splitters[connection]
        splitter.put(chunk)
        return [payload for _, payload in iter(splitter.step, None)]

    def messages(self, connection=0):
        """The messages that arrived."""
        return [CODEC.decode(payload, False) for payload in self.read(connection)]

    def answer(self, *replies, connection=0, now_ns=1):
        """Put whole server messages into a connection's inbox, and let them be taken."""
        self.feed(b"".join(server_frame(CODEC.encode(reply)) for reply in replies), connection, now_ns)

    def feed(self, chunk, connection=0, now_ns=1):
        """Put bytes into a connection's inbox as if they had been received."""
        board = self.board
        have = board.n_inbox[connection]
        board.inbox[connection, have : have + len(chunk)] = np.frombuffer(chunk, np.uint8)
        board.n_inbox[connection] += len(chunk)
        loop.cut(board, connection, now_ns)


def server_frame(payload, opcode=2):
    """One unmasked websocket frame."""
    n = len(payload)
    if n < 126:
        return bytes([0x80 | opcode, n]) + payload
    if n < 65536:
        return bytes([0x80 | opcode, 126]) + n.to_bytes(2, "big") + payload
    return bytes([0x80 | opcode, 127]) + n.to_bytes(8, "big") + payload


@contextlib.contextmanager
def desk_of(n_captured=0, options=None, **fields):
    """A desk of a load with these fields; its loop is closed, so that tests say what is due, unless they ask."""
    given = {"loop": "closed", "duration_s": 0.01, "warm_s": 0.0, "input_size": 3, "output_size": 2, **fields}
    desk = Desk(Load(**given), n_captured, **(options or {}))
    try:
        yield desk
    finally:
        desk.close()
