"""Groups and runs against a real server, in both shells: outputs are the embedded engine's, bit for bit."""

from __future__ import annotations

import asyncio
import random
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from streamrnn_client import BatchError, FrameError, OptionError, SessionClosedError, UsageError

from tests.client.conftest import LocalServer
from tests.client.shells import AioShell, Shell
from tests.client.test_cuts import QUICK
from tests.client.test_sessions import WANT, XS, N, embedded

N_SESSIONS = 5
SEED = 11
COLUMNS: NDArray[np.float32] = np.random.default_rng(SEED).normal(size=(N_SESSIONS, N, 3)).astype(np.float32)
WANTS = np.stack([embedded("vad", xs) for xs in COLUMNS])


async def sent(shell: Shell, group: Any, X: Any) -> Any:
    """What `send` returns; in asyncio that could be awaited."""
    return group.send(X) if isinstance(shell, AioShell) else await group.send(X)


def in_step(sessions: list[Any]) -> bool:
    """They are kept as columns."""
    return all(session._ledger.lockstep is not None for session in sessions)


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
async def test_a_group_steps_as_its_sessions_would_alone(shell: Shell, server: LocalServer, encoding: str) -> None:
    forms: list[Callable[[Any], Any]] = [
        lambda X: X,
        lambda X: X.astype(np.float64),
        lambda X: X.tolist(),
        lambda X: X.tobytes(),
        lambda X: array("f", X.tobytes()),
        lambda X: memoryview(X.copy()),
        lambda X: np.asfortranarray(X),
    ]
    async with shell.connect(server.url, encoding=encoding) as client:
        sessions = [await client.open("vad") for _ in range(N_SESSIONS)]
        group = await client.group(sessions) if not isinstance(shell, AioShell) else client.group(sessions)
        for t in range(300 if encoding == "msgpack" else 20):
            Y = await group.step(forms[t % len(forms)](COLUMNS[:, t % N]))
            assert (Y.dtype, Y.shape) == (np.float32, (N_SESSIONS, 2))
            if t < N:
                assert np.array_equal(Y, WANTS[:, t])
            Y += 1  # it is the caller's
        assert in_step(sessions)
        assert {(s.next_seq, s.n_unanswered, s.durable_seq) for s in sessions} == {(t + 1, 0, -1)}


async def grouped(shell: Shell, client: Any, sessions: list[Any]) -> Any:
    """A group, in either shell."""
    return client.group(sessions) if isinstance(shell, AioShell) else await client.group(sessions)


