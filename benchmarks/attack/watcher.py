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
from contextlib import suppress
from typing import Any

import numpy as np

import streamrnn
from benchmarks.attack.wire import CLOSE, CODEC, PING, PONG, Wire, masked, word_of
from benchmarks.serving import NET, OUTPUT_SIZE, make_net
from streamrnn.wire import messages as m

N_SESSIONS = 4
PERIOD_S = 0.010
N_INPUTS = 1000
XS = np.random.default_rng(7).normal(size=(N_INPUTS, NET.input_size)).astype("<f4")


class Watched:
    """One session on a connection of its own; where it is harmed, another one takes its place.

    Attributes:
        latencies_ms: since they were last asked for.
        faults: what it heard that an ordinary session must not hear, since they were last asked for.
        histories: payloads of all outputs, of each session that it has had.
    """

    def __init__(self, port: int, first_due: float) -> None:
        self.port = port
        self.latencies_ms: list[float] = []
        self.faults: list[str] = []
        self.histories: list[bytearray] = []
        self.begin(first_due)

    def begin(self, first_due: float) -> None:
        """Open a session whose first frame is due then."""
        self.wire = Wire(self.port)
        self.wire.say(m.Open(1, "net"))
        self.wire.answer()
        self.wire.plug.setblocking(False)
        self.first_due = first_due
        self.n_sent = 0
        self.histories.append(bytearray())

    @property
    def due(self) -> float:
        """When its next frame is due."""
        return self.first_due + self.n_sent * PERIOD_S

    def send(self) -> None:
        """Send the next frame; one that the socket has no room for is never answered, and its session given up."""
        payload = XS[self.n_sent % N_INPUTS].tobytes()
        with suppress(OSError):
            self.wire.plug.send(masked(CODEC.encode(m.Frame(1, self.n_sent, payload))))
        self.n_sent += 1

    def receive(self) -> None:
        """Take the outputs that have come."""
        try:
            for opcode, payload in self.wire.read_some():
                self._take(opcode, payload)
        except ConnectionError as fault:
            self.faults.append(str(fault))
            self.wire.plug.close()
            self.begin(time.perf_counter() + PERIOD_S)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.wire.plug.send(masked(payload, 0x80 | PONG))
            return
        if opcode == CLOSE:
            raise ConnectionError(f"close {int.from_bytes(payload[:2], 'big')}")
        message = CODEC.decode_server(payload, False)
        now = time.perf_counter()
        if not isinstance(message, m.Output):
            raise ConnectionError(word_of(message))
        for seq in range(message.seq, message.seq + message.n):
            self.latencies_ms.append((now - self.first_due - seq * PERIOD_S) * 1e3)
        self.histories[-1] += message.payload

    def is_exact(self) -> bool:
        """Whether every output is the one of the offline run."""
        engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
        engine.add_model("net", make_net())
        for history in self.histories:
            got = np.frombuffer(bytes(history), "<f4").reshape(-1, OUTPUT_SIZE)
            session = engine.open("net")
            if len(got) and not np.array_equal(got, session.run(np.resize(XS, (len(got), NET.input_size)))):
                return False
            session.close()
        return True


def figures_of(watched: list[Watched]) -> dict[str, Any]:
    """Latencies since the last call, ms, and what went wrong."""
    found = [latency for one in watched for latency in one.latencies_ms]
    faults = [fault for one in watched for fault in one.faults]
    for one in watched:
        one.latencies_ms, one.faults = [], []
    p50, p99 = np.percentile(found, [50, 99]) if found else (0.0, 0.0)
    return {"n": len(found), "p50_ms": float(p50), "p99_ms": float(p99), "faults": faults}


def watch(watched: list[Watched]) -> None:
    """Send and receive until the input ends."""
    while True:
        wait_s = max(0.0, min(one.due for one in watched) - time.perf_counter())
        by_plug = {one.wire.plug: one for one in watched}
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
    n_outputs = sum(len(history) for one in watched for history in one.histories) // (4 * OUTPUT_SIZE)
    print(json.dumps({"n": n_outputs, "is_exact": all(one.is_exact() for one in watched)}), flush=True)


if __name__ == "__main__":
    main()
