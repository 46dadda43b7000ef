"""Real processes, really killed: `python -m benchmarks.chaos`, or `make chaos`.

64 sessions stream over eight connections of the Python client, while

- `sqlite`: the one server is killed with SIGKILL again and again, and started anew over the same file;
- `valkey`: of two servers over one Valkey or Redis server one is killed, and its clients move to the other;
- `rolling`: both are stopped in order with SIGTERM, one after the other, and started anew.

At the end every output is compared with those of an uninterrupted run, bit for bit. The times of frames, from when
they were due until their outputs, are shown; nothing is asserted of them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import streamrnn_client

import streamrnn
from benchmarks import report
from benchmarks.nets import Net, make_model

NET = Net("lstm", 40, 64)
OUTPUT_SIZE = 8
READY_S = 60.0
SETTLE_S = 120.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        port: int = plug.getsockname()[1]
        return port


class Server:
    """One `streamrnn serve` on a port of its own, started and stopped over and over."""

    def __init__(self, model: Path, log: Path, *options: str) -> None:
        self.port = free_port()
        self._log = log
        self._command = [
            sys.executable,
            "-m",
            "streamrnn",
            "serve",
            "--model",
            f"net={model}",
            "--port",
            str(self.port),
        ]
        self._command += ["--checkpoint-ms", "100", "--drain-ms", "1000", "--log-level", "warning", *options]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"ws://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        end_s = time.monotonic() + READY_S
        while not await asyncio.to_thread(self._is_ready):
            if self._process.poll() is not None or time.monotonic() > end_s:
                raise RuntimeError(f"the server did not start: {self._log.read_text()[-2000:]}")
            await asyncio.sleep(0.05)

    async def end(self, number: signal.Signals) -> None:
        """Send it a signal, and wait until it is gone."""
        assert self._process is not None
        self._process.send_signal(number)
        await asyncio.to_thread(self._process.wait)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2/health/ready", timeout=1.0) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False


@contextlib.contextmanager
def valkey_server(folder: Path) -> Iterator[str]:
    """Run a Valkey or Redis server of our own; its URL."""
    binary = shutil.which("valkey-server") or shutil.which("redis-server")
    if binary is None:
        raise SystemExit("expected valkey-server or redis-server on PATH; on Debian: apt-get install redis-server")
    plug = folder / "valkey.sock"
    arguments = ["--port", "0", "--unixsocket", str(plug), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen([binary, *arguments], stdout=subprocess.DEVNULL)
    try:
        while not plug.exists():
            time.sleep(0.02)
        yield f"unix://{plug}"
    finally:
        process.terminate()
        process.wait(10)


@dataclass
class Course:
    """What one session has sent and heard."""

    frames: list[Any] = field(default_factory=list)
    due_s: list[float] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    late: list[tuple[float, float]] = field(default_factory=list)
    """When each output came, and how long after its frame was due, s."""


class Fleet:
    """Clients with their sessions, each sending frames at a steady rate until it is told to stop."""

    def __init__(self, urls: Sequence[str], n_connections: int, n_sessions: int, rate_hz: float, seed: int) -> None:
        self._urls = urls
        self._n_connections = n_connections
        self._rate_hz = rate_hz
        self._random = np.random.default_rng(seed)
        self._is_over = asyncio.Event()
        self.courses = [Course() for _ in range(n_sessions)]
        self.clients: list[streamrnn_client.Client] = []

    async def run(self) -> None:
        """Stream until `stop`, and then until every frame is answered."""
        async with contextlib.AsyncExitStack() as stack:
            for i in range(self._n_connections):
                urls = [*self._urls[i % len(self._urls) :], *self._urls[: i % len(self._urls)]]
                client = await stack.enter_async_context(
                    streamrnn_client.connect(urls, reconnect_timeout_s=SETTLE_S, step_timeout_s=SETTLE_S)
                )
                self.clients.append(client)
            async with asyncio.TaskGroup() as group:
                for i, course in enumerate(self.courses):
                    group.create_task(self._stream(self.clients[i % self._n_connections], course))

    def stop(self) -> None:
        """Send no more frames."""
        self._is_over.set()

    async def _stream(self, client: streamrnn_client.Client, course: Course) -> None:
        session = await client.open("net", window=64)
        async for output in session.stream(self._frames(course)):
            now_s = time.monotonic()
            course.seqs.append(output.seq)
            course.outputs.append(output.y)
            course.late.append((now_s, now_s - course.due_s[output.seq]))
        await session.close()

    async def _frames(self, course: Course) -> AsyncIterator[Any]:
        period_s = 1 / self._rate_hz
        due_s = time.monotonic() + self._random.uniform(0, period_s)
        while not self._is_over.is_set():
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            x = self._random.normal(size=NET.input_size).astype(np.float32)
            course.frames.append(x)
            course.due_s.append(due_s)
            yield x
            due_s += period_s


@dataclass
class Outcome:
    """What came of one scenario."""

    name: str
    n_blows: int
    n_frames: int
    n_lost: int
    n_doubled: int
    n_different: int
    n_reconnects: int
    n_replayed: int
    calm_ms: tuple[float, float]
    blow_ms: tuple[float, float]

    @property
    def is_clean(self) -> bool:
        """Nothing was lost, doubled or different."""
        return not (self.n_lost or self.n_doubled or self.n_different)


def judge(name: str, fleet: Fleet, model: streamrnn.Model, blows: Sequence[tuple[float, float]]) -> Outcome:
    """Compare every session with an uninterrupted run. `blows` are spans of time in which a server was away."""
    n_lost = n_doubled = n_different = 0
    calm: list[float] = []
    hit: list[float] = []
    for course in fleet.courses:
        engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
        engine.add_model("net", model)
        expected = engine.open("net").run(np.array(course.frames, np.float32).reshape(-1, NET.input_size))
        n_lost += len(set(range(len(expected))) - set(course.seqs))
        n_doubled += len(course.seqs) - len(set(course.seqs))
        pairs = zip(course.seqs, course.outputs, strict=True)
        n_different += sum(not np.array_equal(y, expected[seq]) for seq, y in pairs)
        for came_s, late_s in course.late:
            due_s = came_s - late_s
            (hit if any(due_s < end and came_s > begin for begin, end in blows) else calm).append(late_s * 1e3)
    return Outcome(
        name,
        len(blows),
        sum(len(course.frames) for course in fleet.courses),
        n_lost,
        n_doubled,
        n_different,
        sum(client.n_reconnects for client in fleet.clients),
        sum(client.n_replayed_frames for client in fleet.clients),
        _quantiles(calm),
        _quantiles(hit),
    )


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    return tuple(float(q) for q in np.quantile(values or [0.0], (0.5, 0.99)))  # type: ignore[return-value]


async def play(
    name: str, servers: Sequence[Server], model: streamrnn.Model, arguments: argparse.Namespace, n_blows: int
) -> Outcome:
    """Start the servers, let the fleet stream, strike, and judge."""
    chance = random.Random(arguments.seed)
    for server in servers:
        await server.start()
    fleet = Fleet([s.url for s in servers], arguments.connections, arguments.sessions, arguments.rate, arguments.seed)
    streaming = asyncio.create_task(fleet.run())
    blows: list[tuple[float, float]] = []
    number = signal.SIGTERM if name == "rolling" else signal.SIGKILL
    try:
        await asyncio.sleep(2.0)
        for i in range(n_blows):
            await asyncio.sleep(chance.uniform(0.2, 1.2) if number is signal.SIGKILL else 2.0)
            server = servers[i % len(servers)] if number is signal.SIGTERM else chance.choice(servers)
            begin_s = time.monotonic()
            await server.end(number)
            await server.start()
            blows.append((begin_s, time.monotonic()))
            print(f"\r{name}: {i + 1} of {n_blows}", end="", flush=True)
            if streaming.done():
                break
        await asyncio.sleep(1.0)
        fleet.stop()
        await asyncio.wait_for(streaming, SETTLE_S)
    finally:
        print()
        streaming.cancel()
        for server in servers:
            await server.end(signal.SIGTERM)
    return judge(name, fleet, model, blows)


async def scenario(name: str, folder: Path, arguments: argparse.Namespace) -> Outcome:
    """Run one of the three."""
    model = make_model(NET, OUTPUT_SIZE)
    path, log = folder / "net.safetensors", folder / "servers.log"
    model.save(path)
    if name == "sqlite":
        return await play(
            name, [Server(path, log, "--state", str(folder / "state"))], model, arguments, arguments.kills
        )
    with valkey_server(folder) as url:
        servers = [Server(path, log, "--store", url) for _ in range(2)]
        n_blows = arguments.kills if name == "valkey" else arguments.restarts
        return await play(name, servers, model, arguments, n_blows)


def main() -> None:
    """Play every scenario, show and write what came of it; the exit status is 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", help="sqlite, valkey, rolling (default: all)")
    parser.add_argument("--kills", type=int, default=50, help="kills in each of the first two (default 50)")
    parser.add_argument("--restarts", type=int, default=6, help="restarts in order (default 6)")
    parser.add_argument("--sessions", type=int, default=64, help="sessions in all (default 64)")
    parser.add_argument("--connections", type=int, default=8, help="connections in all (default 8)")
    parser.add_argument("--rate", type=float, default=25.0, help="frames a second of each session (default 25)")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)), help="of frames and blows")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    outcomes = []
    for name in arguments.scenarios or ("sqlite", "valkey", "rolling"):
        with tempfile.TemporaryDirectory() as folder:
            outcomes.append(asyncio.run(scenario(name, Path(folder), arguments)))
    rows = [
        [
            outcome.name,
            *(str(n) for n in (outcome.n_blows, outcome.n_frames, outcome.n_lost, outcome.n_doubled)),
            *(str(n) for n in (outcome.n_different, outcome.n_reconnects, outcome.n_replayed)),
            *("{:.1f} / {:.1f}".format(*times) for times in (outcome.calm_ms, outcome.blow_ms)),
        ]
        for outcome in outcomes
    ]
    columns = ["", "blows", "frames", "lost", "doubled", "different", "reconnects", "sent again"]
    columns += ["calm, median / p99 ms", "server away, median / p99 ms"]
    report.show(report.Table(f"{arguments.sessions} sessions while servers die", columns, rows))
    report.write("chaos", {"seed": arguments.seed, "outcomes": [vars(outcome) for outcome in outcomes]})
    sys.exit(not all(outcome.is_clean for outcome in outcomes))


if __name__ == "__main__":
    main()
