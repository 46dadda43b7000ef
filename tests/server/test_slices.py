"""What a connection has sent at once is read in slices: in order, others in between, and forgotten with it."""

from __future__ import annotations

import asyncio
import gc

import pytest

from streamrnn.limits import Limits
from streamrnn.server.connection import Connection
from streamrnn.server.handshake import Handshake, Opening
from streamrnn.server.picows_splitter import Frames, Wire
from streamrnn.server.splitter import Splitter
from streamrnn.wire import messages as m
from streamrnn.wire.codec import MSGPACK, Codec
from tests.server.clients import PATIENCE_S, client_of, close_in, handshake, masked, raw_of
from tests.server.test_connection import settled

CODEC = Codec(MSGPACK, Limits())
OPEN = CODEC.encode(m.Open(1, "lstm"))
N_MANY = 2000


@pytest.fixture
def thin(monkeypatch):
    """Slices of one message."""
    monkeypatch.setattr("streamrnn.server.backlog.SLICE_NS", 0)
    monkeypatch.setattr("streamrnn.server.backlog.TURN_NS", 0)


async def test_many_messages_at_once_are_answered_in_order_and_others_in_between(server, thin):
    async with client_of(server.port) as bystander, raw_of(server.port, shake=True) as raw:
        await bystander.open(1)
        flood = b"".join(masked(CODEC.encode(m.Close(handle))) for handle in range(N_MANY))
        await raw.send(masked(OPEN) + flood[:-5])
        await bystander.say(m.Flush(1))
        await bystander.hear()
        (connection,) = [one for one in server.connections if one._is_waiting]  # it has more, and keeps it
        await raw.send(flood[-5:])
        assert isinstance(CODEC.decode_server((await raw.frame())[1], False), m.Opened)
        answers = [CODEC.decode_server((await raw.frame())[1], False) for _ in range(N_MANY)]
        assert [answer.handle for answer in answers] == list(range(N_MANY))
        await settled(lambda: not connection._is_waiting)
        await raw.send(masked(b"?", 9))
        assert await raw.frame() == (10, b"?")


async def test_pings_fragments_and_messages_keep_their_order(server, thin):
    async with raw_of(server.port, shake=True) as raw:
        script = b""
        for handle in range(50):
            half = CODEC.encode(m.Close(handle))
            script += masked(half[:3], 2, fin=False) + masked(bytes([handle]), 9) + masked(half[3:], 0)
        await raw.send(script)
        pings, answers = [], []
        while len(pings) + len(answers) < 100:
            opcode, payload = await raw.frame()
            (pings if opcode == 10 else answers).append(payload)
    assert pings == [bytes([handle]) for handle in range(50)]
    assert [CODEC.decode_server(answer, False).handle for answer in answers] == list(range(50))


async def test_a_close_behind_many_messages_is_heard(server, thin):
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(masked(OPEN) + masked(CODEC.encode(m.Flush(1))) * 300 + masked(b"\x03\xe8", 8) + masked(OPEN))
        frames = []
        while not frames or frames[-1][0] != 8:
            frames.append(await raw.frame())
        assert frames[-1] == (8, b"\x03\xe8") and len(frames) == 302
        assert await raw.rest() == b""
    await settled(lambda: not server.connections and not server.hub.n_sessions)


async def test_a_fault_ends_what_is_kept(server, thin):
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(masked(OPEN) + masked(b"\xc1") + masked(CODEC.encode(m.Flush(1))) * N_MANY)
        assert (await raw.frame())[0] == (await raw.frame())[0] == 2
        opcode, payload = await raw.frame()
        assert (opcode, close_in(payload)) == (8, 1007)
        assert await raw.rest() == b""
    await settled(lambda: not server.connections)


async def test_a_client_that_vanishes_takes_along_what_is_kept(server, thin):
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(masked(OPEN) + masked(CODEC.encode(m.Flush(1))) * N_MANY)
        await raw.frame()
        for connection in list(server.connections):
            connection.abort()
        await raw.rest()
    await settled(lambda: server.hub.roster.n_parked == 1 and not server.connections)
    async with client_of(server.port) as client:
        await client.open(1)


async def test_a_stop_does_not_wait_for_what_is_kept(server, thin):
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(masked(OPEN) + masked(CODEC.encode(m.Close(2))) * 100_000)
        await raw.frame()
        server.begin_stop()
        await asyncio.wait_for(server.stopped.wait(), PATIENCE_S)
        assert not server.connections


async def test_handshakes_wait_their_turn_too(server, thin):
    raws = [raw_of(server.port) for _ in range(20)]
    opened = [await raw.__aenter__() for raw in raws]
    for raw in opened:
        raw.writer.write(handshake() + masked(OPEN))
    for raw in opened:
        assert b" 101 " in await raw.head()
        assert isinstance(CODEC.decode_server((await raw.frame())[1], False), m.Opened)
    for shut in raws:
        await shut.__aexit__(None, None, None)


