"""A served frame beside bare echoes of the same sizes, in the same run: `python -m benchmarks.serving`.

The server runs on each of its transports. One echo reads messages with the Sans-I/O library, one cuts them as the
server does, one is all `picows` (see `benchmarks.echo`). All servers run in processes of their own, pinned to one core;
the generator has the other. It sends on blocking sockets and keeps one frame under way on each connection. Outputs are
compared with the offline run before anything is timed; rounds of all servers alternate.
"""

from __future__ import annotations

import argparse
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import streamrnn
from benchmarks import report
from benchmarks.nets import Net, make_model
from streamrnn.limits import Limits
from streamrnn.server.transports import TRANSPORTS
from streamrnn.wire import messages as m
from streamrnn.wire.codec import MSGPACK, Codec

NET = Net("lstm", 64, 128)
OUTPUT_SIZE = 16
N_CONNECTIONS = (1, 16)
ECHOES = ("library", "splitter", "picows")
SEQ_MARK = 0x7FFFFFF1
"""A seq of five bytes, so that every message of a run has the same size; the generator counts up from it."""
CODEC = Codec(MSGPACK, Limits())


def make_net() -> streamrnn.Model:
    """LSTM 64/128 with a linear head of 16."""
    return make_model(NET, OUTPUT_SIZE)


# ---- the servers


def serve(transport: str) -> None:
    """Serve the net until stopped; the port is logged."""
    import logging

    from streamrnn.server.app import Server
    from streamrnn.server.running import run

    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    sys.exit(run(Server({"net": make_net()}, port=0, limits=Limits(drain_ms=200), transport=transport)))


