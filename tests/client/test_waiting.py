"""Both shells against a peer that is late, slow or silent, and that reads when it likes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from streamrnn_client import (
    ConnectionLostError,
    SnapshotError,
    StreamrnnClientError,
    WaitTimeoutError,
)
from streamrnn_client import messages as m
from websockets.frames import Opcode

from tests.client.peer import Peer, frame, opened, peer_of
from tests.client.shells import Shell, SyncShell

SHORT_S = 0.15


async def say_nothing(peer: Peer) -> None:
    await peer.reader.read(1)


async def test_a_peer_that_never_answers_the_handshake(shell: Shell) -> None:
    async with peer_of(say_nothing) as url:
        with pytest.raises(WaitTimeoutError) as late:
            await shell.connect(url, connect_timeout_s=SHORT_S)
        assert (late.value.of, late.value.after_s, late.value.scope) == ("connect", SHORT_S, "connection")


async def test_silence_after_open_and_a_late_session_is_closed(shell: Shell) -> None:
    late_close: asyncio.Future[m.Message] = asyncio.get_running_loop().create_future()

    async def script(peer: Peer) -> None:
        await peer.shake()
        first = await peer.read()
        second = await peer.read()
        assert isinstance(first, m.Open)
        assert isinstance(second, m.Open)
        await peer.tell(opened(second.handle))
        await peer.tell(opened(first.handle))
        late_close.set_result(await peer.read())

    async with peer_of(script) as url, shell.connect(url) as client:
        with pytest.raises(WaitTimeoutError) as late:
            await client.open("sum", timeout_s=SHORT_S)
        assert (late.value.of, late.value.scope) == ("open", "session")
        session = await client.open("sum")
        async with asyncio.timeout(5):
            assert await late_close == m.Close(0)
        assert session.handle == 1


async def test_a_late_output_is_dropped_and_the_next_is_right(shell: Shell) -> None:
    async def script(peer: Peer) -> None:
        await peer.open()
        await peer.read()
        assert (await peer.read()) == m.Frame(0, 1, frame(2.0))
        await peer.tell(m.Output(0, 0, frame(1.0)))
        await peer.tell(m.Output(0, 1, frame(3.0)))

    async with peer_of(script) as url, shell.connect(url) as client:
        session = await client.open("sum")
        with pytest.raises(WaitTimeoutError) as late:
            await session.step([1.0], timeout_s=SHORT_S)
        assert (late.value.of, late.value.scope, late.value.seq) == ("step", "frame", 0)
        assert session.n_unanswered == 1
        assert list(await session.step([2.0])) == [3.0]
        assert session.n_unanswered == 0


async def test_a_stream_waits_no_longer_than_it_may(shell: Shell) -> None:
    async def script(peer: Peer) -> None:
        await peer.open()
        await peer.read()
        await peer.tell(m.Output(0, 0, frame(1.0)))

    async with peer_of(script) as url, shell.connect(url) as client:
        session = await client.open("sum")
        seqs = []
        with pytest.raises(WaitTimeoutError) as late:
            async for output in session.stream([[1.0]] * 10, timeout_s=SHORT_S):
                seqs.append(output.seq)
        assert seqs == [0]
        assert late.value.seq == 1


async def test_a_blocking_stream_sends_each_frame_of_a_generator_before_it_waits_for_the_next() -> None:
    read: list[int] = []

    async def script(peer: Peer) -> None:
        await peer.open()
        for seq in range(3):
            message = await peer.read()
            assert isinstance(message, m.Frame)
            read.append(message.seq)
            await peer.tell(m.Output(0, seq, frame(seq)))

    def source() -> Any:
        for i in range(3):
            yield [1.0]
            end_s = time.monotonic() + 5
            while len(read) <= i and time.monotonic() < end_s:
                time.sleep(0.005)
            assert read == list(range(i + 1))

    async with peer_of(script) as url, SyncShell().connect(url) as client:
        session = await client.open("sum")
        assert [output.seq async for output in session.stream(source(), window=8)] == [0, 1, 2]


async def test_a_slow_source_is_not_a_late_output() -> None:
    import streamrnn_client

    async def script(peer: Peer) -> None:
        await peer.open()
        for seq in range(3):
            await peer.read()
            await peer.tell(m.Output(0, seq, frame(seq)))

    async def source() -> Any:
        for _ in range(3):
            await asyncio.sleep(2 * SHORT_S)
            yield [1.0]

    async with peer_of(script) as url, streamrnn_client.connect(url) as client:
        session = await client.open("sum")
        assert [output.seq async for output in session.stream(source(), timeout_s=SHORT_S)] == [0, 1, 2]


async def test_a_dead_peer_is_noticed_by_pings(shell: Shell) -> None:
    pings = 0

    async def script(peer: Peer) -> None:
        nonlocal pings
        await peer.open()
        await peer.read()
        assert (await peer.frame()).opcode is Opcode.PING
        pings += 1

    brief = {"ping_interval_s": SHORT_S, "ping_timeout_s": SHORT_S}
    async with peer_of(script) as url, shell.connect(url, **brief) as client, asyncio.timeout(10):
        session = await client.open("sum")
        with pytest.raises(ConnectionLostError, match="silent"):
            await session.step([1.0])
    assert pings == 1


async def test_an_idle_client_answers_pings(shell: Shell) -> None:
    answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(peer: Peer) -> None:
        await peer.open()
        peer.socket.send_ping(b"alive?")
        await peer.flush()
        while (found := await peer.frame()).opcode is not Opcode.PONG:
            pass
        answered.set_result(bytes(found.data))

    async with peer_of(script) as url, shell.connect(url) as client:
        await client.open("sum")
        async with asyncio.timeout(5):
            assert await answered == b"alive?"


async def test_a_peer_that_reads_late_is_not_a_deadlock(shell: Shell) -> None:
    """Megabytes wait on both sides: the client must read while it cannot write."""
    n, chunk = 64, 8
    values = 65536

    async def script(peer: Peer) -> None:
        await peer.shake()
        await peer.read()
        port = m.Port(values)
        await peer.tell(m.Opened(0, "s", "big", "00", 0, False, port, port, (), 1024))
        for seq in range(0, n, chunk):
            message = await peer.read()
            assert isinstance(message, m.Frame)
            assert message.seq == seq
            await asyncio.sleep(0.01)
            await peer.tell(m.Output(0, seq, message.payload, chunk))

    xs = [frame(float(i)) * values for i in range(n)]
    async with peer_of(script) as url, shell.connect(url) as client:
        session = await client.open("big")
        async with asyncio.timeout(20):
            outputs = [output async for output in session.stream(xs, chunk=chunk, window=n)]
    assert [output.y[0] for output in outputs] == list(range(n))


async def test_a_large_message_is_written_as_fast_as_it_is_read(shell: Shell) -> None:
    """The reader is slow, so the socket is full again and again; who writes must wait for room, not for a timer."""
    n_bytes = 1 << 25

    async def script(peer: Peer) -> None:
        await peer.shake()
        n_read = 0
        while n_read < n_bytes:
            n_read += len(await peer.reader.read(1 << 17))
            await asyncio.sleep(0.001)
        await peer.tell(m.Error("bad_snapshot", "session", False, "none", "restore", 0))
        peer.writer.close()

    async with peer_of(script) as url, shell.connect(url, max_send_bytes=2 * n_bytes) as client:
        with pytest.raises(SnapshotError):
            await client.restore(bytes(n_bytes), timeout_s=3.5)


async def test_closing_while_another_call_waits(shell: Shell) -> None:
    async def script(peer: Peer) -> None:
        await peer.open()
        await peer.read()

    async with peer_of(script) as url:
        client = await shell.connect(url)
        session = await client.open("sum")
        waiting = asyncio.create_task(session.step([1.0]))
        await asyncio.sleep(SHORT_S)
        await client.close()
        async with asyncio.timeout(5):
            with pytest.raises(StreamrnnClientError) as ended:
                await waiting
        assert ended.value.code == "client_closed"


async def test_a_peer_that_never_closes_is_left_after_the_time_for_it(shell: Shell) -> None:
    async def script(peer: Peer) -> None:
        await peer.open()
        await peer.read_on()

    async with peer_of(script) as url:
        client = await shell.connect(url, close_timeout_s=SHORT_S)
        await client.open("sum")
        async with asyncio.timeout(5):
            await client.close()


async def test_a_cancelled_step_leaves_the_numbering_right() -> None:
    import streamrnn_client

    async def script(peer: Peer) -> None:
        await peer.open()
        await peer.read()
        assert await peer.read() == m.Frame(0, 1, frame(2.0))
        await peer.tell(m.Output(0, 0, frame(1.0, 3.0), 2))

    async with peer_of(script) as url, streamrnn_client.connect(url) as client:
        session = await client.open("sum")
        step = asyncio.create_task(session.step([1.0]))
        await asyncio.sleep(0.05)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        assert list(await session.step([2.0])) == [3.0]
