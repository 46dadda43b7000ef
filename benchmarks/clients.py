"""What the Python client costs a frame, in both shells: `python -m benchmarks.clients`.

A real server in a process of its own, pinned to one core; the client has the other. Ways to send: a group's columns
(one round at a time, and four under way), `step_many`, a run in chunks, a stream in chunks, and single steps. Outputs
of the first frames are compared with the offline run; rounds of all ways alternate. CPU is the client's process alone,
its kernel time of sending and receiving included.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamrnn_client
from numpy.typing import NDArray
from streamrnn_client import sync

import streamrnn
from benchmarks import report
from benchmarks.serving import NET, OUTPUT_SIZE, make_net, served
from streamrnn.limits import Limits

CHUNK = 32
N_UNDER_WAY = 4
WAYS = ("columns", "columns, 4 under way", "step_many", "run in chunks", "stream in chunks", "single")
Floats = NDArray[np.float32]
Way = Callable[[], Any]


def frames_of(n_sessions: int) -> Floats:
    """Frames for as many sessions, (n_sessions, input_size)."""
    return np.random.default_rng(3).normal(size=(n_sessions, NET.input_size)).astype(np.float32)


def check(got: Sequence[Floats], X: Floats) -> None:
    """Compare the first outputs of every session with the offline run, bit for bit."""
    engine = streamrnn.Engine(Limits(max_sessions=1))
    engine.add_model("net", make_net())
    for i in range(0, len(X), max(1, len(X) // 4)):
        want = engine.open("net")
        xs = np.repeat(X[i : i + 1], len(got), axis=0)
        np.testing.assert_array_equal(np.array([Y[i] for Y in got]), want.run(xs))
        want.close()


# ---- blocking


def blocking_ways(client: sync.Client, n_sessions: int, n_frames: int) -> list[Way]:
    """One function a way, each of which sends about `n_frames` frames."""
    X = frames_of(n_sessions)
    n_rounds = max(1, n_frames // n_sessions)
    sessions = [client.open("net") for _ in range(n_sessions)]
    group = client.group(sessions)
    check([group.step(X) for _ in range(20)], X)
    alone = client.open("net")
    xs = np.repeat(X[:1], n_frames, axis=0)

    def under_way() -> None:
        batches: deque[Any] = deque()
        for _ in range(n_rounds):
            batches.append(group.send(X))
            if len(batches) == N_UNDER_WAY:
                batches.popleft().result()
        while batches:
            batches.popleft().result()

    return [
        lambda: [group.step(X) for _ in range(n_rounds)],
        under_way,
        lambda: [client.step_many(sessions, X) for _ in range(n_rounds)],
        lambda: alone.run(xs, chunk=CHUNK),
        lambda: deque(alone.stream(xs, chunk=CHUNK), 0),
        lambda: [alone.step(X[0]) for _ in range(n_frames // 8)],
    ]


# ---- asyncio


async def asyncio_ways(client: Any, n_sessions: int, n_frames: int) -> list[Callable[[], Awaitable[Any]]]:
    """As `blocking_ways`."""
    X = frames_of(n_sessions)
    n_rounds = max(1, n_frames // n_sessions)
    sessions = [await client.open("net") for _ in range(n_sessions)]
    group = client.group(sessions)
    check([await group.step(X) for _ in range(20)], X)
    alone = await client.open("net")
    xs = np.repeat(X[:1], n_frames, axis=0)

    async def columns() -> None:
        for _ in range(n_rounds):
            await group.step(X)

    async def under_way() -> None:
        batches: deque[Any] = deque()
        for _ in range(n_rounds):
            batches.append(group.send(X))
            if len(batches) == N_UNDER_WAY:
                await batches.popleft()
        while batches:
            await batches.popleft()

    async def step_many() -> None:
        for _ in range(n_rounds):
            await client.step_many(sessions, X)

    async def stream() -> None:
        async for _ in alone.stream(xs, chunk=CHUNK):
            pass

    async def single() -> None:
        for _ in range(n_frames // 8):
            await alone.step(X[0])

    return [columns, under_way, step_many, lambda: alone.run(xs, chunk=CHUNK), stream, single]


def in_loop(runner: asyncio.Runner, way: Callable[[], Awaitable[Any]]) -> Way:
    """A way of the asyncio shell as a plain function."""

    async def play() -> None:
        await way()

    return lambda: runner.run(play())


# ---- rounds


def timed(way: Way, n_frames: int) -> tuple[float, float]:
    """Microseconds a frame: of the client's CPU, and on the clock."""
    cpu_ns, wall_ns = time.process_time_ns(), time.perf_counter_ns()
    way()
    cpu_ns, wall_ns = time.process_time_ns() - cpu_ns, time.perf_counter_ns() - wall_ns
    return cpu_ns / n_frames / 1e3, wall_ns / n_frames / 1e3