@contextmanager
def pinned(arguments: Sequence[str], core: int) -> Iterator[subprocess.Popen[str]]:
    """Run a module of this project on one core, and end it after."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def served(core: int, *arguments: str) -> Iterator[tuple[int, int]]:
    """Start a server, by default ours; its port and process id."""
    with pinned(arguments or ["benchmarks.serving", "--serve", TRANSPORTS[0]], core) as process:
        port = 0
        assert process.stdout is not None
        for line in process.stdout:
            if "port" in line:
                port = int(line.rsplit(maxsplit=1)[1])
            if "ready" in line:
                yield port, process.pid
                return
        raise RuntimeError("the server did not start")


@contextmanager
def echoed(core: int, n_bytes: int, kind: str) -> Iterator[tuple[int, int]]:
    """Start the echo; its port and process id."""
    with tempfile.TemporaryDirectory() as folder:
        port_file = Path(folder) / "port"
        with pinned(["benchmarks.echo", str(port_file), str(n_bytes), kind], core) as process:
            while not port_file.exists() or not port_file.read_text():
                time.sleep(0.01)
            yield int(port_file.read_text()), process.pid


def cpu_ns(pid: int) -> int:
    """CPU time of another process: its clock id is made from its pid (see clock_getcpuclockid(3))."""
    return time.clock_gettime_ns((~pid << 3) | 2)


# ---- the generator


class Socket:
    """One websocket, as cheap as it can be: messages are made beforehand and only their seq is written anew."""

    def __init__(self, port: int, reply_bytes: int) -> None:
        self.plug = socket.create_connection(("127.0.0.1", port))
        self.plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.plug.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: streamrnn.v1.msgpack\r\n\r\n"
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.plug.recv(4096)
        assert b" 101 " in head, head
        self.reply_bytes = reply_bytes
        self.seq = SEQ_MARK
        payload = np.random.default_rng(1).normal(size=NET.input_size).astype(np.float32)
        self.packet = bytearray(masked(CODEC.encode(m.Frame(1, SEQ_MARK, payload.tobytes()))))
        self.seq_at = self.packet.index(struct.pack(">I", SEQ_MARK))
        self.inbox = bytearray(4096)

    def ask(self, message: m.ClientMessage) -> Any:
        """Send one message and return its answer."""
        self.plug.sendall(masked(CODEC.encode(message)))
        head = self.plug.recv(4096)
        n_head = {126: 4, 127: 10}.get(head[1], 2)
        return CODEC.decode_server(head[n_head:], False)

    def send(self) -> None:
        """Send the next frame."""
        struct.pack_into(">I", self.packet, self.seq_at, self.seq)
        self.seq += 1
        self.plug.sendall(self.packet)

    def receive(self) -> None:
        """Take one whole answer."""
        n = self.plug.recv_into(self.inbox)
        while n < self.reply_bytes:
            n += self.plug.recv_into(memoryview(self.inbox)[n:])
        assert n == self.reply_bytes, f"expected an answer of {self.reply_bytes} bytes, got {n}"


def masked(payload: bytes) -> bytes:
    """One client frame; the mask is zero, which saves the generator the work and the server nothing."""
    n = len(payload)
    return (bytes([0x82, 0x80 | n]) if n < 126 else bytes([0x82, 0xFE]) + struct.pack(">H", n)) + bytes(4) + payload


def reply_size() -> int:
    """Bytes of an `output` message of the net, without the websocket header."""
    return len(CODEC.encode(m.Output(1, SEQ_MARK, bytes(4 * OUTPUT_SIZE))))


def open_session(plug: Socket) -> None:
    """Open a session whose next seq is `SEQ_MARK`: a snapshot with that number is restored."""
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
    engine.add_model("net", make_net())
    session = engine.open("net")
    session.go_on_at(SEQ_MARK)
    reply = plug.ask(m.Restore(1, session.snapshot()))
    assert isinstance(reply, m.Opened) and reply.next_seq == SEQ_MARK, reply


def check(port: int) -> None:
    """Compare 200 served frames with the offline run, bit for bit."""
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
    engine.add_model("net", make_net())
    xs = np.random.default_rng(2).normal(size=(200, NET.input_size)).astype(np.float32)
    plug = Socket(port, 0)
    assert isinstance(plug.ask(m.Open(1, "net")), m.Opened)
    got = [np.frombuffer(plug.ask(m.Frame(1, i, x.tobytes())).payload, "<f4") for i, x in enumerate(xs)]
    np.testing.assert_array_equal(np.array(got), engine.open("net").run(xs))
    plug.plug.close()


def round_of(plugs: Sequence[Socket], n_frames: int) -> float:
    """Microseconds a frame, from first send to last answer, with one frame under way on each connection."""
    if len(plugs) == 1:
        (plug,) = plugs
        begin = time.perf_counter()
        for _ in range(n_frames):
            plug.send()
            plug.receive()
        return (time.perf_counter() - begin) / n_frames * 1e6
    selector = selectors.EpollSelector()
    for plug in plugs:
        selector.register(plug.plug, selectors.EVENT_READ, plug)
    n_sent = n_received = 0
    begin = time.perf_counter()
    for plug in plugs:
        plug.send()
        n_sent += 1
    while n_received < n_frames:
        for key, _ in selector.select():
            key.data.receive()
            n_received += 1
            if n_sent < n_frames:
                key.data.send()
                n_sent += 1
    elapsed = time.perf_counter() - begin
    selector.close()
    return elapsed / n_frames * 1e6


Round = Callable[[], tuple[float, float]]


def rounds_of(port: int, pid: int, n_connections: int, n_frames: int, is_echo: bool) -> Round:
    """Return a function that plays one round: microseconds a frame on the clock, and of the server's CPU."""
    plugs = [Socket(port, reply_size() + 2) for _ in range(n_connections)]
    if not is_echo:
        for plug in plugs:
            open_session(plug)

    def play() -> tuple[float, float]:
        before_ns = cpu_ns(pid)
        wall_us = round_of(plugs, n_frames)
        return wall_us, (cpu_ns(pid) - before_ns) / n_frames / 1e3

    return play


