"""Every code as its class; an error ends what it says and nothing else, and leaves the numbering right. Both shells."""

from __future__ import annotations

import asyncio
import pickle
import re
from typing import Any

import numpy as np
import pytest
from streamrnn_client import (
    BatchError,
    ClientClosedError,
    ConnectError,
    ConnectionLostError,
    DrainingError,
    FrameError,
    HandshakeError,
    MalformedError,
    OptionError,
    OversizedError,
    QueueFullError,
    SequenceError,
    StreamrnnClientError,
    WaitTimeoutError,
    errors,
)

from tests.client.conftest import LocalServer
from tests.client.shells import Shell
from tests.client.test_codec import VECTORS
from tests.client.test_sessions import WANT, XS

BAD_FRAMES: list[Any] = [
    [1.0, 2.0],
    [1.0] * 4,
    [],
    [1.0, float("nan"), 2.0],
    [1.0, 2.0, float("inf")],
    [1.0, 2.0, -1e39],
    np.array([1.0, np.nan, 2.0]),
    np.array([1.0, 2.0, 1e39]),
    XS[:1],
    XS[0].astype(np.complex128),
    ["1", "2", "3"],
    "abc",
    None,
    5.0,
    b"\0" * 13,
    b"\0" * 8,
]


def codes_of_the_protocol() -> dict[str, tuple[set[str], bool]]:
    """Code -> scopes, retryable: the table of section 6."""
    text = (VECTORS.parent / "PROTOCOL.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([a-z ]+) \| (yes|no) \|", text, re.MULTILINE)
    return {code: (set(scopes.split(" or ")), retryable == "yes") for code, scopes, retryable in rows}


@pytest.mark.parametrize(("code", "means"), codes_of_the_protocol().items())
def test_every_code_of_the_protocol_has_its_class(code: str, means: tuple[set[str], bool]) -> None:
    scopes, retryable = means
    kind = errors.BY_CODE[code]
    assert kind is not StreamrnnClientError
    assert (kind.code, kind.retryable) == ("taken_over" if code == "superseded" else code, retryable)
    assert kind.scope in scopes


def test_the_protocol_was_read() -> None:
    assert len(codes_of_the_protocol()) >= 15


@pytest.mark.parametrize("x", BAD_FRAMES, ids=repr)
async def test_a_bad_frame_is_caught_before_it_is_sent(shell: Shell, server: LocalServer, x: Any) -> None:
    async with shell.connect(server.url) as client:
        session = await client.open("vad")
        await session.step(XS[0])
        with pytest.raises(FrameError) as refused:
            await session.step(x)
        error = refused.value
        assert (error.code, error.scope, error.retryable) == ("bad_frame", "frame", False)
        assert (error.handle, error.seq, error.expected_seq) == (session.handle, 1, 1)
        assert session.n_unanswered == 0
        assert np.array_equal(await session.step(XS[1]), WANT["vad"][1])


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
async def test_the_server_judges_alike(shell: Shell, server: LocalServer, encoding: str) -> None:
    async with shell.connect(server.url, check=False, encoding=encoding) as client:
        session = await client.open("vad")
        await session.step(XS[0])
        for x in ([1.0, 2.0], [1.0] * 4, [], [1.0, float("nan"), 2.0], [1.0, 2.0, 1e39], b"\0" * 13):
            with pytest.raises(FrameError) as refused:
                await session.step(x)
            error = refused.value
            assert (error.code, error.scope, error.retryable) == ("bad_frame", "frame", False)
            assert (error.handle, error.seq) == (session.handle, 1)
            assert session.next_seq == 1
        assert np.array_equal(await session.step(XS[1]), WANT["vad"][1])
        tokens = await client.open("text")
        with pytest.raises(FrameError):
            await tokens.step([7])
        await tokens.step([6])


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("chunk", [1, 4])
async def test_a_bad_frame_in_a_stream(shell: Shell, server: LocalServer, check: bool, chunk: int) -> None:
    """What came before is answered, and the stream may be taken up at the bad frame."""
    bad = XS.copy()
    bad[9, 1] = np.nan
    first_refused = 9 if check or chunk == 1 else 8
    async with shell.connect(server.url, check=check) as client:
        session = await client.open("vad")
        seqs = []
        with pytest.raises(FrameError) as refused:
            async for output in session.stream(bad, chunk=chunk):
                seqs.append(output.seq)
        assert seqs == list(range(first_refused))
        assert refused.value.seq == first_refused
        await session.flush()
        assert session.next_seq == first_refused
        ys = [output.y async for output in session.stream(XS[first_refused:])]
        assert np.array_equal(np.stack(ys), WANT["vad"][first_refused:])


