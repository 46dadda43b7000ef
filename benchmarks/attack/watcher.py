"""Ordinary sessions at a steady rate beside the attacks, in a process of their own; their latency is what is watched.

Run as `python -m benchmarks.attack.watcher PORT`. Each connection carries one session and sends a frame every 10 ms,
whether or not the last one was answered; latency counts from when the frame was due. Prints one line of JSON for each
line that it reads: the latencies since the line before. At the end of its input every output is compared with the
offline run, bit for bit.
"""

from __future__ import annotations

import json
import select
import sys
import time
from typing import Any

import numpy as np

import streamrnn
from benchmarks.attack.wire import CLOSE, CODEC, PING, PONG, Wire, masked
from benchmarks.serving import NET, OUTPUT_SIZE, make_net
from streamrnn.wire import messages as m

N_SESSIONS = 4
PERIOD_S = 0.010
N_INPUTS = 1000
XS = np.random.default_rng(7).normal(size=(N_INPUTS, NET.input_size)).astype("<f4")


class Watched:
    """One session on a connection of its own.

    Attributes:
        latencies_ms: since they were last asked for.
        outputs: payloads, of all frames.
    """

    def __init__(self, port: int, first_due: float) -> None:
        self.wire = Wire(port)
        self.wire.send(masked(CODEC.encode(m.Open(1, "net"))))
        self.wire.hear(lambda message: isinstance(message, m.Opened))
        self.wire.plug.setblocking(False)
        self.first_due = first_due
        self.n_sent = self.n_heard = 0
        self.latencies_ms: list[float] = []
        self.outputs = bytearray()

    @property
    def due(self) -> float:
        """When its next frame is due."""
        return self.first_due + self.n_sent * PERIOD_S

    def send(self) -> None:
        """Send the next frame."""
        payload = XS[self.n_sent % N_INPUTS].tobytes()
        self.wire.plug.send(masked(CODEC.encode(m.Frame(1, self.n_sent, payload))))
        self.n_sent += 1

    def receive(self) -> None:
        """Take the outputs that have come.

        Raises:
            ConnectionError: the server has dropped an ordinary client.
        """
        for opcode, payload in self.wire.read_some():
            if opcode == PING:
                self.wire.plug.send(masked(payload, 0x80 | PONG))
                continue
            if opcode == CLOSE:
                raise ConnectionError(f"an ordinary session was closed with {int.from_bytes(payload[:2], 'big')}")
            message = CODEC.decode_server(payload, False)
            now = time.perf_counter()
            if not isinstance(message, m.Output):
                raise ConnectionError(f"an ordinary session heard {message}")
            for seq in range(message.seq, message.seq + message.n):
                self.latencies_ms.append((now - self.first_due - seq * PERIOD_S) * 1e3)
            self.n_heard += message.n
            self.outputs += message.payload

    def is_exact(self) -> bool:
        """Whether every output is the one of the offline run."""
        engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
        engine.add_model("net", make_net())
        xs = np.resize(XS, (self.n_heard, NET.input_size)) if self.n_heard else XS[:0]
        expected = engine.open("net").run(np.ascontiguousarray(xs, np.float32))
        got = np.frombuffer(bytes(self.outputs), "<f4").reshape(-1, OUTPUT_SIZE)
        return bool(np.array_equal(got, expected))


def figures_of(watched: list[Watched]) -> dict[str, Any]:
    """Latencies since the last call, ms."""
    found = [latency for one in watched for latency in one.latencies_ms]
    for one in watched:
        one.latencies_ms = []
    if not found:
        return {"n": 0, "p50_ms": 0.0, "p99_ms": 0.0, "max_ms": 0.0}
    p50, p99 = np.percentile(found, [50, 99])
    return {"n": len(found), "p50_ms": float(p50), "p99_ms": float(p99), "max_ms": max(found)}


def watch(watched: list[Watched]) -> None:
    """Send and receive until the input ends."""
    by_plug = {one.wire.plug: one for one in watched}
    while True:
        wait_s = max(0.0, min(one.due for one in watched) - time.perf_counter())
        ready, _, _ = select.select([sys.stdin, *by_plug], [], [], wait_s)
        for plug in ready:
            if plug in by_plug:
                by_plug[plug].receive()
        now = time.perf_counter()
        for one in watched:
            while one.due <= now:
                one.send()
        if sys.stdin in ready:
            if not sys.stdin.readline():
                return
            print(json.dumps(figures_of(watched)), flush=True)


def main() -> None:
    """Watch the server at a port."""
    begin = time.perf_counter() + 0.1
    watched = [Watched(int(sys.argv[1]), begin + i * PERIOD_S / N_SESSIONS) for i in range(N_SESSIONS)]
    watch(watched)
    exact = [one.is_exact() for one in watched]
    print(json.dumps({"n": sum(one.n_heard for one in watched), "is_exact": all(exact)}), flush=True)


if __name__ == "__main__":
    main()
