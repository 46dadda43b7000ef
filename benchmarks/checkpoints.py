"""What checkpoints cost: 1,000 sessions saved every second beside none saved: `python -m benchmarks.checkpoints`.

Two servers of the same net, each in a process pinned to one core, its store's thread with it; one keeps its sessions in
SQLite. The generator has the other core. It holds four gateway connections of 250 sessions each and keeps one column of
frames under way on each. Rounds of both servers alternate; each lasts several checkpoints. Outputs of one session are
compared with the offline run before anything is timed. Then the bytes of parked sessions, and memory after a million
sessions that were opened and closed, are measured on a hub in this process.
"""

from __future__ import annotations

import argparse
import os
import selectors
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

import streamrnn
from benchmarks import report
from benchmarks.memory import measure_memory
from benchmarks.serving import CODEC, NET, OUTPUT_SIZE, Socket, cpu_ns, make_net, masked, served
from streamrnn.limits import Limits
from streamrnn.wire import messages as m

N_CONNECTIONS, N_COLUMNS = 4, 250
N_SESSIONS = N_CONNECTIONS * N_COLUMNS
CHECKPOINT_MS = 1000
LIMITS = Limits(max_sessions=N_SESSIONS, checkpoint_ms=CHECKPOINT_MS, checkpoint_frames=10**9, drain_ms=2000)


def serve(state: str | None) -> None:
    """Serve the net until stopped; the port is logged."""
    import logging

    from streamrnn.server.app import Server
    from streamrnn.server.running import run
    from streamrnn.stores import SqliteStore

    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    store = SqliteStore(Path(state) / "sessions.sqlite") if state else None
    sys.exit(run(Server({"net": make_net()}, port=0, limits=LIMITS, store=store)))


class Gateway:
    """One connection with a column of sessions; it sends one frame of each in one message."""

    def __init__(self, port: int, frames: Any) -> None:
        self.socket = Socket(port, 0)
        self.handles = list(range(N_COLUMNS))
        for handle in self.handles:
            reply = self.socket.ask(m.Open(handle, "net", window=1))
            assert isinstance(reply, m.Opened), reply
        self.frames = frames
        self.seq = 0
        self.inbox = bytearray()
        self.n_due = 0
        self.sent_ns = 0
        self.n_acks = 0

    def send(self) -> None:
        """Send the next column."""
        frames = self.frames[self.seq % len(self.frames)]
        message = CODEC.encode(m.Frames(self.handles, [self.seq] * N_COLUMNS, frames.tobytes()))
        self.sent_ns = time.perf_counter_ns()
        self.socket.plug.sendall(bytes([0x82, 0xFF]) + struct.pack(">Q", len(message)) + bytes(4) + message)
        self.seq += 1
        self.n_due = N_COLUMNS

    def receive(self) -> list[Any]:
        """Read what is there; the messages that are whole. `n_due` tells how many outputs are still to come."""
        self.inbox += self.socket.plug.recv(1 << 20)
        found: list[Any] = []
        while True:
            payload = _cut(self.inbox)
            if payload is None:
                return found
            message = CODEC.decode_server(payload, False)
            if isinstance(message, m.Outputs):
                self.n_due -= len(message.handles)
            elif isinstance(message, m.Output):
                self.n_due -= message.n
            else:
                assert isinstance(message, m.Ack), message
                self.n_acks += 1
            found.append(message)


def _cut(inbox: bytearray) -> bytes | None:
    """Take the payload of the first whole websocket message out of `inbox`."""
    if len(inbox) < 2:
        return None
    size, head = inbox[1], 2
    if size >= 126:
        head = 4 if size == 126 else 10
        if len(inbox) < head:
            return None
        size = int.from_bytes(inbox[2:head], "big")
    if len(inbox) < head + size:
        return None
    payload = bytes(inbox[head : head + size])
    del inbox[: head + size]
    return payload


def check(port: int) -> None:
    """Compare the outputs of one session with the offline run, bit for bit."""
    engine = streamrnn.Engine(Limits(max_sessions=1))
    engine.add_model("net", make_net())
    xs = np.random.default_rng(2).normal(size=(100, NET.input_size)).astype(np.float32)
    socket = Socket(port, 0)
    assert isinstance(socket.ask(m.Open(1, "net")), m.Opened)
    inbox = bytearray()
    for i, x in enumerate(xs):
        socket.plug.sendall(masked(CODEC.encode(m.Frame(1, i, x.tobytes()))))
    socket.plug.sendall(masked(CODEC.encode(m.Close(1))))
    rows: list[bytes] = []
    while True:
        inbox += socket.plug.recv(1 << 16)
        while (payload := _cut(inbox)) is not None:
            message = CODEC.decode_server(payload, False)
            if isinstance(message, m.Closed):
                np.testing.assert_array_equal(
                    np.frombuffer(b"".join(rows), "<f4").reshape(100, -1), engine.open("net").run(xs)
                )
                socket.plug.close()
                return
            if isinstance(message, m.Output):
                rows.append(message.payload)


