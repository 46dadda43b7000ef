"""Both shells over connections that break: nothing of it is seen by who steps or iterates outputs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from streamrnn_client import ConnectionLostError, Reconnected, SessionLostError, SkippedError, Timed, WaitTimeoutError
from streamrnn_client import messages as m
from websockets.http11 import Request

from tests.client.peer import Peer, frame, opened, peer_of
from tests.client.shells import Shell

SHORT_S = 0.15
QUICK = {"reconnect_first_s": 0.01, "reconnect_max_s": 0.05}
Script = Callable[[Peer], Awaitable[object]]


def in_turn(*scripts: Script) -> Script:
    """One script for each connection, the last for all that follow."""
    left = list(scripts)

    async def script(peer: Peer) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(peer)

    return script


async def welcome(peer: Peer, token: str = "one") -> None:
    await peer.shake()
    message = await peer.read()
    assert isinstance(message, m.Open)
    assert message.resume_token is None
    await peer.tell(replace(opened(message.handle), max_queue_frames=8, resume_token=token))


async def resume(peer: Peer, next_seq: int, token: str = "two") -> m.Open:
    await peer.shake()
    message = await peer.read()
    assert isinstance(message, m.Open)
    assert message.resume_token is not None
    told = replace(opened(message.handle), max_queue_frames=8, resume_token=token)
    await peer.tell(replace(told, next_seq=next_seq, resumed=True))
    return message


async def refuse(peer: Peer) -> None:
    """A handshake refused with 503."""
    peer.socket.receive_data(await peer._read())
    for event in peer.socket.events_received():
        assert isinstance(event, Request)
        peer.socket.send_response(peer.socket.reject(503, "kernels compile"))
    await peer.flush()
    peer.writer.close()


async def hang_up(peer: Peer) -> None:
    peer.writer.close()


async def test_a_step_goes_over_a_cut(shell: Shell) -> None:
    told: list[Reconnected] = []

    async def first(peer: Peer) -> None:
        await welcome(peer)
        assert await peer.read() == m.Frame(0, 0, frame(1.0))
        peer.writer.close()

    async def second(peer: Peer) -> None:
        asked = await resume(peer, 0)
        assert (asked.session_id, asked.resume_token, asked.answered_seq) == ("s0", "one", -1)
        assert await peer.read() == m.Frame(0, 0, frame(1.0))
        await peer.tell(m.Output(0, 0, frame(5.0)))
        assert await peer.read() == m.Frame(0, 1, frame(2.0))
        await peer.tell(m.Output(0, 1, frame(6.0)))

    async with (
        peer_of(in_turn(first, refuse, hang_up, second)) as url,
        shell.connect(url, on_reconnect=told.append, **QUICK) as client,
    ):
        session = await client.open("sum")
        assert list(await session.step([1.0])) == [5.0]
        assert list(await session.step([2.0])) == [6.0]
        assert (client.connected, client.over, client.n_reconnects, client.n_replayed_frames) == (True, None, 1, 1)
        assert session.resumed
        while not told:  # the blocking client calls its hooks from a thread of its own
            await asyncio.sleep(0.01)
    (news,) = told
    assert (news.n_attempts, news.n_sessions, news.n_replayed) == (3, 1, 1)
    assert 0 < news.downtime_s < 5


async def test_a_stream_goes_over_a_cut_and_an_earlier_state(shell: Shell) -> None:
    async def answer(peer: Peer, seqs: range) -> None:
        for seq in seqs:
            message = await peer.read()
            assert message == m.Frame(0, seq, frame(float(seq)))
            await peer.tell(m.Output(0, seq, frame(10.0 * seq)))

    async def first(peer: Peer) -> None:
        await welcome(peer)
        await answer(peer, range(5))
        peer.writer.close()

    async def second(peer: Peer) -> None:
        await resume(peer, 2)
        await answer(peer, range(2, 9))
        await peer.tell(m.GoAway(100))
        await peer.tell(m.Closed(0, "draining", 9))
        peer.socket.send_close(1012)
        await peer.flush()
        peer.writer.close()

    async def third(peer: Peer) -> None:
        await resume(peer, 9, "three")
        await answer(peer, range(9, 20))

    async with peer_of(in_turn(first, second, third)) as url, shell.connect(url, **QUICK) as client:
        session = await client.open("sum")
        frames = [[float(i)] for i in range(20)]
        got = [(output.seq, float(output.y[0])) async for output in session.stream(frames, window=4)]
        assert got == [(seq, 10.0 * seq) for seq in range(20)]
        assert client.n_repeated_outputs == 3


async def test_another_server_goes_on(shell: Shell) -> None:
    async def first(peer: Peer) -> None:
        await welcome(peer)
        await peer.read()
        peer.writer.close()

    async def second(peer: Peer) -> None:
        await resume(peer, 1)
        await peer.tell(m.Output(0, 0, frame(5.0)))

    servers = peer_of(in_turn(first, hang_up)), peer_of(second)
    async with servers[0] as one, servers[1] as two, shell.connect([one, two], **QUICK) as client:
        session = await client.open("sum")
        assert list(await session.step([1.0])) == [5.0]


async def test_the_first_connection_tries_every_server(shell: Shell) -> None:
    async with peer_of(hang_up) as one, peer_of(welcome) as two, shell.connect([one, two]) as client:
        assert (await client.open("sum")).id == "s0"


async def test_it_gives_up_after_the_time_for_it(shell: Shell) -> None:
    async def first(peer: Peer) -> None:
        await welcome(peer)
        await peer.read()
        peer.writer.close()

    brief = {"reconnect_timeout_s": 2 * SHORT_S, **QUICK}
    async with peer_of(in_turn(first, hang_up)) as url, shell.connect(url, **brief) as client, asyncio.timeout(10):
        session = await client.open("sum")
        with pytest.raises(ConnectionLostError) as lost:
            await session.step([1.0])
        assert (lost.value.n_unanswered, lost.value.retryable) == (1, True)
        assert isinstance(client.over, ConnectionLostError)
        assert isinstance(session.ended, ConnectionLostError)
        with pytest.raises(ConnectionLostError):
            await client.open("sum")


async def test_closing_during_an_outage_is_at_once(shell: Shell) -> None:
    async def first(peer: Peer) -> None:
        await welcome(peer)
        peer.writer.close()

    async with peer_of(in_turn(first, Peer.read_on)) as url:
        client = await shell.connect(url, close_timeout_s=60, connect_timeout_s=60)
        await client.open("sum")
        async with asyncio.timeout(10):
            while client.connected:
                await asyncio.sleep(0.01)
            await asyncio.sleep(SHORT_S)
            await client.close()
        assert client.over.code == "client_closed"


async def test_the_time_of_a_call_runs_during_an_outage_and_its_frame_is_sent_all_the_same(shell: Shell) -> None:
    back = asyncio.Event()

    async def first(peer: Peer) -> None:
        await welcome(peer)
        peer.writer.close()

    async def second(peer: Peer) -> None:
        await back.wait()
        await resume(peer, 0)
        for seq in range(2):
            assert await peer.read() == m.Frame(0, seq, frame(seq + 1.0))
            await peer.tell(m.Output(0, seq, frame(9.0 + seq)))

    async with peer_of(in_turn(first, second)) as url, shell.connect(url, **QUICK) as client:
        session = await client.open("sum")
        while client.connected:
            await asyncio.sleep(0.01)
        with pytest.raises(WaitTimeoutError):
            await session.step([1.0], timeout_s=SHORT_S)
        back.set()
        assert list(await session.step([2.0])) == [10.0]


async def test_a_call_wakes_a_client_that_had_nothing_left(shell: Shell) -> None:
    async with peer_of(in_turn(hang_up_after_shake, welcome)) as url, shell.connect(url) as client:
        async with asyncio.timeout(10):
            while client.connected:
                await asyncio.sleep(0.01)
        assert client.over is None
        assert (await client.open("sum")).id == "s0"


async def hang_up_after_shake(peer: Peer) -> None:
    await peer.shake()
    peer.writer.close()


async def test_a_lost_session_leaves_the_others(shell: Shell) -> None:
    async def first(peer: Peer) -> None:
        await welcome(peer)
        await peer.read()
        await peer.tell(replace(opened(1), max_queue_frames=8, resume_token="other"))
        for seq in range(10):
            await peer.read()
            await peer.tell(m.Output(0, seq, frame(1.0)))
        peer.writer.close()

    async def second(peer: Peer) -> None:
        await peer.shake()
        for handle in range(2):
            message = await peer.read()
            assert isinstance(message, m.Open)
            await peer.tell(replace(opened(handle), resume_token="two"))
        while not isinstance(message := await peer.read(), m.Frame):
            pass
        await peer.tell(m.Output(1, 0, frame(7.0)))

    async with peer_of(in_turn(first, second)) as url, shell.connect(url, max_replay_bytes=500, **QUICK) as client:
        session, other = await client.open("sum"), await client.open("sum")
        for _ in range(10):
            await session.step([1.0])
        assert list(await other.step([1.0])) == [7.0]
        with pytest.raises(SessionLostError):
            await session.step([1.0])


async def test_skipped_frames_and_times(shell: Shell) -> None:
    events: list[Any] = []

    async def script(peer: Peer) -> None:
        await peer.shake()
        assert await peer.read() == m.Open(
            0, "sum", window=4, overload="drop_oldest", gap="reset_after", period_us=10_000, reset_after_us=500_000
        )
        await peer.tell(replace(opened(0), max_queue_frames=4))
        assert await peer.read() == m.Frame(0, 0, frame(1.0), 1, 70)
        await peer.tell(m.Skipped(0, 0, 1, False))
        assert await peer.read() == m.Frame(0, 1, frame(2.0, 3.0), 2, 10_070)
        await peer.tell(m.Output(0, 1, frame(5.0)))
        await peer.tell(m.Skipped(0, 2, 1, False))
        assert await peer.read() == m.Frame(0, 3, frame(4.0), 1, 90_000)
        await peer.tell(m.Output(0, 3, frame(7.0), filled=5, was_reset=True))
        assert await peer.read() == m.Reset(0, 3)
        await peer.tell(m.Ack(0, "reset", 3))
        assert await peer.read() == m.Rollback(0, b"then")
        await peer.tell(m.Ack(0, "rollback", 1))
        assert await peer.read() == m.Frame(0, 2, frame(8.0), 1, 100_000)
        await peer.tell(m.Output(0, 2, frame(8.0)))

    async with peer_of(script) as url, shell.connect(url, on_event=events.append) as client:
        session = await client.open(
            "sum", window=4, overload="drop_oldest", gap="reset_after", period_s=0.01, reset_after_s=0.5
        )
        with pytest.raises(SkippedError) as skipped:
            await session.step([1.0], time_us=70)
        assert (skipped.value.seq, skipped.value.is_stepped, skipped.value.retryable) == (0, False, False)
        frames = [Timed(10_070, [2.0]), Timed(20_070, [3.0]), Timed(90_000, [4.0])]
        got = [output async for output in session.stream(frames, chunk=3, window=3)]
        assert [(o.seq, float(o.y[0]), o.filled, o.was_reset) for o in got] == [(1, 5.0, 0, False), (3, 7.0, 5, True)]
        assert session.n_skipped == 2
        await session.reset(3)
        await session.rollback(b"then")
        assert session.next_seq == 2
        assert list(await session.step([8.0], time_us=100_000)) == [8.0]
        while len(events) < 2:  # the blocking shell calls hooks in threads of their own
            await asyncio.sleep(0.01)
        assert [(event.name, event.seq) for event in sorted(events, key=lambda event: event.seq)] == [
            ("skipped", 0),
            ("skipped", 2),
        ]
