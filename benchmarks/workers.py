"""Several workers on one port: `python -m benchmarks.workers`.

- `throughput`: frames a second of `serve --workers 1` and `--workers 2`, one frame under way on each of 32 connections,
  rounds of both in turn. Servers and generator share the machine's cores, so the CPU time of each is shown.
- `kill`: 64 sessions stream at a steady rate over 16 connections of the Python client; amid it one of two workers is
  killed with SIGKILL. Latencies, from when a frame was due, of the sessions at the other worker: before, in the seconds
  in which the killed one is started again, and after. Every output is compared with an uninterrupted run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import streamrnn_client

import streamrnn
from benchmarks import chaos, report, serving
from benchmarks.chaos import Fleet, free_port, judge
from benchmarks.nets import make_model
from benchmarks.serving import Socket, cpu_ns
from streamrnn.commands.loop import run_punctually

N_CONNECTIONS = 32
WARM_S = 1.0


class Workers(chaos.Server):
    """`streamrnn serve --workers N` over a folder of its own; of one worker it is the server without a supervisor."""

    def __init__(self, model: Path, folder: Path, n_workers: int) -> None:
        self.n_workers = n_workers
        self.admin = free_port()
        folder.mkdir()
        several = ["--workers", str(n_workers), "--admin-port", str(self.admin)] if n_workers > 1 else []
        super().__init__(model, folder / "log", "--state", str(folder / "state"), "--max-sessions", "256", *several)

    @property
    def pids(self) -> list[int]:
        """Of the processes that serve, by worker."""
        assert self._process is not None
        if self.n_workers == 1:
            return [self._process.pid]
        own = self._process.pid
        children = Path(f"/proc/{own}/task").glob("*/children")
        return sorted({int(pid) for path in children for pid in path.read_text().split()}, key=_worker_of)

    @property
    def supervisor_pid(self) -> int | None:
        """Of the supervisor, where there is one."""
        assert self._process is not None
        return self._process.pid if self.n_workers > 1 else None

    def counted(self, name: str) -> list[float]:
        """A metric of each worker, in order."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._page_port}/metrics", timeout=5) as answer:
            page = answer.read().decode()
        return [float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE)]

    @property
    def _page_port(self) -> int:
        return self.admin if self.n_workers > 1 else self.port

    def _is_ready(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self._page_port}/v2/health/ready"
            with urllib.request.urlopen(url, timeout=1.0) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def _worker_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[-2].decode()


class Plug(Socket):
    """A websocket to a server that saves: acknowledgements come between the outputs, and are passed over."""

    def __init__(self, port: int) -> None:
        super().__init__(port, serving.reply_size())
        self._rest = b""

    def receive(self) -> None:
        """Take one output."""
        while True:
            start = 0
            while (end := _end_of_message(self._rest, start)) is not None:
                n_payload, start = end[0], end[1]
                if n_payload == self.reply_bytes:
                    self._rest = self._rest[start:]
                    return
            self._rest = self._rest[start:] + self.plug.recv(4096)


def _end_of_message(received: bytes, start: int) -> tuple[int, int] | None:
    """Size of the payload and end of the server's message that begins there, if it is whole."""
    if len(received) < start + 4:
        return None
    size, body = received[start + 1], start + 2
    if size == 126:
        size, body = int.from_bytes(received[body : body + 2], "big"), body + 2
    return (size, body + size) if len(received) >= body + size else None


class Shares:
    """CPU time that the parties of a run take, each as a share of one core."""

    def __init__(self, server: Workers) -> None:
        self._parties = {f"worker {number}": pid for number, pid in enumerate(server.pids)}
        if server.supervisor_pid is not None:
            self._parties["supervisor"] = server.supervisor_pid
        self._parties["generator"] = os.getpid()
        self._began = self._now()

    def _now(self) -> dict[str, int]:
        return {"": time.monotonic_ns()} | {party: cpu_ns(pid) for party, pid in self._parties.items()}

    def end(self) -> dict[str, float]:
        """Since the start."""
        passed = {party: ns - self._began[party] for party, ns in self._now().items()}
        whole = passed.pop("")
        return {party: ns / whole for party, ns in passed.items()}