async def test_several_batches_under_way(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client:
        sessions = [await client.open("vad") for _ in range(N_SESSIONS)]
        group = await grouped(shell, client, sessions)
        batches = [await sent(shell, group, COLUMNS[:, t]) for t in range(40)]
        for t in random.Random(SEED).sample(range(40), 40):
            assert np.array_equal(await batches[t].result(), WANTS[:, t])
            assert batches[t].done
        assert np.array_equal(await batches[0].result(), WANTS[:, 0])
        assert in_step(sessions)


async def test_sessions_of_a_group_may_be_used_alone(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client:
        sessions = [await client.open("vad") for _ in range(N_SESSIONS)]
        group = await grouped(shell, client, sessions)
        under_way = [await sent(shell, group, COLUMNS[:, t]) for t in range(4)]
        alone = await sessions[2].step(COLUMNS[2, 4])
        assert np.array_equal(alone, WANTS[2, 4])
        for t, batch in enumerate(under_way):
            assert np.array_equal(await batch.result(), WANTS[:, t])
        others = [session for session in sessions if session is not sessions[2]]
        rest = [0, 1, 3, 4]
        assert np.array_equal(await client.step_many(others, COLUMNS[rest, 4]), WANTS[rest, 4])
        snapshot = await sessions[0].snapshot()
        for t in range(5, 9):
            assert np.array_equal(await group.step(COLUMNS[:, t]), WANTS[:, t])
        await sessions[0].rollback(snapshot)
        await sessions[1].reset()
        Y = await group.step(np.stack([COLUMNS[0, 5], COLUMNS[1, 0], *COLUMNS[2:, 9]]))
        assert np.array_equal(Y, np.stack([WANTS[0, 5], WANTS[1, 0], *WANTS[2:, 9]]))
        assert [session.next_seq for session in sessions] == [6, 10, 10, 10, 10]


async def test_a_bad_frame_of_one_session_leaves_the_others(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url, check=False) as client:
        sessions = [await client.open("vad") for _ in range(N_SESSIONS)]
        group = await grouped(shell, client, sessions)
        await group.step(COLUMNS[:, 0])
        X = COLUMNS[:, 1].copy()
        X[3, 1] = np.nan
        with pytest.raises(BatchError) as failed:
            await group.step(X)
        assert [error is None for error in failed.value.errors] == [True, True, True, False, True]
        assert isinstance(failed.value.errors[3], FrameError)
        assert np.array_equal(failed.value.outputs[4], WANTS[4, 1])
        Y = await group.step(np.stack([COLUMNS[i, 1 if i == 3 else 2] for i in range(N_SESSIONS)]))
        assert np.array_equal(Y, np.stack([WANTS[i, 1 if i == 3 else 2] for i in range(N_SESSIONS)]))


async def test_what_is_wrong_is_found_before_anything_is_sent(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client:
        sessions = [await client.open("vad") for _ in range(N_SESSIONS)]
        group = await grouped(shell, client, sessions)
        for X in (COLUMNS[:4, 0], COLUMNS[:, 0, :2], np.full((5, 3), np.inf), [[1.0] * 3] * 6, b"abc"):
            with pytest.raises(FrameError):
                await group.step(X)
        with pytest.raises(OptionError):
            await grouped(shell, client, [])
        with pytest.raises(OptionError):
            await grouped(shell, client, [*sessions, await client.open("gru"), await client.open("text")])
        assert np.array_equal(await group.step(COLUMNS[:, 0]), WANTS[:, 0])
        await sessions[1].close()
        with pytest.raises(SessionClosedError):
            await group.step(COLUMNS[:, 1])
        rest = [0, 2, 3, 4]
        smaller = await grouped(shell, client, [sessions[i] for i in rest])
        assert np.array_equal(await smaller.step(COLUMNS[rest, 1]), WANTS[rest, 1])


async def test_a_group_of_one_and_groups_that_share(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client:
        sessions = [await client.open("vad") for _ in range(3)]
        groups = [await grouped(shell, client, some) for some in (sessions[:2], sessions[1:], sessions[:1])]
        seqs = [0, 0, 0]
        for t in range(12):
            rows = ((0, 1), (1, 2), (0,))[t % 3]
            X = np.stack([COLUMNS[i, seqs[i]] for i in rows])
            assert np.array_equal(await groups[t % 3].step(X), np.stack([WANTS[i, seqs[i]] for i in rows]))
            for i in rows:
                seqs[i] += 1
        for _ in range(4):  # the server joins the outputs of frames that stand together
            assert np.array_equal(await groups[2].step(COLUMNS[:1, seqs[0]]), WANTS[:1, seqs[0]])
            seqs[0] += 1
        batches = [await sent(shell, groups[2], COLUMNS[:1, seqs[0] + i]) for i in range(8)]
        for i, batch in enumerate(batches):
            assert np.array_equal(await batch.result(), WANTS[:1, seqs[0] + i])


async def test_a_group_over_many_cuts_is_bit_equal(shell: Shell, own_server: LocalServer) -> None:
    print("seed", SEED)
    chance = random.Random(SEED)
    async with shell.connect(own_server.url, **QUICK) as client:
        sessions = [await client.open("vad") for _ in range(N_SESSIONS)]
        group = await grouped(shell, client, sessions)
        under_way: list[Any] = []
        n_read = 0
        for t in range(N):
            under_way.append(await sent(shell, group, COLUMNS[:, t]))
            if chance.random() < 0.05:
                own_server.cut()
            while len(under_way) > chance.randrange(6):
                assert np.array_equal(await under_way.pop(0).result(), WANTS[:, n_read])
                n_read += 1
        for batch in under_way:
            assert np.array_equal(await batch.result(), WANTS[:, n_read])
            n_read += 1
        assert client.n_reconnects > 0


@pytest.mark.parametrize("chunk", [None, 1, 7, 64])
async def test_run_is_a_step_for_each_frame(shell: Shell, server: LocalServer, chunk: int | None) -> None:
    async with shell.connect(server.url) as client:
        session = await client.open("gru")
        assert np.array_equal(await session.run(XS[:150], chunk=chunk), WANT["gru"][:150])
        assert np.array_equal(await session.run(XS[150:].tobytes(), chunk=chunk), WANT["gru"][150:])
        assert (await session.run(XS[:0])).shape == (0, WANT["gru"].shape[1])
        assert (session.next_seq, session.n_unanswered) == (N, 0)


async def test_run_tells_what_is_wrong(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url, check=False) as client:
        session = await client.open("vad")
        with pytest.raises(OptionError, match="1 to 64"):
            await session.run(XS, chunk=65)
        bad = XS[:40].copy()
        bad[20, 0] = np.nan
        with pytest.raises(FrameError) as failed:
            await session.run(bad, chunk=8)
        assert failed.value.seq == 16, "the message with the bad frame"
        assert np.array_equal(await session.run(XS[16:]), WANT["vad"][16:])
    async with shell.connect(server.url) as client:
        session = await client.open("vad", gap="hold", period_s=0.01)
        with pytest.raises(OptionError, match="time_us"):
            await session.run(XS[:3])
        assert np.array_equal(await session.run(XS[:30], chunk=10, time_us=5_000), WANT["vad"][:30])


async def test_run_over_cuts(own_server: LocalServer) -> None:
    import streamrnn_client

    async with streamrnn_client.connect(own_server.url, **QUICK) as client:
        sessions = [await client.open("vad") for _ in range(N_SESSIONS)]
        runs = asyncio.gather(*(s.run(xs, chunk=3) for s, xs in zip(sessions, COLUMNS, strict=True)))
        while not runs.done():
            await asyncio.sleep(0.02)
            own_server.cut()
        assert np.array_equal(np.stack(await runs), WANTS)


async def test_a_group_waits_for_no_session_that_generates(server: LocalServer) -> None:
    import streamrnn_client

    async with streamrnn_client.connect(server.url) as client:
        sessions = [await client.open("abc", decoder={"kind": "sampler"}) for _ in range(2)]
        group = client.group(sessions)
        await group.step([[0], [1]])
        tokens = sessions[0].generate(8, seed=1)
        assert (await anext(tokens)).seq == 1
        with pytest.raises(UsageError):
            await group.step([[0], [1]])
        assert [token.seq async for token in tokens] == list(range(2, 9))
        await group.step([[0], [1]])
        assert [session.next_seq for session in sessions] == [10, 2]
