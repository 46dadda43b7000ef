"""Sessions against a real server over loopback, in both shells: outputs are the embedded engine's, bit for bit."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from streamrnn_client import (
    CapacityError,
    OptionError,
    Output,
    SessionClosedError,
    SessionExistsError,
    SnapshotError,
    StreamrnnClientError,
    UnknownModelError,
)
from streamrnn_client.session_options import DEFAULT_WINDOW

import streamrnn
from tests.client.conftest import MODELS, LocalServer
from tests.client.shells import Shell

Floats = NDArray[np.float32]
N = 200
RNG = np.random.default_rng(5)
XS: Floats = RNG.normal(size=(N, 3)).astype(np.float32)


def embedded(name: str, xs: Floats) -> Floats:
    """What the engine in this process makes of the same frames."""
    engine = streamrnn.Engine(limits=streamrnn.Limits(max_sessions=4))
    engine.add_model(name, MODELS[name])
    return engine.open(name).run(xs)


WANT = {name: embedded(name, XS) for name in ("vad", "gru")}


async def test_steps_are_bit_equal_to_the_embedded_engine(shell: Shell, server: LocalServer) -> None:
    for encoding in ("msgpack", "json"):
        async with shell.connect(server.url, encoding=encoding) as client:
            session = await client.open("vad")
            ys = np.stack([await session.step(x) for x in XS[:40]])
        assert ys.dtype == np.float32
        assert np.array_equal(ys, WANT["vad"][:40])


async def test_a_session_tells_what_the_server_told(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client:
        session = await client.open("vad", session_id="line 7")
        assert session.id == "line 7"
        assert session.model == "vad"
        assert session.digest == MODELS["vad"].digest
        assert (session.input.size, session.input.kind, session.input.names) == (3, "dense", ("in0", "in1", "in2"))
        assert (session.output.size, session.labels) == (2, ("a", "b"))
        assert (session.resumed, session.next_seq, session.n_unanswered, session.ended) == (False, 0, 0, None)
        assert session.max_queue_frames == DEFAULT_WINDOW
        assert (await client.open("vad", window=None)).max_queue_frames == streamrnn.Limits().max_queue_frames
        await session.step(XS[0])
        assert session.next_seq == 1


@pytest.mark.parametrize(
    "kind", [list, tuple, lambda x: array("f", x), np.float64, np.float32, lambda x: x.tobytes(), memoryview]
)
async def test_every_form_of_a_frame(shell: Shell, server: LocalServer, kind: Any) -> None:
    async with shell.connect(server.url) as client:
        session = await client.open("vad")
        y = await session.step(kind(XS[0]))
    assert np.array_equal(y, WANT["vad"][0])


async def test_an_output_may_be_written_to(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client:
        session = await client.open("vad")
        first = await session.step(XS[0])
        first += 1
        assert np.array_equal(await session.step(XS[1]), WANT["vad"][1])


@pytest.mark.parametrize(("window", "chunk"), [(None, 1), (1, 1), (7, 1), (64, 64), (70, 33), (None, 100), (1024, 1)])
async def test_stream_yields_every_output_in_order(
    shell: Shell, server: LocalServer, window: int | None, chunk: int
) -> None:
    async with shell.connect(server.url) as client:
        session = await client.open("gru", window=1024)
        outputs = [output async for output in session.stream(XS, window=window, chunk=chunk)]
        assert all(isinstance(output, Output) for output in outputs)
        assert [output.seq for output in outputs] == list(range(N))
        assert np.array_equal(np.stack([output.y for output in outputs]), WANT["gru"])
        again = [output.seq async for output in session.stream(list(XS[:5]), window=2)]
        assert again == list(range(N, N + 5)), "numbering goes on"
        assert [output async for output in session.stream([])] == []


async def test_stream_takes_an_asynchronous_source(shell: Shell, server: LocalServer) -> None:
    async def source() -> AsyncIterator[Floats]:
        for x in XS:
            if x[0] > 1:
                await asyncio.sleep(0)
            yield x

    async with shell.connect(server.url) as client:
        session = await client.open("vad")
        ys = [output.y async for output in session.stream(source(), chunk=3)]
    assert np.array_equal(np.stack(ys), WANT["vad"])


async def test_a_live_source_gets_each_output_before_its_next_frame(server: LocalServer) -> None:
    """Each frame is made only when the output of the one before has arrived; a shell that waits for more would hang."""
    import streamrnn_client

    arrived: asyncio.Queue[int] = asyncio.Queue()

    async def source() -> AsyncIterator[Floats]:
        for i, x in enumerate(XS[:20]):
            yield x
            async with asyncio.timeout(10):
                assert await arrived.get() == i

    async with streamrnn_client.connect(server.url) as client:
        session = await client.open("vad")
        async for output in session.stream(source()):
            arrived.put_nowait(output.seq)
    assert output.seq == 19


def test_a_live_source_in_blocking_code_says_window_1(server: LocalServer) -> None:
    from streamrnn_client import sync

    arrived: list[int] = []

    def source() -> Any:
        for i, x in enumerate(XS[:20]):
            assert arrived == list(range(i))
            yield x

    with sync.connect(server.url) as client:
        session = client.open("vad")
        for output in session.stream(source(), window=1):
            arrived.append(output.seq)
    assert arrived == list(range(20))


async def test_the_window_bounds_what_is_in_flight(shell: Shell, server: LocalServer) -> None:
    most = 0

    def source(session: Any) -> Any:
        nonlocal most
        for x in XS:
            most = max(most, session.n_unanswered)
            yield x

    async with shell.connect(server.url) as client:
        session = await client.open("vad")
        outputs = [output async for output in session.stream(source(session), window=9)]
    assert len(outputs) == N
    assert 1 < most <= 9


async def test_leaving_a_stream_early_leaves_the_session_usable(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client:
        session = await client.open("vad")
        outputs = session.stream(XS, window=20)
        async for output in outputs:
            if output.seq == 4:
                break
        await outputs.aclose()
        sent = session.next_seq
        assert 5 <= sent < N
        y = await session.step(XS[sent])
        assert np.array_equal(y, WANT["vad"][sent])


async def test_an_error_of_the_source_comes_behind_what_was_sent(shell: Shell, server: LocalServer) -> None:
    def source() -> Any:
        yield from XS[:10]
        raise LookupError("the sensor fell off")

    async with shell.connect(server.url) as client:
        session = await client.open("vad")
        seqs = []
        with pytest.raises(LookupError, match="fell off"):
            async for output in session.stream(source(), chunk=4):
                seqs.append(output.seq)
        assert seqs == list(range(10))
        assert np.array_equal(await session.step(XS[10]), WANT["vad"][10])


async def test_concurrent_steps_of_many_sessions_do_not_mix(shell: Shell, server: LocalServer) -> None:
    async def run(client: Any, n: int) -> None:
        session = await client.open("vad")
        ys = [await session.step(x) for x in XS[: 10 + n]]
        assert np.array_equal(np.stack(ys), WANT["vad"][: 10 + n])
        await session.close()

    async with shell.connect(server.url) as client:
        await asyncio.gather(*(run(client, n) for n in range(12)))
        assert client.n_unanswered == 0


async def test_overlapping_steps_of_one_session_take_effect_in_order(server: LocalServer) -> None:
    import streamrnn_client

    async with streamrnn_client.connect(server.url) as client:
        session = await client.open("vad", window=N)
        ys = await asyncio.gather(*(session.step(x) for x in XS))
    assert np.array_equal(np.stack(ys), WANT["vad"])


async def test_step_many(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client:
        sessions = [await client.open("vad") for _ in range(5)]
        for t in range(10):
            Y = await client.step_many(sessions, np.stack([XS[t]] * 5))
            assert Y.shape == (5, 2)
            assert np.array_equal(Y, np.stack([WANT["vad"][t]] * 5))
        Y = await client.step_many([sessions[0], sessions[1], sessions[0]], [XS[10], XS[10], XS[11]])
        assert np.array_equal(Y, WANT["vad"][[10, 10, 11]])
        assert [session.next_seq for session in sessions] == [12, 11, 10, 10, 10]
        assert np.array_equal(await sessions[2].step(XS[10]), WANT["vad"][10]), "a columnar answer to a plain frame"


async def test_step_many_wants_sessions_of_one_client_and_size(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client, shell.connect(server.url) as other:
        vad, gru = await client.open("vad"), await client.open("gru")
        strange = await other.open("vad")
        for sessions in ([vad, gru], [vad, strange], []):
            with pytest.raises(OptionError):
                await client.step_many(sessions, XS[: len(sessions)])
        assert np.array_equal(await vad.step(XS[0]), WANT["vad"][0])


async def test_snapshot_restore_fork_and_reset(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client:
        session = await client.open("vad")
        for x in XS[:10]:
            await session.step(x)
        snapshot = await session.snapshot()
        assert isinstance(snapshot, bytes)
        twin = await session.fork(session_id="twin")
        assert (twin.id, twin.resumed, twin.next_seq) == ("twin", True, 10)
        assert await session.flush() == 9
        await session.reset()
        assert np.array_equal(await session.step(XS[0]), WANT["vad"][0])
        assert session.next_seq == 11, "numbering goes on after a reset"
        assert np.array_equal(await twin.step(XS[10]), WANT["vad"][10])
        with pytest.raises(SessionExistsError):
            await session.fork(session_id="twin")
        assert session.ended is None
    async with shell.connect(server.url, encoding="json") as client:
        again = await client.restore(snapshot)
        assert (again.resumed, again.next_seq, again.model) == (True, 10, "vad")
        ys = [output.y async for output in again.stream(XS[10:])]
        assert np.array_equal(np.stack(ys), WANT["vad"][10:])
        with pytest.raises(SnapshotError):
            await client.restore(snapshot[:-1] + bytes([snapshot[-1] ^ 1]))
        for nonsense in (b"", b"nonsense"):
            with pytest.raises(SnapshotError):
                await client.restore(nonsense)
        with pytest.raises(OptionError):
            await client.restore("text")


async def test_flush_of_a_fresh_session(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client:
        assert await (await client.open("vad")).flush() == -1


async def test_a_closed_session_says_so_and_nothing_else_notices(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client:
        session, other = await client.open("vad"), await client.open("vad")
        async with session:
            await session.step(XS[0])
        await session.close()
        assert isinstance(session.ended, SessionClosedError)
        for call in (session.step(XS[0]), session.reset(), session.flush(), session.snapshot(), session.fork()):
            with pytest.raises(SessionClosedError):
                await call
        with pytest.raises(SessionClosedError):
            await anext(session.stream(XS))
        with pytest.raises(SessionClosedError):
            await client.step_many([other, session], XS[:2])
        assert np.array_equal(await other.step(XS[0]), WANT["vad"][0])


async def test_what_open_refuses(shell: Shell, small_server: LocalServer) -> None:
    async with shell.connect(small_server.url) as client:
        with pytest.raises(UnknownModelError, match="vad") as refused:
            await client.open("nothing")
        assert (refused.value.code, refused.value.scope, refused.value.retryable) == ("unknown_model", "session", False)
        for name in ("x" * 200, ""):
            with pytest.raises(OptionError):
                await client.open("vad", session_id=name)
        for wrong in (7, None, b"vad", "\ud800"):
            with pytest.raises(OptionError):
                await client.open(wrong)
        sessions = [await client.open("vad", session_id=f"s{i}") for i in range(3)]
        with pytest.raises(SessionExistsError):
            await client.open("gru", session_id="s0")
        with pytest.raises(CapacityError) as full:
            await client.open("vad")
        assert full.value.retryable
        await sessions[0].close()
        session = await client.open("vad", session_id="s0")
        assert np.array_equal(await session.step(XS[0]), WANT["vad"][0])


async def test_a_token_model(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client:
        session = await client.open("text")
        assert (session.input.kind, session.input.n_tokens) == ("token", 7)
        assert (await session.step([6])).shape == (session.output.size,)
        for bad in ([7], [-1], [1.5]):
            with pytest.raises(StreamrnnClientError) as refused:
                await session.step(bad)
            assert refused.value.code == "bad_frame"
        assert session.next_seq == 1