async def test_the_oldest_of_too_many_handshakes_is_dropped(serve):
    server = await serve(max_handshakes=2)
    async with raw_of(server.port) as first, raw_of(server.port) as second, raw_of(server.port) as third:
        assert await first.rest() == b""
        for raw in (second, third):
            await raw.send(handshake())
            assert b" 101 " in await raw.head()
        async with client_of(server.port) as client:
            await client.open(1)
    assert not server.shaking


@pytest.mark.parametrize("begun", [masked(OPEN)[:5], masked(OPEN, fin=False), masked(OPEN)[:1]])
async def test_a_message_that_is_not_finished_ends_the_connection(serve, begun):
    server = await serve(message_timeout_ms=60)
    async with client_of(server.port) as bystander, raw_of(server.port, shake=True) as raw:
        await bystander.open(1)
        await raw.send(masked(OPEN) + begun)
        assert isinstance(CODEC.decode_server((await raw.frame())[1], False), m.Opened)
        opcode, payload = await raw.frame()
        assert (opcode, close_in(payload)) == (8, 1008)
        assert b"expected a message to be whole within 60 ms" in payload
        await settled(lambda: server.hub.roster.n_parked == 1)
        await bystander.say(m.Flush(1))
        assert await bystander.hear() == m.Ack(1, "flush", -1)


async def test_dripping_bytes_or_empty_fragments_do_not_prolong_a_message(serve):
    server = await serve(message_timeout_ms=100, ping_interval_ms=50)
    async with raw_of(server.port, shake=True) as drip, raw_of(server.port, shake=True) as empty:

        async def drizzle():
            drip.writer.write(masked(b"", n_bytes=1000))
            empty.writer.write(masked(b"", fin=False))
            while True:
                drip.writer.write(b"x")
                empty.writer.write(masked(b"", 0, fin=False) + masked(b"", 9))
                await asyncio.sleep(0.002)

        drizzling = asyncio.create_task(drizzle())
        reason = b"expected a message to be whole within 100 ms"
        assert reason in await drip.rest() and reason in await empty.rest()
        drizzling.cancel()


async def test_messages_that_end_in_the_middle_of_every_packet_are_not_late(serve):
    server = await serve(message_timeout_ms=100)
    stream = masked(CODEC.encode(m.Close(1))) * 400
    n_bytes = len(stream) // 400
    async with raw_of(server.port, shake=True) as raw:
        for at in range(3, len(stream), n_bytes):
            await raw.send(stream[at - 3 if at == 3 else at : at + n_bytes])
            assert (await raw.frame())[0] == 2
            await asyncio.sleep(0.001)


async def test_more_fragments_than_the_limit_are_too_large(serve):
    server = await serve(max_fragments=10)
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(masked(OPEN, fin=False) + masked(b"", 0, fin=False) * 8 + masked(b"", 0))
        assert isinstance(CODEC.decode_server((await raw.frame())[1], False), m.Opened)
        await raw.send(masked(OPEN, fin=False) + masked(b"", 0, fin=False) * 100)
        answer = CODEC.decode_server((await raw.frame())[1], False)
        assert answer.code == "too_large" and "expected at most 10 fragments" in answer.message
        assert close_in((await raw.frame())[1]) == 1009


async def test_one_who_pings_and_does_not_read_is_dropped(serve):
    server = await serve(max_outbox_bytes=10_000)
    async with raw_of(server.port, shake=True) as raw:
        raw.writer.transport.pause_reading()
        flood = masked(b"x" * 125, 9) * 1000
        with pytest.raises((ConnectionError, AssertionError)):
            for _ in range(1000):
                await raw.send(flood)
                assert not raw.writer.transport.is_closing()
        await settled(lambda: not server.connections)
        assert server.hub.tally.n_slow_readers == 1


KINDS = (Connection, Frames, Handshake, Opening, Splitter, Wire)


def alive():
    """Objects of the transport; by their type, since some of other modules warn when they are asked for a class."""
    return [one for one in gc.get_objects() if issubclass(type(one), KINDS)]


async def test_a_connection_that_is_gone_needs_no_garbage_collector(server):
    gc.collect()
    before = {id(one): one for one in alive()}  # those of other tests, held so that no id is used again
    gc.disable()
    try:
        for script in (
            handshake() + masked(OPEN) + masked(b"\x03\xe8", 8),
            handshake() + masked(b"half", fin=False) + masked(b"\x03\xe9", 8),
            handshake() + masked(b"\xc1"),
            handshake() + masked(b"", 7),
            handshake("/v2/health/live"),
            handshake("/nowhere"),
            b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345",
            b"x" * 10_000,
            b"\r\n\r\n",
        ):
            for _ in range(5):
                async with raw_of(server.port) as raw:
                    await raw.send(script)
                    await raw.rest()
        await settled(lambda: not server.connections)
        await asyncio.sleep(0.05)
        assert [one for one in alive() if id(one) not in before] == []
    finally:
        gc.enable()
