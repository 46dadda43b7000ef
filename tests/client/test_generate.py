"""Generation over a real server, in both shells: the tokens are those of the embedded engine, whatever is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from streamrnn_client import OptionError, Token, UsageError, sync

import streamrnn
from streamrnn.decode.settings import SamplerSettings
from tests.client.conftest import MODELS, LocalServer
from tests.client.shells import AioShell, Shell

SAMPLER = {"kind": "sampler", "input": "logit"}
PROMPT = [3, 1, 4]


def alone(prompt: list[int], model: str = "text") -> streamrnn.Session:
    """A session of the engine in this process that has seen the prompt."""
    engine = streamrnn.Engine(limits=streamrnn.Limits(max_sessions=2))
    engine.add_model(model, MODELS[model])
    session = engine.open(model, decoder=SamplerSettings(input="logit"))
    session.run(np.array(prompt, np.float32)[:, None])
    return session


def late_stop(tokens: list[int]) -> int:
    """The token that comes first as late as can be."""
    return max(set(tokens), key=tokens.index)


async def all_of(tokens: Any) -> list[int]:
    return [token.token async for token in tokens]


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
@pytest.mark.parametrize("window", [1, 7, 64])
async def test_the_tokens_are_those_of_the_engine(
    shell: Shell, server: LocalServer, window: int, encoding: str
) -> None:
    expected = alone(PROMPT).generate(100, 0.9, 3, 11)
    async with shell.connect(server.url, encoding=encoding) as client:
        session = await client.open("text", decoder=SAMPLER, window=window)
        tokens = [t async for t in session.generate(100, PROMPT, temperature=0.9, top_k=3, seed=11)]
        assert [token.token for token in tokens] == expected
        assert [token.seq for token in tokens] == list(range(3, 103))
        assert (session.next_seq, session.n_unanswered) == (103, 0)
    by_hand = alone(PROMPT)
    ys = by_hand.run(np.array(expected, np.float32)[:, None])
    assert np.array_equal(np.stack([token.y for token in tokens]), ys)


async def test_greedy_is_argmax_by_stepping(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client:
        one, other = await client.open("text", decoder=SAMPLER), await client.open("text")
        for token in PROMPT:
            y = await other.step([token])
        expected = []
        for _ in range(30):
            expected.append(int(np.argmax(y)))
            y = await other.step([expected[-1]])
        assert await all_of(one.generate(30, PROMPT, temperature=0.0)) == expected


@pytest.mark.parametrize("window", [4, 64])
async def test_it_ends_at_the_stop_token_and_goes_on_from_there(shell: Shell, server: LocalServer, window: int) -> None:
    stop = late_stop(alone(PROMPT).generate(100, 0.3, seed=2))
    session = alone(PROMPT)
    first = session.generate(100, 0.3, seed=2, stop=stop)
    y = session.step(np.array([5], np.float32))
    second = session.generate(20, seed=3)
    assert 4 < len(first) < 100
    async with shell.connect(server.url) as client:
        session = await client.open("text", decoder=SAMPLER, window=window)
        assert await all_of(session.generate(100, PROMPT, temperature=0.3, seed=2, stop=stop)) == first
        assert session.next_seq == 3 + len(first)
        assert np.array_equal(await session.step([5]), y)
        assert await all_of(session.generate(20, seed=3)) == second


async def test_texts_are_labels(shell: Shell, server: LocalServer) -> None:
    expected = alone([0, 1, 1], "abc").generate(40, seed=4, stop=2)
    async with shell.connect(server.url) as client:
        session = await client.open("abc", decoder=SAMPLER)
        tokens = [t async for t in session.generate(40, "abb", seed=4, stop="c")]
        assert "".join(token.text for token in tokens) == "".join("abc"[token] for token in expected)
        assert isinstance(tokens[0], Token)
        with pytest.raises(OptionError, match="character 2 is 'x'"):
            await all_of(session.generate(4, "abx"))
        with pytest.raises(OptionError, match="stop"):
            await all_of(session.generate(4, "ab", stop="x"))


async def test_what_is_refused(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client:
        plain, fresh = await client.open("text"), await client.open("text", decoder=SAMPLER)
        with pytest.raises(OptionError, match="sampler"):
            await all_of(plain.generate(3, PROMPT))
        with pytest.raises(OptionError, match="at least one frame"):
            await all_of(fresh.generate(3))
        for options in ({"temperature": -1.0}, {"top_k": -1}, {"seed": 2**53}, {"stop": -2}):
            with pytest.raises(OptionError):
                await all_of(fresh.generate(3, PROMPT, **options))
        with pytest.raises(OptionError, match="n of at least 1"):
            await all_of(fresh.generate(0, PROMPT))
        assert len(await all_of(fresh.generate(3, PROMPT))) == 3


async def test_nobody_else_sends_frames_meanwhile(server: LocalServer) -> None:
    expected = alone(PROMPT).generate(12, seed=1)
    async with AioShell().connect(server.url) as client:
        session = await client.open("text", decoder=SAMPLER, window=4)
        got = []
        async for token in session.generate(12, PROMPT, seed=1):
            with pytest.raises(UsageError, match="generates"):
                await session.step([0])
            with pytest.raises(UsageError, match="generates"):
                await client.step_many([session], [[0]])
            with pytest.raises(UsageError, match="generates"):
                await anext(session.generate(3))
            got.append(token.token)
        assert got == expected


async def test_an_iterator_that_is_left_lets_others_go_on(server: LocalServer) -> None:
    """What was begun is read and dropped; what is called behind it waits for its end."""
    session = alone(PROMPT)
    session.generate(8, seed=1)
    ys = [session.step(np.array([x], np.float32)) for x in (5, 6)]
    async with AioShell().connect(server.url) as client:
        here = await client.open("text", decoder=SAMPLER, window=8)
        async for token in here.generate(40, PROMPT, seed=1):
            if token.seq == 5:
                break
        got = await asyncio.gather(here.step([5]), here.step([6]))
        assert np.array_equal(got, ys)
        assert here.next_seq == 13


async def test_an_iterator_that_is_left_before_a_stop_that_nobody_saw(server: LocalServer) -> None:
    stop = late_stop(alone(PROMPT).generate(64, 0.3, seed=2))
    session = alone(PROMPT)
    n = len(session.generate(64, 0.3, seed=2, stop=stop))
    y = session.step(np.array([5], np.float32))
    assert 3 < n < 64
    async with AioShell().connect(server.url) as client:
        here = await client.open("text", decoder=SAMPLER)
        tokens = here.generate(64, PROMPT, temperature=0.3, seed=2, stop=stop)
        await anext(tokens)
        tokens.close()
        step, flush = asyncio.create_task(here.step([5])), asyncio.create_task(here.flush())
        assert np.array_equal(await step, y)
        assert await flush == 3 + n
        with pytest.raises(StopAsyncIteration):
            await anext(tokens)


def test_an_iterator_that_is_left_in_blocking_code(server: LocalServer) -> None:
    session = alone(PROMPT)
    session.generate(8, seed=1)
    y = session.step(np.array([5], np.float32))
    with sync.connect(server.url) as client:
        here = client.open("text", decoder=SAMPLER, window=8)
        for token in here.generate(40, PROMPT, seed=1):
            if token.seq == 5:
                break
        assert np.array_equal(here.step([5]), y)


async def test_many_sessions_at_once(server: LocalServer) -> None:
    expected = [alone(PROMPT).generate(50 + i, seed=i) for i in range(8)]
    async with AioShell().connect(server.url) as client:
        sessions = [await client.open("text", decoder=SAMPLER, window=5 + i) for i in range(8)]
        got = await asyncio.gather(
            *(all_of(session.generate(50 + i, PROMPT, seed=i)) for i, session in enumerate(sessions))
        )
        assert got == expected


@pytest.mark.parametrize("stops", [False, True])
async def test_lost_connections_change_nothing(shell: Shell, own_server: LocalServer, stops: bool) -> None:
    stop = late_stop(alone(PROMPT).generate(200, 0.3, seed=7)) if stops else None
    expected = alone(PROMPT).generate(200, 0.3, seed=7, stop=-1 if stop is None else stop)
    assert len(expected) > 10
    async with shell.connect(own_server.url, reconnect_first_s=0.01) as client:
        session = await client.open("text", decoder=SAMPLER, window=4 if stops else 16)
        got = []
        async for token in session.generate(200, PROMPT, temperature=0.3, seed=7, stop=stop):
            if token.seq % 5 == 4:
                own_server.cut()
            got.append((token.seq, token.token))
        assert got == [(3 + i, token) for i, token in enumerate(expected)]
        assert client.n_reconnects > 0
        twin = await session.fork()
        again = alone([*PROMPT, *expected])
        assert np.array_equal(await twin.step([1]), again.step(np.array([1], np.float32)))
