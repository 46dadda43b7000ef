"""One socket: what is broken, slow or silent ends it, and it alone."""

from __future__ import annotations

import asyncio
import socket

import numpy as np
import pytest

from streamrnn.limits import Limits
from streamrnn.server.header import FIN_BINARY, header
from streamrnn.wire import messages as m
from streamrnn.wire.codec import JSON, MSGPACK, Codec
from tests.server.clients import PATIENCE_S, client_of, close_in, error_in, handshake, masked, raw_of
from tests.serving.house import frame, offline, random_frames, values

CODEC = Codec(MSGPACK, Limits())
OPEN = CODEC.encode(m.Open(1, "lstm"))


async def settled(test, seconds=PATIENCE_S):
    """Wait until `test()` holds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not test():
        assert asyncio.get_running_loop().time() < deadline, "it never came to hold"
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("protocol", m.PROTOCOLS)
async def test_a_session_over_the_wire(server, protocol):
    xs = random_frames(50)
    async with client_of(server.port, protocol) as client:
        assert (await client.open(1)).model == "lstm"
        await client.say(*(frame(1, i, xs[i : i + 1]) for i in range(40)), frame(1, 40, xs[40:]), m.Close(1))
        replies = await client.hear_until(m.Closed)
    np.testing.assert_array_equal(values(replies, 1, 2), offline("lstm", xs))
    assert client.ws.close_code == 1000


async def test_the_socket_sends_small_packets_at_once(server):
    async with client_of(server.port) as client:
        await client.open(1)
        (connection,) = server.connections
        plug = connection._transport.get_extra_info("socket")
        assert plug.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_everything_in_one_packet(server):
    xs = random_frames(1)
    async with raw_of(server.port) as raw:
        await raw.send(handshake() + masked(OPEN) + masked(CODEC.encode(frame(1, 0, xs))))
        assert b" 101 " in await raw.head()
        replies = [CODEC.decode_server((await raw.frame())[1], False) for _ in range(2)]
    assert isinstance(replies[0], m.Opened)
    np.testing.assert_array_equal(values(replies, 1, 2), offline("lstm", xs))


async def test_byte_by_byte(server):
    async with raw_of(server.port) as raw:
        for byte in handshake() + masked(OPEN):
            await raw.send(bytes([byte]))
        assert b" 101 " in await raw.head()
        assert isinstance(CODEC.decode_server((await raw.frame())[1], False), m.Opened)


async def test_fragments_make_a_message_with_a_ping_in_between(server):
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(masked(OPEN[:5], 2, fin=False) + masked(b"are you there", 9))
        assert await raw.frame() == (10, b"are you there")
        await raw.send(masked(b"", 0, fin=False) * 100 + masked(OPEN[5:9], 0, fin=False) + masked(OPEN[9:], 0))
        assert isinstance(CODEC.decode_server((await raw.frame())[1], False), m.Opened)


@pytest.mark.parametrize(
    ("bad", "code", "close_code"),
    [
        (masked(b"\xc1"), "malformed", 1007),
        (masked(b""), "malformed", 1007),
        (masked(OPEN[:-3]), "malformed", 1007),
        (masked(b"\x91" * 50_000), "malformed", 1007),
        (masked(b"\xdd\xff\xff\xff\xff"), "malformed", 1007),
        (masked(b'{"type":"close","handle":1}', 1), "malformed", 1003),
        (masked(b"\xff\xfe", 1), "malformed", 1007),
        (masked(OPEN[:4], 1, fin=False) + masked(OPEN[4:], 0), "malformed", 1007),
        (masked(b"{", 1, fin=False) + masked(b"}", 0), "malformed", 1003),
        (masked(b"x" * 100_001), "too_large", 1009),
        (masked(b"", n_bytes=2**62), "too_large", 1009),
        (masked(b"x" * 60_000, fin=False) + masked(b"x" * 60_000, 0), "too_large", 1009),
        (masked(CODEC.encode(m.Frame(1, 0, b"", 129))), "too_large", 1009),
    ],
)
async def test_bad_messages_are_answered_and_end_the_connection(server, bad, code, close_code):
    async with client_of(server.port) as bystander, raw_of(server.port, shake=True) as raw:
        await bystander.open(1)
        await raw.send(masked(OPEN) + bad + masked(OPEN))
        assert isinstance(CODEC.decode_server((await raw.frame())[1], False), m.Opened)
        fault = error_in((await raw.frame())[1])
        assert (fault.code, fault.scope) == (code, "connection")
        assert "expected" in fault.message
        opcode, payload = await raw.frame()
        assert (opcode, close_in(payload)) == (8, close_code)
        assert await raw.rest() == b""
        await settled(lambda: server.hub.roster.n_parked == 1)  # it can be resumed
        await bystander.say(m.Flush(1))
        assert await bystander.hear() == m.Ack(1, "flush", -1)


@pytest.mark.parametrize(
    "bad",
    [
        masked(OPEN, mask=False),
        masked(OPEN, 3),
        masked(b"x" * 126, 9),
        masked(b"more", 0),
        masked(OPEN, fin=False) + masked(OPEN),
        bytes([0xC2, 0x80, 0, 0, 0, 0]),
        masked(b"\x00", 8),
        masked(b"\x03\xe7", 8),
    ],
)
async def test_a_broken_websocket_is_closed_with_1002(server, bad):
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(bad)
        opcode, payload = await raw.frame()
        assert (opcode, close_in(payload)) == (8, 1002)
        assert await raw.rest() == b""
    await settled(lambda: not server.hub.peers)


@pytest.mark.parametrize("payload", [b"{}", b"[", b'{"type":"close","handle":' + b"[" * 50_000])
async def test_json_that_is_no_message(server, payload):
    async with client_of(server.port, JSON) as client:
        await client.ws.send(payload.decode())
        assert (await client.hear()).code == "malformed"
        assert await client.close_code() == 1007


async def test_a_client_that_vanishes_leaves_its_session_parked(server):
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(masked(OPEN) + masked(CODEC.encode(frame(1, 0, random_frames(20)))) + masked(OPEN)[:9])
        await raw.frame()
        assert server.hub.n_sessions == 1
        raw.writer.transport.abort()
    await settled(lambda: server.hub.roster.n_parked == 1)
    assert not server.connections
    assert (server.hub.n_sessions, server.hub.n_pending, len(server.hub.peers)) == (1, 0, 0)
    assert server.hub.engine.n_sessions == 0


@pytest.mark.parametrize("code", [1001, 1002, 3000, 4000])
async def test_a_client_that_closes_with_another_code_than_1000_leaves_its_session_parked(server, code):
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(masked(OPEN) + masked(code.to_bytes(2, "big"), 8))
        await raw.rest()
    await settled(lambda: not server.connections)
    assert (server.hub.n_sessions, server.hub.roster.n_parked) == (1, 1)


async def test_a_close_without_a_code_leaves_its_session_parked(server):
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(masked(OPEN) + masked(b"", 8))
        await raw.rest()
    await settled(lambda: not server.connections)
    assert (server.hub.n_sessions, server.hub.roster.n_parked) == (1, 1)


async def test_a_websocket_that_is_closed_properly(server):
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(masked(OPEN) + masked(b"\x03\xe8bye", 8) + masked(OPEN))
        frames = [await raw.frame()]
        if frames[-1][0] == 2:
            frames.append(await raw.frame())
        assert frames[-1] == (8, b"\x03\xe8bye")
        assert await raw.rest() == b""
    await settled(lambda: not server.connections and not server.hub.n_sessions)


async def test_a_handshake_that_never_ends(serve):
    server = await serve(handshake_timeout_ms=60)
    async with raw_of(server.port) as silent, raw_of(server.port) as slow, client_of(server.port) as client:
        await slow.send(b"GET / HTTP/1.1\r\n")
        assert await silent.rest() == b""
        assert await slow.rest() == b""
        await client.open(1)


async def test_a_client_that_does_not_close_after_the_error_is_dropped(server, monkeypatch):
    monkeypatch.setattr("streamrnn.server.line.CLOSE_TIMEOUT_NS", 50_000_000)
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(masked(b"\xc1"))
        await settled(lambda: not server.connections)


async def test_silence_is_pinged_and_an_answer_keeps_the_connection(serve):
    server = await serve(ping_interval_ms=30, ping_timeout_ms=60)
    async with client_of(server.port) as client, raw_of(server.port, shake=True) as raw:
        await client.open(1)
        opcode, payload = await raw.frame()
        assert opcode == 9
        await raw.send(masked(payload, 10))
        assert (await raw.frame())[0] == 9
        opcode, payload = await raw.frame()  # no answer this time
        assert (opcode, close_in(payload)) == (8, 1011)
        assert await raw.rest() == b""
        await client.say(m.Flush(1))
        assert await client.hear() == m.Ack(1, "flush", -1)


async def test_one_who_sends_frames_is_not_pinged(serve):
    server = await serve(ping_interval_ms=200, ping_timeout_ms=200)
    async with raw_of(server.port, shake=True) as raw:
        for _ in range(20):
            await raw.send(masked(CODEC.encode(m.Close(1))))
            assert (await raw.frame())[0] == 2
            await asyncio.sleep(0.02)


async def test_a_slow_reader_is_dropped_and_no_other(serve):
    server = await serve(max_outbox_bytes=100_000, max_queue_frames=128)
    xs = random_frames(128)
    async with client_of(server.port) as bystander, raw_of(server.port, shake=True) as raw:
        await bystander.open(1)
        plug = raw.writer.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.writer.transport.pause_reading()
        await raw.send(masked(CODEC.encode(m.Open(1, "gru"))))
        seq = 0
        with pytest.raises((ConnectionError, AssertionError)):
            while seq < 128 * 20_000:
                await raw.send(masked(CODEC.encode(frame(1, seq, xs))) + masked(CODEC.encode(m.Flush(1))))
                seq += 128
                assert not raw.writer.transport.is_closing()
        assert server.hub.tally.n_slow_readers == 1
        await settled(lambda: server.hub.roster.n_parked == 1)
        await bystander.say(frame(1, 0, xs[:1]))
        np.testing.assert_array_equal(values([await bystander.hear()], 1, 2), offline("lstm", xs[:1]))


async def test_replies_of_a_tick_leave_in_one_write(server):
    async with client_of(server.port) as client:
        for handle in range(8):
            await client.open(handle)
        (connection,) = server.connections
        writes = count_writes(connection)
        rows = random_frames(8)
        packet = b"".join(masked(CODEC.encode(frame(handle, 0, rows[handle : handle + 1]))) for handle in range(8))
        client.ws.transport.write(packet)
        replies = [await client.hear() for _ in range(8)]
        assert [reply.handle for reply in replies] == list(range(8))
        assert len(writes) == 1
        assert server.hub.tally.batch.total == 8 and server.hub.tally.n_ticks == 1


def count_writes(connection):
    """Record the writes of a connection from now on."""
    writes: list[bytes] = []
    inner = connection._transport

    class Counting:
        def write(self, chunk):
            writes.append(chunk)
            inner.write(chunk)

        def __getattr__(self, name):
            return getattr(inner, name)

    connection._transport = Counting()
    return writes


@pytest.mark.parametrize("n_bytes", [0, 125, 126, 65535, 65536, 2**32])
def test_header_is_that_of_the_library(n_bytes):
    from websockets.frames import Frame, Opcode

    class Sized(bytes):
        def __len__(self):
            return n_bytes

    assert header(FIN_BINARY, n_bytes) == Frame(Opcode.BINARY, Sized()).serialize(mask=False)
