"""The whole server: law 6 over sockets, and a stop that loses nothing that was accepted."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
import sys
import time

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from streamrnn.errors import OptionError
from streamrnn.server.app import Server
from streamrnn.wire import messages as m
from streamrnn.wire.codec import JSON, MSGPACK
from tests.server.clients import PATIENCE_S, client_of, handshake, raw_of
from tests.server.conftest import LIMITS
from tests.serving.house import MODELS, frame, offline, random_frames, values

SIZES = {"lstm": 2, "gru": 5}


async def stream(port: int, protocol: str, seed: int) -> None:
    """Stream random chunks of several sessions over one connection, and check every output."""
    rng = np.random.default_rng(seed)
    models = {handle: "gru" if handle % 2 else "lstm" for handle in range(4)}
    frames = {handle: random_frames(150, seed=100 * seed + handle) for handle in models}
    sent = dict.fromkeys(models, 0)
    heard = []
    async with client_of(port, protocol) as client:
        for handle, model in models.items():
            await client.open(handle, model)
        while any(n < 150 for n in sent.values()):
            handle = int(rng.choice([handle for handle, n in sent.items() if n < 150]))
            n = int(rng.integers(1, 9))
            xs = frames[handle][sent[handle] : sent[handle] + n]
            if rng.random() < 0.1:  # a wrong frame in between changes nothing
                await client.say(frame(handle, sent[handle] + 5, xs))
            await client.say(frame(handle, sent[handle], xs))
            sent[handle] += len(xs)
            if rng.random() < 0.2:
                await client.say(m.Flush(handle))
                heard += await client.hear_until(m.Ack)
        for handle in models:
            await client.say(m.Close(handle))
            heard += await client.hear_until(m.Closed)
    for handle, model in models.items():
        about = [reply for reply in heard if isinstance(reply, m.Output) and reply.handle == handle]
        np.testing.assert_array_equal(values(about, handle, SIZES[model]), offline(model, frames[handle]))


async def test_law_6_over_sockets(serve):
    server = await serve(max_queue_frames=256)
    await asyncio.gather(*(stream(server.port, [MSGPACK, JSON][i % 2], seed=i) for i in range(6)))
    assert server.hub.tally.n_outputs == server.hub.tally.n_frames == 6 * 4 * 150
    assert server.hub.n_sessions == 0


async def test_the_port_is_taken(server):
    other = Server(MODELS, port=server.port, limits=LIMITS)
    with pytest.raises(OSError):
        await other.start()


@pytest.mark.parametrize("name", ["", "x" * 129])
def test_a_model_name_that_no_client_can_send(name):
    with pytest.raises(OptionError, match="1 to 128"):
        Server({name: MODELS["lstm"]})


async def test_a_graceful_stop_finishes_what_was_accepted(serve):
    server = await serve(drain_ms=400)
    xs = random_frames(60)
    async with client_of(server.port) as client, client_of(server.port) as idle, raw_of(server.port) as raw:
        await client.open(1)
        await client.say(frame(1, 0, xs[:30]), m.Flush(1))
        heard = await client.hear_until(m.Ack)
        begin = time.monotonic()
        stopping = asyncio.create_task(server.stop())
        assert (await client.hear()) == m.GoAway(300)
        assert (await idle.hear()) == m.GoAway(300)
        assert await idle.close_code() == 1001
        await raw.send(handshake())  # it was connected before the port was shut
        assert b" 503 " in await raw.head()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", server.port)
        await client.say(m.Open(2, "lstm"))
        assert (await client.hear()).code == "draining"
        await client.say(frame(1, 30, xs[30:]))
        heard += await client.hear_until(m.Closed)
        assert heard[-1] == m.Closed(1, "draining", 60)
        assert await client.close_code() == 1012
        await stopping
    assert time.monotonic() - begin < PATIENCE_S / 2
    np.testing.assert_array_equal(values(heard, 1, 2), offline("lstm", xs))
    assert server.hub.n_sessions == 0 and not server.connections


async def test_a_stop_ends_early_when_the_clients_go(serve):
    server = await serve(drain_ms=60_000)
    async with client_of(server.port) as client:
        await client.open(1)
        stopping = asyncio.create_task(server.stop())
        await client.hear_until(m.GoAway)
        await client.say(m.Close(1))
        assert isinstance(await client.hear(), m.Closed)
        assert await client.close_code() == 1001
    await asyncio.wait_for(stopping, 5)


async def test_a_client_that_does_not_react_is_dropped_at_the_deadline(serve):
    server = await serve(drain_ms=200)
    async with raw_of(server.port, shake=True):
        begin = time.monotonic()
        await server.stop()
        assert 0.1 < time.monotonic() - begin < PATIENCE_S / 2


async def test_stopping_twice_is_stopping_once(serve):
    server = await serve()
    await asyncio.gather(server.stop(), server.stop())
    await server.stop()


# ---- in a process of its own

MAIN = """
import logging, sys
from streamrnn.limits import Limits
from streamrnn.server.app import Server
from streamrnn.server.running import run
from tests.serving.house import MODELS
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
sys.exit(run(Server(MODELS, port=0, limits=Limits(drain_ms=int(sys.argv[1])), transport=sys.argv[2])))
"""


async def start_process(drain_ms: int, main: str = MAIN, *args: str) -> tuple[asyncio.subprocess.Process, int]:
    """Start `run` in a process and return it with its port, once it is ready."""
    command = (sys.executable, "-c", main, str(drain_ms), *args)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    port = 0
    while line := (await asyncio.wait_for(process.stderr.readline(), 60)).decode():
        if found := re.search(r"port (\d+)", line):
            port = int(found[1])
        if "ready" in line:
            return process, port
    raise AssertionError("the server did not start")


async def pump(port: int, seed: int) -> int:
    """Send frames as fast as they are answered until the server ends; return the outputs, each checked."""
    xs = random_frames(64, seed)
    n_sent = 0
    async with client_of(port) as client:
        await client.open(1)
        with contextlib.suppress(ConnectionClosed):
            while True:
                await client.say(frame(1, n_sent, xs[n_sent % 64 : n_sent % 64 + 1]))
                n_sent += 1
                if n_sent % 16 == 0:
                    await client.say(m.Flush(1))
                    await client.hear_until(m.Ack)
        with contextlib.suppress(ConnectionClosed):
            while True:
                await client.hear()
        assert client.ws.close_code == 1012
    assert any(isinstance(reply, m.GoAway) for reply in client.log)
    closed = [reply for reply in client.log if isinstance(reply, m.Closed)]
    outputs = [reply for reply in client.log if isinstance(reply, m.Output)]
    n_outputs = sum(reply.n for reply in outputs)
    assert [(reply.reason, reply.n_frames) for reply in closed] == [("draining", n_outputs)]
    np.testing.assert_array_equal(
        values(outputs, 1, 2), offline("lstm", np.resize(xs, (n_outputs, 3)).astype(np.float32))
    )
    return n_outputs


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_sigterm_under_load(transport):
    process, port = await start_process(1200, MAIN, transport)
    pumps = [asyncio.create_task(pump(port, seed)) for seed in range(4)]
    await asyncio.sleep(0.3)
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert min(await asyncio.wait_for(asyncio.gather(*pumps), 20)) > 0
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    assert time.monotonic() - begin < 1.2 + PATIENCE_S / 2
    assert process.returncode == 0
    assert out == b""


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_a_second_signal_ends_at_once(transport):
    process, port = await start_process(60_000, MAIN, transport)
    async with client_of(port) as client:
        await client.open(1)
        process.send_signal(signal.SIGINT)
        assert isinstance(await client.hear(), m.GoAway)
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 1


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_a_signal_while_idle_ends_at_once(transport):
    process, port = await start_process(60_000, MAIN, transport)
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 0
    with socket.socket() as plug, pytest.raises(ConnectionError):
        plug.connect(("127.0.0.1", port))
