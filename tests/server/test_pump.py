"""Long ticks in a thread, and senders that are too far ahead: the loop stays alive, nothing is lost or different."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest

from streamrnn.engine.tick import Tick
from streamrnn.wire import messages as m
from tests.server.clients import PATIENCE_S, client_of, handshake, raw_of
from tests.server.test_connection import settled
from tests.serving.house import frame, offline, random_frames, values

N_FRAMES = 40


@pytest.fixture
def threaded(monkeypatch):
    """Every tick leaves the loop's thread."""
    monkeypatch.setattr("streamrnn.server.pace.INLINE_NS", -1)


@pytest.fixture
def gate(threaded, monkeypatch):
    """Ticks stay in their thread until the gate is opened."""
    opened = threading.Event()
    run = Tick.run

    def held(tick):
        assert opened.wait(PATIENCE_S)
        run(tick)

    monkeypatch.setattr(Tick, "run", held)
    yield opened
    opened.set()


@pytest.fixture
def behind(monkeypatch):
    """Stepping is behind as soon as anything waits."""
    monkeypatch.setattr("streamrnn.server.pace.BEHIND_NS", 1)
    monkeypatch.setattr("streamrnn.server.pace.MIN_BEHIND_FRAMES", 0)


async def one_by_one(port, seed, n_sessions=1):
    """Send frames of some sessions, as columns where there are several, and compare what is answered."""
    xs = [random_frames(N_FRAMES, seed=seed + i) for i in range(n_sessions)]
    async with client_of(port) as client:
        for handle in range(n_sessions):
            await client.open(handle)
        for i in range(N_FRAMES):
            if n_sessions == 1:
                await client.say(frame(0, i, xs[0][i : i + 1]))
            else:
                rows = np.stack([one[i] for one in xs])
                await client.say(m.Frames(list(range(n_sessions)), [i] * n_sessions, rows.tobytes()))
        heard = []
        for handle in range(n_sessions):
            await client.say(m.Flush(handle))
            heard += await client.hear_until(m.Ack)
        for handle, one in enumerate(xs):
            np.testing.assert_array_equal(values(heard, handle, 2), offline("lstm", one))


@pytest.mark.parametrize("how", ["threaded", "behind"])
async def test_many_at_once_are_answered_bit_by_bit(serve, how, request):
    request.getfixturevalue(how)
    server = await serve()
    await asyncio.gather(*(one_by_one(server.port, 10 * i, n_sessions=1 + 5 * (i % 2)) for i in range(6)))
    assert (server.pump.n_threaded > 0) is (how == "threaded")


async def test_while_a_tick_is_long_pages_and_handshakes_are_answered_and_messages_wait(serve, gate):
    server = await serve()
    xs = random_frames(5)
    async with client_of(server.port) as client:
        await client.open(1)
        await client.say(frame(1, 0, xs[:2]))
        await settled(lambda: server.pump.is_stepping)
        async with raw_of(server.port) as raw:
            await raw.send(handshake("/v2/health/ready", None))
            assert (await raw.head()).startswith(b"HTTP/1.1 200")
        async with client_of(server.port) as other:
            await client.say(frame(1, 2, xs[2:]), m.Close(1))
            await other.say(m.Flush(1))
            await asyncio.sleep(0.05)
            assert server.pump.is_stepping and server.hub.n_pending == 2
            gate.set()
            assert (await other.hear()).code == "unknown_session"
        heard = await client.hear_until(m.Closed)
    np.testing.assert_array_equal(values(heard, 1, 2), offline("lstm", xs))


async def test_who_vanishes_while_a_tick_is_long_goes_on_where_it_was(serve, gate):
    server = await serve()
    xs = random_frames(3)
    async with client_of(server.port) as client:
        opened = await client.open(1, session_id="s")
        await client.say(frame(1, 0, xs[:2]))
        await settled(lambda: server.pump.is_stepping)
        client.ws.transport.abort()
        await settled(lambda: not server.connections)
    gate.set()
    await settled(lambda: server.hub.roster.n_parked == 1)
    async with client_of(server.port) as client:
        await client.say(m.Open(1, "lstm", "s", opened.resume_token, 0), frame(1, 2, xs[2:]), m.Flush(1))
        heard = await client.hear_until(m.Ack)
        np.testing.assert_array_equal(values(heard, 1, 2, first_seq=1), offline("lstm", xs)[1:])


async def test_a_stop_waits_for_a_tick_and_answers_it(serve, gate):
    server = await serve()
    xs = random_frames(2)
    async with client_of(server.port) as client:
        await client.open(1)
        await client.say(frame(1, 0, xs))
        await settled(lambda: server.pump.is_stepping)
        threading.Timer(0.05, gate.set).start()
        server.begin_stop()
        heard = await client.hear_until(m.Closed)
        np.testing.assert_array_equal(values(heard, 1, 2), offline("lstm", xs))


async def test_a_tick_that_fails_in_its_thread_ends_its_sessions_alone(serve, threaded, monkeypatch):
    server = await serve()
    async with client_of(server.port) as client, client_of(server.port) as other:
        await client.open(1)
        await other.open(1)
        with monkeypatch.context() as patch:
            patch.setattr(Tick, "run", lambda tick: 1 / 0)
            await client.say(frame(1, 0, random_frames(1)))
            error, closed = await client.hear(), await client.hear()
        assert (error.code, closed) == ("internal", m.Closed(1, "error", 0))
        xs = random_frames(3)
        await other.say(frame(1, 0, xs), m.Flush(1))
        np.testing.assert_array_equal(values(await other.hear_until(m.Ack), 1, 2), offline("lstm", xs))


async def test_who_is_far_ahead_is_not_read_and_others_are(serve, behind, threaded, monkeypatch):
    run = Tick.run
    monkeypatch.setattr(Tick, "run", lambda tick: (time.sleep(0.002), run(tick)))
    server = await serve(max_queue_frames=64, max_run_frames=1)
    xs = random_frames(64)
    async with client_of(server.port) as ahead, client_of(server.port) as other:
        await ahead.open(1)
        await other.open(1)
        await ahead.say(*(frame(1, i, xs[i : i + 1]) for i in range(40)))
        await settled(lambda: server.pump.is_behind)
        await ahead.say(*(frame(1, i, xs[i : i + 1]) for i in range(40, 64)))
        await settled(lambda: bool(server.backlog._held))
        await other.say(frame(1, 0, xs[:1]), m.Flush(1))
        np.testing.assert_array_equal(values(await other.hear_until(m.Ack), 1, 2), offline("lstm", xs[:1]))
        await ahead.say(m.Flush(1))
        np.testing.assert_array_equal(values(await ahead.hear_until(m.Ack), 1, 2), offline("lstm", xs))
        await settled(lambda: not server.pump.is_behind and not server.backlog._held)