def play(gateways: Sequence[Gateway], seconds: float, pid: int) -> dict[str, float]:
    """One round: frames a second, and quantiles of the time from a column's sending to its last output."""
    selector = selectors.EpollSelector()
    for gateway in gateways:
        selector.register(gateway.socket.plug, selectors.EVENT_READ, gateway)
    latencies: list[int] = []
    cpu_before = cpu_ns(pid)
    begin = time.perf_counter()
    for gateway in gateways:
        gateway.send()
    n_open = len(gateways)
    while n_open:
        for key, _ in selector.select():
            gateway = key.data
            was_due = gateway.n_due
            gateway.receive()
            if gateway.n_due == 0 and was_due:
                latencies.append(time.perf_counter_ns() - gateway.sent_ns)
                if time.perf_counter() - begin < seconds:
                    gateway.send()
                else:
                    n_open -= 1
    elapsed = time.perf_counter() - begin
    selector.close()
    n_frames = len(latencies) * N_COLUMNS
    p50, p99 = np.quantile(latencies, (0.5, 0.99)) / 1e6
    return {
        "frames_per_s": n_frames / elapsed,
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "cpu_us": (cpu_ns(pid) - cpu_before) / n_frames / 1e3,
    }


def measure(n_rounds: int, seconds: float) -> dict[str, Any]:
    """Alternate rounds without and with checkpoints."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("expected two cores: one for the servers, one for the generator")
    os.sched_setaffinity(0, {cores[1]})
    frames = np.random.default_rng(3).normal(size=(64, N_COLUMNS, NET.input_size)).astype(np.float32)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        serving = ["benchmarks.checkpoints", "--serve"]
        servers = [stack.enter_context(served(cores[0], *serving, *options)) for options in ([], ["--state", folder])]
        for port, _ in servers:
            check(port)
        fleets = [[Gateway(port, frames) for _ in range(N_CONNECTIONS)] for port, _ in servers]
        rounds: list[list[dict[str, float]]] = []
        for _ in range(n_rounds + 1):
            rounds.append([play(fleet, seconds, pid) for fleet, (_, pid) in zip(fleets, servers, strict=True)])
        n_acks = sum(gateway.n_acks for gateway in fleets[1])
    return {"n_acks": n_acks, "rounds": rounds[1:]}  # the first one warms up


def summary(rounds: list[list[dict[str, float]]]) -> dict[str, Any]:
    """Medians of both servers, and the ratios within each round."""
    found: dict[str, Any] = {}
    for name in ("frames_per_s", "p50_ms", "p99_ms", "cpu_us"):
        plain, saved = ([row[i][name] for row in rounds] for i in (0, 1))
        found[name] = {"plain": report.spread(plain), "saved": report.spread(saved)}
        found[name]["ratio"] = report.spread([b / a for a, b in zip(plain, saved, strict=True)])
    return found


def main() -> None:
    """Measure, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="pairs of rounds (default 7)")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds a round (default 5)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--state", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.state)
    played = measure(arguments.rounds, arguments.seconds)
    figures = summary(played["rounds"])
    rows = [
        [
            text,
            f"{figures[name]['plain']['median']:.{digits}f}",
            f"{figures[name]['saved']['median']:.{digits}f}",
            "{median:.3f} ({q1:.3f} to {q3:.3f})".format(**figures[name]["ratio"]),
        ]
        for name, text, digits in (
            ("frames_per_s", "frames a second", 0),
            ("p50_ms", "median of a column of 250, ms", 2),
            ("p99_ms", "p99 of a column of 250, ms", 2),
            ("cpu_us", "server CPU a frame, us", 2),
        )
    ]
    title = f"{N_SESSIONS} sessions of {NET.name} + linear {OUTPUT_SIZE}, saved to SQLite every {CHECKPOINT_MS} ms"
    report.show(report.Table(title, ["", "not saved", "saved", "ratio (quartiles)"], rows))
    memory = measure_memory()
    report.show(report.Table("Memory", ["", ""], [[name, text] for name, text in memory.rows()]))
    path = report.write("checkpoints", {"n_acks": played["n_acks"], "figures": figures, "memory": memory.figures()})
    print(f"written: {path.relative_to(Path(__file__).parent.parent)}")


if __name__ == "__main__":
    main()
