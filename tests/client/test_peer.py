"""Both shells against a peer that falls silent, talks nonsense, or is cut off."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from streamrnn_client import (
    ConnectionLostError,
    FrameError,
    HandshakeError,
    InternalError,
    MalformedError,
    SessionClosedError,
    StreamrnnClientError,
    UnknownSessionError,
)
from streamrnn_client import messages as m

from tests.client.peer import CODEC, Peer, frame, opened, peer_of
from tests.client.shells import Shell

SHORT_S = 0.15


@pytest.mark.parametrize("noise", [b"SSH-2.0-x\r\n", b"\0" * 100, b""])
async def test_a_peer_of_another_kind(shell: Shell, noise: bytes) -> None:
    async def script(peer: Peer) -> None:
        peer.writer.write(noise)
        peer.writer.close()

    async with peer_of(script) as url:
        with pytest.raises(HandshakeError):
            await shell.connect(url)


async def test_nothing_is_sent_behind_a_refused_frame(shell: Shell) -> None:
    """Its error may overtake outputs; frames sent then would be taken under the refused one's seq."""
    seqs: list[int] = []

    async def script(peer: Peer) -> None:
        await peer.open()
        try:
            while True:
                async with asyncio.timeout(2 * SHORT_S):
                    message = await peer.read()
                assert isinstance(message, m.Frame)
                seqs.append(message.seq)
                if message.seq == 1:
                    await peer.tell(m.Error("bad_frame", "frame", False, "no", "frame", 0, 1))
                elif message.seq > 1:
                    await peer.tell(m.Error("bad_seq", "frame", False, "no", "frame", 0, message.seq, 1))
        except TimeoutError:
            await peer.tell(m.Output(0, 0, frame(5.0)))
        assert await peer.read() == m.Frame(0, 1, frame(9.0))
        await peer.tell(m.Output(0, 1, frame(9.0)))

    n_pulled = 0

    def source() -> Any:
        nonlocal n_pulled
        while n_pulled < 60:
            n_pulled += 1
            time.sleep(0.002)
            yield [1.0]

    async def live_source() -> Any:
        nonlocal n_pulled
        while n_pulled < 60:
            n_pulled += 1
            await asyncio.sleep(0.002)
            yield [1.0]

    async with peer_of(script) as url, shell.connect(url) as client:
        session = await client.open("sum")
        got = []
        with pytest.raises(FrameError) as refused:
            async for output in session.stream(live_source() if shell.name == "asyncio" else source(), window=60):
                got.append(output.seq)
        assert got == [0]
        assert refused.value.seq == 1
        assert seqs == list(range(len(seqs)))
        assert len(seqs) <= n_pulled < 60, "the source is left where the stream ended"
        assert session.next_seq == 1
        assert list(await session.step([9.0])) == [9.0]


async def test_a_cut_in_the_middle_of_a_message_counts_what_is_unanswered(shell: Shell) -> None:
    async def script(peer: Peer) -> None:
        await peer.open()
        for _ in range(5):
            await peer.read()
        await peer.tell(m.Output(0, 0, frame(1.0, 2.0), 2))
        peer.socket.send_binary(CODEC.encode(m.Output(0, 2, frame(3.0))))
        peer.writer.write(b"".join(peer.socket.data_to_send())[:-3])
        peer.writer.close()

    async with peer_of(script) as url, shell.connect(url) as client:
        session = await client.open("sum")
        seqs = []
        with pytest.raises(ConnectionLostError) as lost:
            async for output in session.stream([[1.0]] * 5, window=5):
                seqs.append(output.seq)
        assert seqs == [0, 1]
        assert lost.value.n_unanswered == 3
        assert "3 frames" in str(lost.value)
        assert isinstance(session.ended, ConnectionLostError)


@pytest.mark.parametrize(
    "nonsense",
    [b"\x82\x01\xc1", b"\x81\x02{}", b"\xff" * 20, b"\x82\x7f" + b"\xff" * 8],
    ids=["no message", "text", "no websocket", "a giant"],
)
async def test_nonsense_ends_everything_at_once(shell: Shell, nonsense: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.open()
        await peer.read()
        peer.writer.write(nonsense)
        await peer.read_on()

    # No time is given to a peer like this to end in order, neither here nor in `close`.
    async with peer_of(script) as url, asyncio.timeout(4), shell.connect(url, close_timeout_s=60) as client:
        session = await client.open("sum")
        with pytest.raises((MalformedError, ConnectionLostError)) as ended:
            await session.step([1.0])
        assert ended.value.scope == "connection"
        with pytest.raises(type(ended.value)):
            await client.open("sum")


async def test_a_session_ended_by_the_server_leaves_the_others(shell: Shell) -> None:
    """`internal`, `session_closed` and `unknown_session`, each in the forms that the protocol allows."""

    def error(code: str, handle: int, of: str | None, seq: int | None) -> m.Error:
        return m.Error(code, "session", False, f"{code}!", of, handle, seq)

    async def script(peer: Peer) -> None:
        await peer.shake()
        for handle in range(5):
            await peer.read()
            await peer.tell(opened(handle))
        for _ in range(4):
            await peer.read()
        await peer.tell(error("internal", 0, None, None))
        await peer.tell(m.Closed(0, "error", 0))
        await peer.tell(error("internal", 1, "frame", 0))
        await peer.tell(m.Closed(1, "error", 0))
        await peer.tell(error("session_closed", 2, "frame", 0))
        await peer.tell(m.Closed(2, "error", 0))
        await peer.tell(error("unknown_session", 3, "frame", 0))
        while not isinstance(message := await peer.read(), m.Frame):
            pass
        assert message.handle == 4
        await peer.tell(m.Output(4, 0, frame(7.0)))

    async with peer_of(script) as url, shell.connect(url) as client:
        sessions = [await client.open("sum") for _ in range(5)]
        got = await asyncio.gather(*(s.step([1.0]) for s in sessions[:4]), return_exceptions=True)
        kinds: list[type[Exception]] = [InternalError, InternalError, SessionClosedError, UnknownSessionError]
        assert [type(error) for error in got] == kinds
        for session, kind in zip(sessions, kinds, strict=False):
            assert type(session.ended) is kind
            with pytest.raises(kind):
                await session.step([1.0])
        assert list(await sessions[4].step([1.0])) == [7.0]


async def test_an_unknown_code_is_known_by_its_scope(shell: Shell) -> None:
    async def script(peer: Peer) -> None:
        await peer.open()
        await peer.read()
        await peer.tell(m.Error("too_hot", "frame", True, "wait", "frame", 0, 0))
        assert await peer.read() == m.Frame(0, 0, frame(1.0))
        await peer.tell(m.Output(0, 0, frame(1.0)))

    async with peer_of(script) as url, shell.connect(url) as client:
        session = await client.open("sum")
        with pytest.raises(StreamrnnClientError) as refused:
            await session.step([1.0])
        assert type(refused.value) is StreamrnnClientError
        assert (refused.value.code, refused.value.retryable) == ("too_hot", True)
        assert list(await session.step([1.0])) == [1.0]


async def test_a_peer_that_ends_the_connection_and_never_closes_it_is_left(shell: Shell) -> None:
    left: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def script(peer: Peer) -> None:
        await peer.open()
        await peer.read()
        await peer.tell(m.Error("internal", "connection", False, "a bug"))
        await peer.read_on()
        left.set_result(None)

    async with peer_of(script) as url, shell.connect(url, close_timeout_s=SHORT_S) as client:
        session = await client.open("sum")
        with pytest.raises(InternalError):
            await session.step([1.0])
        async with asyncio.timeout(5):
            await left
