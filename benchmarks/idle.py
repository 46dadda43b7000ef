"""What thousands of silent connections weigh and cost: `python -m benchmarks.idle --connections 10000`.

The server runs in a process of its own. This one holds the connections on raw sockets, answers pings, and says nothing
else. Told are resident bytes of the server for each connection, its CPU over some ping intervals, and what a session
opened on each adds.
"""

from __future__ import annotations

import argparse
import os
import resource
import select
import socket
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.serving import cpu_ns, make_net, served
from streamrnn.limits import Limits
from streamrnn.wire import messages as m
from streamrnn.wire.codec import MSGPACK, Codec

HEAD = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: streamrnn.v1.msgpack\r\n\r\n"
)
PING = b"\x89\x00"
PONG = b"\x8a\x80\x00\x00\x00\x00"
AIM_BYTES = 24 * 1024
AIM_CPU = 0.05
AT_ONCE = 200
"""Handshakes under way at a time, fewer than a listening socket lets wait."""
SPARE_FILES = 256
DAY_MS = 86_400_000


def serve(n_connections: int, ping_interval_ms: int) -> None:
    """Serve the net until stopped, with room for a session on every connection."""
    import logging

    from streamrnn.server.app import Server
    from streamrnn.server.running import run

    raise_file_limit(n_connections + SPARE_FILES)
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    limits = Limits(
        max_sessions=n_connections,
        max_connections=n_connections + 1,
        ping_interval_ms=ping_interval_ms,
        ping_timeout_ms=ping_interval_ms,
        park_ms=DAY_MS,
        drain_ms=200,
    )
    sys.exit(run(Server({"net": make_net()}, port=0, limits=limits)))


def raise_file_limit(n_files: int) -> None:
    """Let this process have that many files open.

    Raises:
        SystemExit: the system does not let it.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < n_files:
        raise SystemExit(f"expected a hard limit of at least {n_files} open files (ulimit -Hn), got {most}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, most))


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Crowd:
    """Many websockets that answer pings.

    Attributes:
        n_pings: those that came.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._plugs: dict[int, socket.socket] = {}
        self._poll = select.epoll()
        self.n_pings = 0

    def connect(self, n_connections: int) -> None:
        """Open websockets, and answer the pings of those that are open meanwhile."""
        for begin in range(0, n_connections, AT_ONCE):
            plugs = [
                socket.create_connection(("127.0.0.1", self._port)) for _ in range(min(AT_ONCE, n_connections - begin))
            ]
            for plug in plugs:
                plug.sendall(HEAD)
            for plug in plugs:
                answer = b""
                while b"\r\n\r\n" not in answer:
                    answer += plug.recv(4096)
                assert b" 101 " in answer, answer
                plug.setblocking(False)
                self._plugs[plug.fileno()] = plug
                self._poll.register(plug, select.EPOLLIN)
            self.hold(0)

    def hold(self, seconds: float) -> None:
        """Answer pings for a while.

        Raises:
            RuntimeError: a connection has ended.
        """
        ends = time.monotonic() + seconds
        while True:
            left_s = max(0.0, ends - time.monotonic())
            for number, _ in self._poll.poll(left_s):
                heard = self._plugs[number].recv(4096)
                if not heard:
                    raise RuntimeError("a connection has ended")
                n_pings = heard.count(PING)
                if n_pings:
                    self._plugs[number].sendall(PONG * n_pings)
                    self.n_pings += n_pings
            if left_s == 0:
                return

    def say(self, message: bytes) -> None:
        """Send a short binary message on every connection; its answers are passed over by `hold`."""
        framed = bytes([0x82, 0x80 | len(message)]) + bytes(4) + message
        for i, plug in enumerate(self._plugs.values()):
            plug.sendall(framed)
            if i % AT_ONCE == AT_ONCE - 1:
                self.hold(0.05)

    def close(self) -> None:
        """End all."""
        for plug in self._plugs.values():
            plug.close()
        self._poll.close()


def measure(n_connections: int, ping_interval_ms: int, n_intervals: int) -> dict[str, Any]:
    """Hold a crowd, and look at the server."""
    raise_file_limit(n_connections + SPARE_FILES)
    arguments = ("--serve", "--connections", str(n_connections), "--ping-interval-ms", str(ping_interval_ms))
    with served(0, "benchmarks.idle", *arguments) as (port, pid):
        crowd = Crowd(port)
        crowd.connect(1)  # what is made once is not counted
        crowd.hold(0.5)
        empty_bytes = resident_bytes(pid)
        begin = time.monotonic()
        crowd.connect(n_connections - 1)
        connect_s = time.monotonic() - begin
        crowd.hold(0.5)
        idle_bytes = resident_bytes(pid)
        crowd.hold(ping_interval_ms / 1000)  # so that every connection has been pinged, and answered
        pinged_bytes = resident_bytes(pid)
        crowd.n_pings, begin_ns, begin = 0, cpu_ns(pid), time.monotonic()
        crowd.hold(n_intervals * ping_interval_ms / 1000)
        cpu = (cpu_ns(pid) - begin_ns) / 1e9 / (time.monotonic() - begin)
        n_pings, before_bytes = crowd.n_pings, resident_bytes(pid)
        crowd.say(Codec(MSGPACK, Limits()).encode(m.Open(1, "net", window=64)))
        crowd.hold(2.0)
        session_bytes = resident_bytes(pid)
        crowd.close()
    n = n_connections - 1
    return {
        "n_connections": n_connections,
        "ping_interval_ms": ping_interval_ms,
        "connections_per_s": n / connect_s,
        "connection_bytes": (idle_bytes - empty_bytes) / n,
        "pinged_connection_bytes": (pinged_bytes - empty_bytes) / n,
        "session_bytes": (session_bytes - before_bytes) / n,
        "n_pings": n_pings,
        "cpu_share": cpu,
    }


def main() -> None:
    """Measure; print the table and write `results/idle.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--ping-interval-ms", type=int, default=Limits().ping_interval_ms)
    parser.add_argument("--intervals", type=int, default=2, help="ping intervals over which the CPU is measured")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.connections, chosen.ping_interval_ms)
    figures = measure(chosen.connections, chosen.ping_interval_ms, chosen.intervals)
    rows = [
        ["resident bytes a connection", f"{figures['connection_bytes']:.0f}", f"{AIM_BYTES}"],
        ["the same, once pinged", f"{figures['pinged_connection_bytes']:.0f}", f"{AIM_BYTES}"],
        ["more with a session on it", f"{figures['session_bytes']:.0f}", ""],
        ["CPU of the server, of a core", f"{figures['cpu_share']:.2%}", f"{AIM_CPU:.0%}"],
        ["pings answered meanwhile", f"{figures['n_pings']}", ""],
        ["handshakes a second", f"{figures['connections_per_s']:.0f}", ""],
    ]
    title = f"{chosen.connections} silent connections, pinged every {chosen.ping_interval_ms / 1000:g} s"
    report.show(report.Table(title, ["what", "measured", "aim"], rows))
    print("written:", report.write("idle", figures).name)


if __name__ == "__main__":
    main()
