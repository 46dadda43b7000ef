"""Tokens a second of the bundled character model: drawn in the engine, queued in batches, and over a websocket.

Over the websocket the server runs in a process of its own; beside it stands a client that draws for itself, which costs
a round trip a token.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable

import numpy as np
import streamrnn_client
from streamrnn_client import sync

import streamrnn
from benchmarks import report
from streamrnn import Generation, bundled
from streamrnn.commands.demonstration.server import ChildServer
from streamrnn.decode.settings import SamplerSettings

PROMPT, WINDOW = "ROMEO:", 170
SETTINGS = SamplerSettings(input="log")
SESSIONS = (1, 16, 64)


def direct(session: streamrnn.Session, n: int) -> int:
    """Draw and step n tokens in this process."""
    return len(session.generate(n, 0.8))


def queued(engine: streamrnn.Engine, sessions: list[streamrnn.Session], n: int) -> int:
    """Let several sessions generate n tokens each, in batches."""
    for seed, session in enumerate(sessions):
        engine.generate(session, Generation(n, 0.8, seed=seed))
    n_tokens = 0
    while engine.n_pending:
        n_tokens += len(engine.tick())
    return n_tokens


def served(url: str, n_sessions: int, n: int) -> int:
    """The same over one connection."""

    async def count(session: streamrnn_client.Session, seed: int) -> int:
        return len([token async for token in session.generate(n, PROMPT, temperature=0.8, seed=seed)])

    async def run() -> int:
        async with streamrnn_client.connect(url) as client:
            settings = {"kind": "sampler"}
            sessions = [await client.open("chars", decoder=settings, window=WINDOW) for _ in range(n_sessions)]
            return sum(await asyncio.gather(*(count(session, i) for i, session in enumerate(sessions))))

    return asyncio.run(run())


def stepped(url: str, n: int) -> int:
    """A client that takes the most probable token by itself."""
    with sync.connect(url) as client:
        session = client.open("chars")
        y = session.step([0.0])
        for _ in range(n):
            y = session.step([float(np.argmax(y))])
    return n


def main() -> None:
    """Measure every way; print the table and write `results/generating.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generating", description=__doc__)
    parser.add_argument("--tokens", type=int, default=1000, help="of each session")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    n = options.tokens
    model = streamrnn.load_model(bundled.path("char_lm"))
    engine = streamrnn.Engine()
    engine.add_model("chars", model)
    sessions = [engine.open("chars", decoder=SETTINGS) for _ in range(max(SESSIONS))]
    for session in sessions:
        session.run(np.array([[model.labels.index(character)] for character in PROMPT], np.float32))
    with ChildServer({"chars": bundled.path("char_lm")}) as server:
        ways: dict[str, Callable[[], int]] = {"engine, direct": lambda: direct(sessions[0], n)}
        for n_sessions in SESSIONS:
            ways[f"engine, queued, {n_sessions}"] = lambda k=n_sessions: queued(engine, sessions[:k], n)  # type: ignore[misc]
            ways[f"websocket, {n_sessions}"] = lambda k=n_sessions: served(server.url, k, n)  # type: ignore[misc]
        ways["websocket, a step a token"] = lambda: stepped(server.url, n)
        rates = {name: [_rate(way) for _ in range(options.repeats)] for name, way in ways.items()}
    figures = {name: report.spread(values) for name, values in rates.items()}
    rows = [[name, f"{spread['median']:.0f}", f"{min(rates[name]):.0f}"] for name, spread in figures.items()]
    report.show(report.Table("char_lm, all sessions together", ["way, sessions", "median tokens/s", "least"], rows))
    print("written:", report.write("generating", {"tokens_per_s": figures}).name)


def _rate(way: Callable[[], int]) -> float:
    started_s = time.perf_counter()
    return way() / (time.perf_counter() - started_s)


if __name__ == "__main__":
    main()
