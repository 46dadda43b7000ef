"""A real server that cuts connections: outputs are those of an engine that was never disturbed, bit for bit."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import numpy as np

from tests.client.conftest import LocalServer
from tests.client.shells import Shell
from tests.client.test_sessions import WANT, XS, N

SEED = 3
QUICK: dict[str, Any] = {"reconnect_first_s": 0.01, "reconnect_max_s": 0.05}


async def test_a_stream_over_many_cuts_is_bit_equal(shell: Shell, own_server: LocalServer) -> None:
    print("seed", SEED)
    chance = random.Random(SEED)
    cuts = set(chance.sample(range(N), 12))
    async with shell.connect(own_server.url, **QUICK) as client:
        session = await client.open("gru")
        got: list[Any] = []
        async for output in session.stream(XS, window=16):
            got.append(output)
            if output.seq in cuts:
                own_server.cut()
        assert [output.seq for output in got] == list(range(N))
        assert np.array_equal(np.stack([output.y for output in got]), WANT["gru"])
        assert client.n_reconnects > 0


async def test_many_sessions_over_cuts_with_resets_and_rollbacks(own_server: LocalServer) -> None:
    import streamrnn_client

    async def run(client: Any) -> None:
        session = await client.open("vad")
        for x, want in zip(XS[:50], WANT["vad"], strict=False):
            assert np.array_equal(await session.step(x), want)
        snapshot = await session.snapshot()
        for x, want in zip(XS[50:70], WANT["vad"][50:], strict=False):
            assert np.array_equal(await session.step(x), want)
        await session.rollback(snapshot)
        assert session.next_seq == 50
        for x, want in zip(XS[50:90], WANT["vad"][50:], strict=False):
            assert np.array_equal(await session.step(x), want)
        await session.reset()
        for x, want in zip(XS[:40], WANT["vad"], strict=False):
            assert np.array_equal(await session.step(x), want)
        await session.close()

    async with streamrnn_client.connect(own_server.url, **QUICK) as client:
        runs = asyncio.gather(*(run(client) for _ in range(8)))
        while not runs.done():
            await asyncio.sleep(0.02)
            own_server.cut()
        await runs
        assert client.n_reconnects > 0