async def throughput(model: Path, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Rounds of one and of two workers in turn; frames a second, CPU of each party, connections of each worker."""
    servers = [Workers(model, folder / f"workers-{n}", n) for n in (1, 2)]
    rates: dict[int, list[float]] = {1: [], 2: []}
    shares: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    spread: dict[int, list[list[float]]] = {1: [], 2: []}
    async with AsyncExitStack() as stack:
        for server in servers:
            await server.start()
            stack.push_async_callback(server.end, signal.SIGTERM)
            await check(server.url)
        for _ in range(arguments.rounds):
            for server in servers:
                plugs = [Plug(server.port) for _ in range(N_CONNECTIONS)]
                for plug in plugs:
                    serving.open_session(plug)
                serving.round_of(plugs, arguments.frames // 10)  # connections are warm
                taken = Shares(server)
                rates[server.n_workers].append(1e6 / serving.round_of(plugs, arguments.frames))
                shares[server.n_workers].append(taken.end())
                spread[server.n_workers].append(server.counted("streamrnn_connections"))
                for plug in plugs:
                    plug.plug.close()
    return {
        str(n): {
            "frames_per_s": report.spread(rates[n]),
            "cores": {party: statistics.median(share[party] for share in shares[n]) for party in shares[n][0]},
            "connections": spread[n],
        }
        for n in rates
    } | {"ratio": statistics.median(b / a for a, b in zip(rates[1], rates[2], strict=True))}


async def check(url: str) -> None:
    """Compare 200 served frames with the offline run, bit for bit."""
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
    engine.add_model("net", serving.make_net())
    xs = np.random.default_rng(2).normal(size=(200, serving.NET.input_size)).astype(np.float32)
    async with streamrnn_client.connect(url) as client:
        session = await client.open("net")
        got = [output.y async for output in session.stream(xs)]
    np.testing.assert_array_equal(np.array(got), engine.open("net").run(xs))


async def kill(path: Path, model: streamrnn.Model, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Kill the worker with fewer connections amid steady traffic; see what the sessions of the other feel."""
    server = Workers(path, folder / "kill", 2)
    await server.start()
    fleet = Fleet([server.url], arguments.connections, arguments.sessions, arguments.rate, arguments.seed)
    streaming = asyncio.create_task(fleet.run())
    try:
        await asyncio.sleep(WARM_S)
        taken = Shares(server)
        await asyncio.sleep(arguments.span)
        cores = taken.end()
        connections = await asyncio.to_thread(server.counted, "streamrnn_connections")
        if not all(connections):
            raise SystemExit(f"the kernel gave all connections to one worker, {connections}: run it again")
        victim = connections.index(min(connections))
        killed_s = time.monotonic()
        os.kill(server.pids[victim], signal.SIGKILL)
        await asyncio.sleep(0.1)
        while not await asyncio.to_thread(server._is_ready):
            await asyncio.sleep(0.05)
        whole_s = time.monotonic()
        await asyncio.sleep(arguments.span)
        ended_s = time.monotonic()
        resumed = await asyncio.to_thread(server.counted, "streamrnn_resumed_total")
        fleet.stop()
        await asyncio.wait_for(streaming, chaos.SETTLE_S)
    finally:
        streaming.cancel()
        await server.end(signal.SIGTERM)
    outcome = judge("kill", fleet, model, [(killed_s, whole_s)])
    spans = {
        "before": (killed_s - arguments.span, killed_s),
        "restart": (killed_s, whole_s),
        "after": (whole_s, ended_s),
    }
    stayed, moved = courses_by_fate(fleet)
    figures = {name: latencies(stayed, span) for name, span in spans.items()}
    return {
        "connections": connections,
        "victim": victim,
        "cores_before": cores,
        "restart_s": whole_s - killed_s,
        "n_sessions": len(fleet.courses),
        "n_moved_sessions": len(moved),
        "n_resumed": sum(resumed),
        "n_frames": outcome.n_frames,
        "n_lost": outcome.n_lost,
        "n_doubled": outcome.n_doubled,
        "n_different": outcome.n_different,
        "stayed_ms": figures,
        "moved_ms": {name: latencies(moved, span) for name, span in spans.items()},
        "p99_ratio": {name: figures[name]["p99"] / figures["before"]["p99"] for name in ("restart", "after")},
    }


def courses_by_fate(fleet: Fleet) -> tuple[list[chaos.Course], list[chaos.Course]]:
    """Those whose connection stayed, and those whose connection was made anew."""
    stayed: list[chaos.Course] = []
    moved: list[chaos.Course] = []
    for i, course in enumerate(fleet.courses):
        (moved if fleet.clients[i % len(fleet.clients)].n_reconnects else stayed).append(course)
    return stayed, moved


def latencies(courses: Sequence[chaos.Course], span: tuple[float, float]) -> dict[str, float]:
    """Of the frames that were due in a span, from then until their outputs, ms."""
    found = [
        late_s * 1e3 for course in courses for came_s, late_s in course.late if span[0] <= came_s - late_s < span[1]
    ]
    p50, p99, most = np.quantile(found or [0.0], (0.5, 0.99, 1.0))
    return {"n": len(found), "p50": float(p50), "p99": float(p99), "max": float(most)}


def show(figures: dict[str, Any]) -> None:
    """Print both as tables."""
    if speed := figures.get("throughput"):
        rows = [
            [n, f"{speed[n]['frames_per_s']['median']:,.0f}"]
            + [
                f"{speed[n]['cores'].get(party, 0):.2f}"
                for party in ("worker 0", "worker 1", "supervisor", "generator")
            ]
            for n in ("1", "2")
        ]
        columns = ["workers", "frames/s", "worker 0, cores", "worker 1", "supervisor", "generator"]
        title = f"{N_CONNECTIONS} connections, one frame under way on each; two workers to one: {speed['ratio']:.2f}"
        report.show(report.Table(title, columns, rows))
    if blow := figures.get("kill"):
        rows = [
            [f"{whose}, {when}", *(f"{span[key]:,.2f}" for key in ("n", "p50", "p99", "max"))]
            for whose, spans in (("at the other worker", blow["stayed_ms"]), ("at the killed one", blow["moved_ms"]))
            for when, span in spans.items()
        ]
        title = (
            f"kill -9 of one of two workers: {blow['n_moved_sessions']} of {blow['n_sessions']} sessions moved, "
            f"{blow['n_resumed']:.0f} resumed; of {blow['n_frames']} frames {blow['n_lost']} lost, "
            f"{blow['n_doubled']} doubled, {blow['n_different']} different\n"
            f"p99 of the others x {blow['p99_ratio']['restart']:.2f} while it is started again "
            f"({blow['restart_s']:.1f} s), x {blow['p99_ratio']['after']:.2f} after; cores before: "
            + ", ".join(f"{party} {share:.2f}" for party, share in blow["cores_before"].items())
        )
        report.show(report.Table(title, ["sessions", "frames", "median ms", "p99 ms", "max ms"], rows))


def main() -> None:
    """Measure, show and write; the exit status is 1 if a frame was lost, doubled or different."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="throughput, kill (default: both)")
    parser.add_argument("--rounds", type=int, default=5, help="of each server (default 5)")
    parser.add_argument("--frames", type=int, default=100_000, help="in a round (default 100000)")
    parser.add_argument("--sessions", type=int, default=64, help="while one is killed (default 64)")
    parser.add_argument("--connections", type=int, default=16, help="the same (default 16)")
    parser.add_argument("--rate", type=float, default=25.0, help="frames a second of each session (default 25)")
    parser.add_argument("--span", type=float, default=10.0, help="seconds before and after the kill (default 10)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    parts = arguments.parts or ["throughput", "kill"]
    figures: dict[str, Any] = {"seed": arguments.seed}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "net.safetensors"
        if "throughput" in parts:
            serving.make_net().save(path)
            figures["throughput"] = asyncio.run(throughput(path, folder, arguments))
        if "kill" in parts:
            model = make_model(chaos.NET, chaos.OUTPUT_SIZE)
            model.save(path)
            figures["kill"] = run_punctually(kill(path, model, folder, arguments))
    show(figures)
    report.write("workers", figures)
    blow = figures.get("kill", {})
    sys.exit(bool(blow.get("n_lost") or blow.get("n_doubled") or blow.get("n_different")))


if __name__ == "__main__":
    main()
