"""The server that is attacked, in a process of its own; a heartbeat in its loop tells how long the loop stood still.

Run as `python -m benchmarks.attack.server`. Prints one line of JSON when it is ready, and one more for each line that
it reads: the figures since the line before. Ends at the end of its input.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvloop

import streamrnn
from benchmarks.serving import make_net
from streamrnn import bundled
from streamrnn.limits import Limits
from streamrnn.model.model import Model
from streamrnn.server.app import Server

BEAT_S = 0.001
KIB = 1024
LIMITS = Limits(
    handshake_timeout_ms=1000,
    ping_interval_ms=1000,
    ping_timeout_ms=1000,
    max_connections=256,
    expire_ms=1000,
    drain_ms=200,
)
"""Short times and few connections, so that each bound is reached within seconds; sizes are the defaults."""


def models() -> Mapping[str, Model]:
    """What is served: `net`, which the watcher uses too, and `char`, which draws tokens."""
    return {"net": make_net(), "char": streamrnn.load_model(bundled.path("char_lm"))}


def memory_kib(field: str) -> int:
    """A figure of this process's memory, such as `VmRSS` or `VmHWM` (the peak), KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


class CountLines(logging.Handler):
    """Counts what is logged, in place of writing it."""

    n_lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count one line."""
        self.n_lines += 1


class Heartbeat:
    """Wakes every millisecond, and keeps by how much it was late.

    Attributes:
        stall_ms: largest lateness since `start`.
        busy_ms: most CPU time of the loop's thread between two beats: what of a stall is the server's own, where the
            machine has other work.
        n_late: beats that were more than 10 ms late.
    """

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin anew, with the peak of memory too."""
        self.stall_ms, self.busy_ms, self.n_late = 0.0, 0.0, 0
        Path("/proc/self/clear_refs").write_text("5")

    async def beat(self) -> None:
        """Beat until cancelled."""
        while True:
            begin, begin_cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(BEAT_S)
            late_ms = (time.perf_counter() - begin - BEAT_S) * 1e3
            self.stall_ms = max(self.stall_ms, late_ms)
            self.busy_ms = max(self.busy_ms, (time.thread_time() - begin_cpu) * 1e3)
            self.n_late += late_ms > 10


async def serve() -> None:
    """Serve until the input ends."""
    lines = CountLines()
    logging.getLogger().addHandler(lines)
    server = Server(models(), port=0, limits=LIMITS)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with server:
        heart = Heartbeat()
        beating = loop.create_task(heart.beat())
        say({"port": server.port, "limits": dataclasses.asdict(LIMITS)})
        while await reader.readline():
            figures: dict[str, Any] = {"stall_ms": heart.stall_ms, "busy_ms": heart.busy_ms, "n_late": heart.n_late}
            figures |= {"rss_kib": memory_kib("VmRSS"), "peak_kib": memory_kib("VmHWM")}
            figures |= {
                "n_log_lines": lines.n_lines,
                "n_connections": len(server.connections),
                "n_pending": server.hub.n_pending,
            }
            say(figures)
            heart.start()
            lines.n_lines = 0
        beating.cancel()


def say(figures: Mapping[str, Any]) -> None:
    """Print one line of JSON."""
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