async def test_frames_pipelined_behind_a_refused_one(server: LocalServer) -> None:
    import streamrnn_client

    async with streamrnn_client.connect(server.url, check=False) as client:
        session = await client.open("vad")
        frames = [*XS[:5], np.full(3, np.nan), *XS[6:10]]
        got = await asyncio.gather(*(session.step(x) for x in frames), return_exceptions=True)
        assert np.array_equal(np.stack(got[:5]), WANT["vad"][:5])  # type: ignore[arg-type]
        assert type(got[5]) is FrameError
        for seq, error in enumerate(got[6:], start=6):
            assert type(error) is SequenceError
            assert (error.seq, error.expected_seq, error.scope) == (seq, 5, "frame")
        ys = await asyncio.gather(*(session.step(x) for x in XS[5:20]))
        assert np.array_equal(np.stack(ys), WANT["vad"][5:20])


async def test_a_full_queue(shell: Shell, small_server: LocalServer) -> None:
    async with shell.connect(small_server.url) as client:
        session = await client.open("vad")
        ledger = client._dialogue.table.ledgers[session.handle]
        # Nine frames in one write, so that none is answered before the last is refused.
        pendings = [client._dialogue.frames(ledger, [x.tobytes()]) for x in XS[:9]]
        assert await session.flush() == 3
        assert [type(pending.error) for pending in pendings[:5]] == [type(None)] * 4 + [QueueFullError]
        error = pendings[4].error
        assert error is not None
        assert (error.code, error.scope, error.retryable, error.seq) == ("queue_full", "frame", True, 4)
        for pending in pendings[5:]:
            assert isinstance(pending.error, SequenceError)
            assert pending.error.expected_seq == 4
        assert session.next_seq == 4
        ys = [output.y async for output in session.stream(XS[4:50])]
        assert np.array_equal(np.stack(ys), WANT["vad"][4:50]), "a window that fits the queue never fills it"
        for window in (5, 0):
            with pytest.raises(OptionError, match="1 to 4"):
                await anext(session.stream(XS, window=window))
        with pytest.raises(OptionError, match="chunk"):
            await anext(session.stream(XS, window=2, chunk=3))


async def test_step_many_keeps_what_succeeded(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url, check=False) as client:
        sessions = [await client.open("vad") for _ in range(4)]
        X = np.stack([XS[0]] * 4)
        X[2, 0] = np.inf
        with pytest.raises(BatchError) as partly:
            await client.step_many(sessions, X)
        error = partly.value
        assert [type(e) for e in error.errors] == [type(None), type(None), FrameError, type(None)]
        assert error.outputs[2] is None
        for i in (0, 1, 3):
            assert np.array_equal(error.outputs[i], WANT["vad"][0])
        Y = await client.step_many(sessions, [XS[1], XS[1], XS[0], XS[1]])
        assert np.array_equal(Y, WANT["vad"][[1, 1, 0, 1]])
        await sessions[0].close()
    async with shell.connect(server.url) as client:
        sessions = [await client.open("vad") for _ in range(4)]
        with pytest.raises(FrameError):
            await client.step_many(sessions, X)
        with pytest.raises(FrameError):
            await client.step_many(sessions, X[:3])
        assert [session.next_seq for session in sessions] == [0, 0, 0, 0]
        assert np.array_equal(await client.step_many(sessions, XS[[0, 0, 0, 0]]), WANT["vad"][[0, 0, 0, 0]])


async def test_a_message_too_large_for_the_server(shell: Shell, small_server: LocalServer) -> None:
    async with shell.connect(small_server.url, max_send_bytes=4096) as client:
        session = await client.open("vad")
        with pytest.raises(OversizedError) as refused:
            await client.restore(b"x" * 5000)
        assert refused.value.scope == "frame"
        assert np.array_equal(await session.step(XS[0]), WANT["vad"][0]), "caught here, it ends nothing"
    async with shell.connect(small_server.url) as client:
        session = await client.open("vad")
        with pytest.raises(OversizedError) as refused:
            await client.restore(b"x" * 5000)
        assert refused.value.scope == "connection"
        for call in (session.step(XS[0]), client.open("vad"), session.flush()):
            with pytest.raises(OversizedError):
                await call
        assert isinstance(client.over, OversizedError)
        assert isinstance(session.ended, OversizedError)
    async with shell.connect(small_server.url) as client:
        assert np.array_equal(await (await client.open("vad")).step(XS[0]), WANT["vad"][0])


async def test_a_malformed_message_ends_the_connection_alone(shell: Shell, server: LocalServer) -> None:
    async with shell.connect(server.url) as client, shell.connect(server.url) as other:
        session, neighbour = await client.open("vad"), await other.open("vad")
        client._dialogue.outbox.append(b"\xc1")
        with pytest.raises(MalformedError) as refused:
            await session.step(XS[0])
        assert (refused.value.code, refused.value.scope) == ("malformed", "connection")
        assert np.array_equal(await neighbour.step(XS[0]), WANT["vad"][0])