def measure(n_rounds: int, n_frames: int) -> list[dict[str, Any]]:
    """Alternate rounds of the echoes and the servers, for each number of connections."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("expected two cores: one for the servers, one for the generator")
    os.sched_setaffinity(0, {cores[1]})
    figures = []
    with ExitStack() as stack:
        echoes = [stack.enter_context(echoed(cores[0], reply_size(), kind)) for kind in ECHOES]
        ours = [stack.enter_context(served(cores[0], "benchmarks.serving", "--serve", name)) for name in TRANSPORTS]
        for port, _ in ours:
            check(port)
        for n_connections in N_CONNECTIONS:
            plays = [
                *(rounds_of(*echo, n_connections, n_frames, is_echo=True) for echo in echoes),
                *(rounds_of(*server, n_connections, n_frames, is_echo=False) for server in ours),
            ]
            for play in plays:
                play()
            played = [[play() for play in plays] for _ in range(n_rounds)]
            figures.append(figures_of(n_connections, played))
    return figures


def figures_of(n_connections: int, played: list[list[tuple[float, float]]]) -> dict[str, Any]:
    """Medians and quartiles of the echoes, of a frame served on each transport (last), and of their ratios in a round.

    `served` and `ratio` are those of the default transport.
    """
    figure: dict[str, Any] = {"n_connections": n_connections}
    for place, name in enumerate(("wall", "cpu")):
        *echoes, ours, fast = ([row[i][place] for row in played] for i in range(len(ECHOES) + len(TRANSPORTS)))
        figure[f"served_{name}_us"] = report.spread(ours)
        figure[f"served_picows_{name}_us"] = report.spread(fast)
        figure[f"picows_to_websockets_{name}"] = ratio_of(fast, ours)
        for kind, echo in zip(ECHOES, echoes, strict=True):
            figure[f"echo_{kind}_{name}_us"] = report.spread(echo)
            figure[f"ratio_{kind}_{name}"] = ratio_of(ours, echo)
            figure[f"picows_to_{kind}_{name}"] = ratio_of(fast, echo)
    return figure


def ratio_of(slow: list[float], floor: list[float]) -> dict[str, float]:
    """Spread of `slow` / `floor` over the rounds."""
    return report.spread([a / b for a, b in zip(slow, floor, strict=True)])


def rows_of(figure: dict[str, Any], name: str) -> list[list[str]]:
    """Lines of the table: a frame on each transport, and its ratio to each echo."""
    what = f"{figure['n_connections']} connection(s), {'time' if name == 'wall' else 'server CPU'} a frame"
    echoes = [f"{figure[f'echo_{kind}_{name}_us']['median']:.1f}" for kind in ECHOES]
    return [
        [
            f"{what}, {transport}",
            f"{figure[f'{served}_{name}_us']['median']:.1f}",
            *echoes,
            *("{median:.2f} ({q1:.2f} to {q3:.2f})".format(**figure[f"{ratio}_{kind}_{name}"]) for kind in ECHOES),
        ]
        for transport, served, ratio in zip(
            TRANSPORTS, ("served", "served_picows"), ("ratio", "picows_to"), strict=True
        )
    ]


def main() -> None:
    """Measure, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="pairs of rounds (default 15)")
    parser.add_argument("--frames", type=int, default=4000, help="frames a round (default 4000)")
    parser.add_argument("--serve", metavar="TRANSPORT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
    load = os.getloadavg()[0]
    figures = measure(arguments.rounds, arguments.frames)
    rows = [row for figure in figures for name in ("wall", "cpu") for row in rows_of(figure, name)]
    title = f"A served frame of {NET.name} + linear {OUTPUT_SIZE} beside bare echoes of the same bytes"
    columns = ["", "served us", *(f"{kind} us" for kind in ECHOES), *(f"/ {kind} (quartiles)" for kind in ECHOES)]
    report.show(report.Table(title, columns, rows))
    about = {"net": f"{NET.name} + linear {OUTPUT_SIZE}", "load_average_before": round(load, 2)}
    path = report.write("serving", {**about, "figures": figures})
    print(f"written: {path.relative_to(Path(__file__).parent.parent)}")


if __name__ == "__main__":
    main()