def play_all(ways: Sequence[Way], n_rounds: int, n_sessions: int, n_frames: int) -> list[dict[str, Any]]:
    """Spread of each way, over rounds in which they take turns."""
    columnar = max(1, n_frames // n_sessions) * n_sessions
    counts = [columnar, columnar, columnar, n_frames, n_frames, n_frames // 8]
    for way in ways:
        way()
    played = [[timed(way, n) for way, n in zip(ways, counts, strict=True)] for _ in range(n_rounds)]
    return [
        {
            "way": name,
            "cpu_us": report.spread([row[i][0] for row in played]),
            "wall_us": report.spread([row[i][1] for row in played]),
        }
        for i, name in enumerate(WAYS)
    ]


def measure(n_rounds: int, n_sessions: int, n_frames: int) -> dict[str, list[dict[str, Any]]]:
    """Both shells, one after the other, against the same server."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("expected two cores: one for the server, one for the client")
    os.sched_setaffinity(0, {cores[1]})
    figures = {}
    with served(cores[0]) as (port, _):
        url = f"ws://127.0.0.1:{port}"
        with sync.connect(url) as client:
            ways = blocking_ways(client, n_sessions, n_frames)
            figures["blocking"] = play_all(ways, n_rounds, n_sessions, n_frames)
        with asyncio.Runner() as runner:
            shell: Any = runner.run(_connected(url))
            found = runner.run(asyncio_ways(shell, n_sessions, n_frames))
            ways = [in_loop(runner, way) for way in found]
            figures["asyncio"] = play_all(ways, n_rounds, n_sessions, n_frames)
            runner.run(shell.close())
    return figures


async def _connected(url: str) -> streamrnn_client.Client:
    return await streamrnn_client.connect(url)


def main() -> None:
    """Measure, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11, help="rounds of each way (default 11)")
    parser.add_argument("--sessions", type=int, default=256, help="sessions of the group (default 256)")
    parser.add_argument("--frames", type=int, default=20480, help="frames a round (default 20480)")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    figures = measure(arguments.rounds, arguments.sessions, arguments.frames)
    rows = [
        [
            f"{shell}, {figure['way']}",
            f"{figure['cpu_us']['median']:.2f}",
            "{q1:.2f} to {q3:.2f}".format(**figure["cpu_us"]),
            f"{figure['wall_us']['median']:.2f}",
        ]
        for shell, found in figures.items()
        for figure in found
    ]
    title = f"The client's cost of a frame: {arguments.sessions} sessions of {NET.name} + linear {OUTPUT_SIZE}"
    report.show(report.Table(title, ["", "client CPU us", "quartiles", "wall us"], rows))
    about = {"sessions": arguments.sessions, "chunk": CHUNK, "load_average_before": round(load, 2)}
    path = report.write("clients", {**about, "figures": figures})
    print(f"written: {path.relative_to(Path(__file__).parent.parent)}")


if __name__ == "__main__":
    main()