async def test_a_stopping_server(shell: Shell, own_server: LocalServer) -> None:
    told: list[float] = []
    async with shell.connect(own_server.url, on_go_away=told.append, reconnect=False) as client:
        session = await client.open("vad")
        await session.step(XS[0])
        own_server.drain()
        async with asyncio.timeout(5):
            while not client.going_away or not told:
                await asyncio.sleep(0.01)
        assert 0 < told[0] <= 1.5
        assert len(told) == 1
        for call in (client.open("vad"), client.restore(b"x"), session.fork()):
            with pytest.raises(DrainingError) as refused:
                await call
            assert refused.value.retryable
        assert np.array_equal(await session.step(XS[1]), WANT["vad"][1]), "frames work until the deadline"
        snapshot = await session.snapshot()
        with pytest.raises((HandshakeError, ConnectError)) as away:
            await shell.connect(own_server.url)
        assert away.value.retryable
        async with asyncio.timeout(5):
            while client.over is None:
                await asyncio.sleep(0.01)
        assert isinstance(session.ended, DrainingError)
        assert isinstance(client.over, ConnectionLostError)
        assert client.over.close_code == 1012
        with pytest.raises(DrainingError):
            await session.step(XS[2])
    fresh = LocalServer()
    try:
        async with shell.connect(fresh.url) as client:
            again = await client.restore(snapshot)
            assert np.array_equal(await again.step(XS[2]), WANT["vad"][2])
    finally:
        fresh.stop()


async def test_a_connection_that_is_cut(shell: Shell, own_server: LocalServer) -> None:
    async with shell.connect(own_server.url, reconnect=False) as client:
        session, idle = await client.open("vad"), await client.open("vad")
        seqs = []
        with pytest.raises(ConnectionLostError) as lost:
            async for output in session.stream(XS[i % len(XS)] for i in range(1_000_000)):
                seqs.append(output.seq)
                if output.seq == 50:
                    own_server.cut()
        error = lost.value
        assert (error.code, error.scope, error.retryable) == ("connection_lost", "connection", True)
        assert error.close_code == 1006
        assert 0 <= error.n_unanswered <= 64
        assert seqs == list(range(len(seqs)))
        assert len(seqs) > 50
        for call in (idle.step(XS[0]), client.open("vad"), session.reset()):
            with pytest.raises(ConnectionLostError):
                await call
        await session.close()
    async with shell.connect(own_server.url) as client:
        assert np.array_equal(await (await client.open("vad")).step(XS[0]), WANT["vad"][0])


async def test_calls_on_a_closed_client(shell: Shell, server: LocalServer) -> None:
    client = await shell.connect(server.url)
    session = await client.open("vad")
    await client.close()
    await client.close()
    for call in (session.step(XS[0]), client.open("vad"), session.flush(), client.step_many([session], XS[:1])):
        with pytest.raises(ClientClosedError):
            await call
    await session.close()


async def test_nobody_listens(shell: Shell, own_server: LocalServer) -> None:
    own_server.stop()
    with pytest.raises(ConnectError) as refused:
        await shell.connect(own_server.url)
    assert refused.value.retryable
    assert own_server.url.removeprefix("ws://") in str(refused.value)


async def test_another_path_is_refused_with_its_status(shell: Shell, server: LocalServer) -> None:
    with pytest.raises(HandshakeError) as refused:
        await shell.connect(server.url + "/nothing")
    assert (refused.value.status, refused.value.retryable) == (404, False)


@pytest.mark.parametrize("url", ["localhost:8765", "http://localhost", "ws://", "", "ws://localhost:port"])
async def test_what_is_no_address(shell: Shell, url: str) -> None:
    with pytest.raises(OptionError, match="ws://localhost:8765"):
        await shell.connect(url)


@pytest.mark.parametrize("options", [{"encoding": "xml"}, {"step_timeout_s": 0}, {"max_send_bytes": -1}])
async def test_options_out_of_range(shell: Shell, server: LocalServer, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        await shell.connect(server.url, **options)


def test_errors_read_well() -> None:
    error = WaitTimeoutError("late", of="step", after_s=1.5, seq=7)
    assert isinstance(error, TimeoutError)
    assert (error.code, error.scope, error.retryable, error.seq, error.after_s) == ("timeout", "frame", True, 7, 1.5)
    for twin in (error.again(), pickle.loads(pickle.dumps(error))):
        assert twin is not error
        assert (type(twin), str(twin), vars(twin)) == (WaitTimeoutError, "late", vars(error))
