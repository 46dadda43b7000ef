"""Attacks: each is answered as the protocol says, and a bystander's outputs are those of an undisturbed session."""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
from contextlib import asynccontextmanager, suppress

import msgspec
import numpy as np
import pytest

from streamrnn.limits import Limits
from streamrnn.wire import messages as m
from streamrnn.wire.codec import JSON, MSGPACK, Codec
from tests.server.clients import PATIENCE_S, client_of, close_in, error_in, handshake, masked, raw_of
from tests.serving.house import frame, offline, random_frames, values

CODEC = Codec(MSGPACK, Limits())
OPEN = masked(CODEC.encode(m.Open(1, "lstm")))
FLUSH = masked(CODEC.encode(m.Flush(1)))
TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
MAX_U32 = 2**32 - 1
TABLE, ARRAY, BIN, EXT = b"\xdf", b"\xdd", b"\xc6", b"\xc9"
N_TINY = 5000


@asynccontextmanager
async def bystander(server):
    """An ordinary session, half of it before an attack and half after it."""
    xs = random_frames(60, seed=9)
    async with client_of(server.port) as client:
        await client.open(1)
        await client.say(*(frame(1, i, xs[i : i + 1]) for i in range(30)), m.Flush(1))
        heard = await client.hear_until(m.Ack)
        yield client
        await client.say(*(frame(1, i, xs[i : i + 1]) for i in range(30, 60)), m.Flush(1))
        heard += await client.hear_until(m.Ack)
    np.testing.assert_array_equal(values(heard, 1, 2), offline("lstm", xs))


async def answers(raw, n: int) -> list[m.Message]:
    """The next n messages."""
    return [CODEC.decode_server((await raw.frame())[1], False) for _ in range(n)]


async def gone(raw) -> bytes:
    """Wait for the end of a connection; what came before it."""
    return await raw.rest()


# ---- before there is a websocket


async def test_handshakes_a_byte_at_a_time(serve):
    server = await serve(handshake_timeout_ms=200)
    async with bystander(server):

        async def drip(raw) -> bytes:
            with suppress(ConnectionError):
                for byte in handshake()[:-1]:
                    await raw.send(bytes([byte]))
                    await asyncio.sleep(0.002)
            return await raw.rest()

        async with raw_of(server.port) as one, raw_of(server.port) as other:
            assert await asyncio.gather(drip(one), drip(other)) == [b"", b""]


async def test_connections_that_say_nothing(serve):
    server = await serve(handshake_timeout_ms=100)
    async with bystander(server):
        plugs = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(50)]
        assert [await asyncio.wait_for(reader.read(), PATIENCE_S) for reader, _ in plugs] == [b""] * 50
        for _, writer in plugs:
            writer.close()


@pytest.mark.parametrize(
    "head", [b"GET / HTTP/1.1\r\n" + b"X-Header: again\r\n" * 20_000, b"GET / HTTP/1.1\r\nX-Header: " + b"a" * 300_000]
)
async def test_a_head_without_end(server, head):
    async with bystander(server), raw_of(server.port) as raw:
        with suppress(ConnectionError):
            await raw.send(head)
        assert (await raw.rest())[:12] in (b"HTTP/1.1 431", b"")  # a reset may overtake the answer


async def test_websockets_that_answer_no_ping(serve):
    server = await serve(ping_interval_ms=100, ping_timeout_ms=100)
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(OPEN)
        assert [(await raw.frame())[0] for _ in range(2)] == [BINARY, PING]
        opcode, payload = await raw.frame()
        assert (opcode, close_in(payload)) == (CLOSE, 1011)
    async with bystander(server):
        pass


async def test_more_connections_than_are_taken(serve):
    server = await serve(max_connections=4)
    async with bystander(server):
        seen = []
        plugs = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(8)]
        for reader, writer in plugs:
            writer.write(handshake())
            seen.append((await asyncio.wait_for(reader.readuntil(b"\r\n"), PATIENCE_S))[9:12])
        assert seen == [b"101"] * 3 + [b"503"] * 5
        for _, writer in plugs:
            writer.close()


async def test_coming_and_vanishing(server):
    async with bystander(server):
        for _ in range(40):
            async with raw_of(server.port, shake=True) as raw:
                await raw.send(OPEN)
                assert isinstance((await answers(raw, 1))[0], m.Opened)
                raw.writer.transport.abort()
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while server.connections:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.005)
    assert server.hub.engine.n_sessions == 0


async def test_a_half_closed_socket(server):
    async with bystander(server), raw_of(server.port, shake=True) as raw:
        await raw.send(OPEN)
        await answers(raw, 1)
        raw.writer.write_eof()
        await gone(raw)


# ---- websocket frames


async def test_tiny_messages_in_one_buffer(server):
    async with bystander(server), raw_of(server.port, shake=True) as raw:
        await raw.send(OPEN + FLUSH * N_TINY)
        heard = await answers(raw, 1 + N_TINY)
        assert isinstance(heard[0], m.Opened)
        assert set(heard[1:]) == {m.Ack(1, "flush", -1)}


async def test_tiny_garbage_in_one_buffer(server):
    async with bystander(server), raw_of(server.port, shake=True) as raw:
        await raw.send(masked(b"\xc1") * N_TINY)
        assert error_in((await raw.frame())[1]).code == "malformed"
        assert close_in((await raw.frame())[1]) == 1007
        assert await gone(raw) == b""


async def test_a_flood_of_pings(server):
    async with bystander(server), raw_of(server.port, shake=True) as raw:
        await raw.send(masked(b"", PING) * N_TINY)
        assert {await raw.frame() for _ in range(N_TINY)} == {(PONG, b"")}


async def pour(raw, chunk: bytes) -> None:
    """Send without reading, until the server has had enough."""
    raw.writer.transport.pause_reading()
    with suppress(ConnectionError):
        for _ in range(10_000):
            await asyncio.wait_for(raw.send(chunk), PATIENCE_S)


@pytest.mark.parametrize("chunk", [masked(bytes(125), PING) * 200, masked(CODEC.encode(m.Snapshot(1))) * 200])
async def test_answers_that_are_not_read(serve, chunk):
    server = await serve(max_outbox_bytes=200_000)
    async with bystander(server), raw_of(server.port, shake=True) as raw:
        await raw.send(OPEN)
        await answers(raw, 1)
        pouring = asyncio.create_task(pour(raw, chunk))
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not server.hub.tally.n_slow_readers:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.005)
        pouring.cancel()
        with suppress(asyncio.CancelledError):
            await pouring
        raw.writer.transport.abort()


@pytest.mark.parametrize(
    ("bad", "code", "close_code"),
    [
        (masked(bytes(1000), fin=False) + masked(bytes(1000), CONT, fin=False) * 200, "too_large", 1009),
        (masked(b"", fin=False) + masked(b"", CONT, fin=False) * N_TINY + masked(b"\xc1", CONT), "malformed", 1007),
        (masked(b"", n_bytes=2**62), "too_large", 1009),
        (masked(bytes(100_001)), "too_large", 1009),
        (bytes([0xC2]) + masked(bytes(10))[1:], None, 1002),
        (masked(bytes(10), mask=False), None, 1002),
        (b"\xf7" * 1000, None, 1002),
    ],
)
async def test_websocket_frames_that_are_wrong(server, bad, code, close_code):
    async with bystander(server), raw_of(server.port, shake=True) as raw:
        await raw.send(bad)
        if code is not None:
            assert error_in((await raw.frame())[1]).code == code
        opcode, payload = await raw.frame()
        assert (opcode, close_in(payload)) == (CLOSE, close_code)
        await gone(raw)


async def test_a_fragmented_message_that_is_never_finished(serve):
    server = await serve(ping_interval_ms=100, ping_timeout_ms=100)
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(masked(bytes(50_000), fin=False))
        assert (await raw.frame())[0] == PING
        opcode, payload = await raw.frame()
        assert (opcode, close_in(payload)) == (CLOSE, 1011)
    async with bystander(server):
        pass


# ---- messages


def text(word: str) -> bytes:
    """A short MessagePack string."""
    return bytes([0xA0 | len(word)]) + word.encode()


def sized(head: bytes, n: int) -> bytes:
    """The head of a MessagePack value of n entries or bytes."""
    return head + struct.pack(">I", n)


FIELD = sized(TABLE, 4) + text("type") + text("frames")
MSGPACK_BOMBS = {
    "nested": b"\x91" * 90_000,
    "nested in a field": sized(TABLE, 2) + text("type") + text("open") + text("model") + b"\x81" * 90_000,
    "array": sized(ARRAY, MAX_U32),
    "handles": FIELD + text("handles") + sized(ARRAY, MAX_U32),
    "payload": FIELD + text("payload") + sized(BIN, MAX_U32),
    "keys": sized(TABLE, MAX_U32) + b"\xa1a\xc0" * 30_000,
    "extension": FIELD + text("payload") + sized(EXT, 90_000) + b"\x05" + bytes(90_000),
    "again": sized(TABLE, 900) + (text("handles") + sized(ARRAY, 80) + bytes(80)) * 900,
}
JSON_BOMBS = {
    "nested": b"[" * 90_000,
    "nested objects": b'{"a":' * 18_000,
    "digits": b'{"type":"close","handle":' + b"1" * 90_000 + b"}",
    "exponent": b'{"type":"generate","handle":1,"seq":0,"n":1,"temperature":1e' + b"9" * 90_000 + b"}",
    "escapes": b'{"type":"' + b"\\u0041" * 15_000 + b'"}',
    "no base64": b'{"type":"frame","handle":1,"seq":0,"payload":"' + b"!" * 90_000 + b'"}',
}


@pytest.mark.parametrize("name", MSGPACK_BOMBS)
async def test_bombs_in_messagepack(server, name):
    async with bystander(server), raw_of(server.port, shake=True) as raw:
        await raw.send(masked(MSGPACK_BOMBS[name]))
        assert error_in((await raw.frame())[1]).code == "malformed"
        assert close_in((await raw.frame())[1]) == 1007


@pytest.mark.parametrize("name", JSON_BOMBS)
async def test_bombs_in_json(server, name):
    async with bystander(server), client_of(server.port, JSON) as client:
        await client.ws.send(JSON_BOMBS[name].decode())
        assert (await client.hear()).code == "malformed"
        assert await client.close_code() == 1007


async def test_more_beside_the_payload_than_is_read(serve):
    server = await serve(max_message_bytes=4 * 1024 * 1024, max_fields_bytes=100_000)
    n = 30_000
    plain = {"type": "frames", "handles": [1] * n, "seqs": [2**40] * n, "payload": bytes(4)}
    async with bystander(server), raw_of(server.port, shake=True) as raw:
        await raw.send(masked(msgspec.msgpack.encode(plain)))
        fault = error_in((await raw.frame())[1])
        assert fault.code == "too_large" and "beside the payload" in fault.message
        assert close_in((await raw.frame())[1]) == 1009


async def test_frames_of_65536_handles(serve):
    server = await serve(max_message_bytes=4 * 1024 * 1024)
    plain = {"type": "frames", "handles": [1] * 65536, "seqs": [1] * 65536, "payload": bytes(65536)}
    async with bystander(server), raw_of(server.port, shake=True) as raw:
        await raw.send(masked(msgspec.msgpack.encode(plain)))
        assert error_in((await raw.frame())[1]).code == "too_large"
        assert close_in((await raw.frame())[1]) == 1009


async def test_frames_of_handles_that_are_not_open(server):
    message = m.Frames(list(range(50, 178)), [0] * 128, b"")
    async with bystander(server), raw_of(server.port, shake=True) as raw:
        await raw.send(OPEN + masked(CODEC.encode(message)) * 5 + FLUSH)
        heard = await answers(raw, 1 + 5 * 128 + 1)
        assert isinstance(heard[-1], m.Ack)
        assert {reply.code for reply in heard[1:-1]} == {"unknown_session"}


# ---- sessions


async def codes(client, *messages: m.ClientMessage) -> list[str]:
    """The codes of the errors that answer messages, and `ok` for other answers."""
    await client.say(*messages)
    heard = [await client.hear() for _ in messages]
    return [reply.code if isinstance(reply, m.Error) else "ok" for reply in heard]


async def test_more_sessions_than_there_are_slots(server):
    async with bystander(server), client_of(server.port) as client:
        assert await codes(client, *(m.Open(i, "lstm") for i in range(80))) == ["ok"] * 63 + ["at_capacity"] * 17


async def test_more_sessions_than_a_connection_may_have(serve):
    server = await serve(max_sessions_per_connection=8)
    async with bystander(server), client_of(server.port) as client:
        assert await codes(client, *(m.Open(i, "lstm") for i in range(12))) == ["ok"] * 8 + ["at_capacity"] * 4


async def test_open_and_close_in_a_loop(server):
    async with bystander(server), client_of(server.port) as client:
        assert await codes(client, *[m.Open(1, "lstm"), m.Close(1)] * 500) == ["ok"] * 1000


@pytest.mark.parametrize(
    "settings",
    [
        "[" * 65536,
        "1" * 65536,
        json.dumps({"kind": "ctc", "beam": 10**9, "endpoint": None}),
        json.dumps({"kind": "ctc", "max_symbols": 10**9, "endpoint": None}),
        json.dumps({"kind": "labels", "smooth_s": 1e300}),
        json.dumps({"kind": "speakers", "enrolled": {f"s{i}": [1.0] * 9 for i in range(1000)}}),
    ],
)
async def test_decoders_that_are_too_much(serve, settings):
    server = await serve(max_message_bytes=1024 * 1024)
    async with bystander(server), client_of(server.port) as client:
        assert await codes(client, *[m.Open(2, "token", decoder=settings)] * 3) == ["bad_option"] * 3
    assert server.hub.engine.n_sessions == 0


def forged(digest: str, n_decoder: int, n_payload: int) -> bytes:
    """A snapshot under a right checksum that no session has made."""
    head = struct.pack("<8sHH32sQQHII", b"SRNNSNAP", 1, 1, bytes.fromhex(digest), 0, 0, 1, n_decoder, n_payload)
    body = head + b"x" + bytes(n_decoder + n_payload)
    return body + hashlib.blake2b(body, digest_size=16).digest()


@pytest.mark.parametrize(("n_decoder", "n_payload"), [(0, 80_000), (80_000, 0), (80_000, None), (MAX_U32, MAX_U32)])
async def test_snapshots_that_are_too_large(serve, n_decoder, n_payload):
    server = await serve(max_decoder_bytes=4096)
    digest = server.models["lstm"].digest
    state_bytes = 4 * server.models["lstm"].program.state_size
    if n_decoder == MAX_U32:
        blob = struct.pack("<8sHH32sQQHII", b"SRNNSNAP", 1, 1, bytes.fromhex(digest), 0, 0, 1, n_decoder, n_payload)
    else:
        blob = forged(digest, n_decoder, state_bytes if n_payload is None else n_payload)
    async with bystander(server), client_of(server.port) as client:
        await client.open(1)
        assert await codes(client, m.Restore(2, blob), m.Rollback(1, blob), m.Flush(1)) == ["bad_snapshot"] * 2 + ["ok"]


async def test_snapshots_that_are_broken(server):
    async with bystander(server), client_of(server.port) as client:
        await client.open(1)
        await client.say(m.Snapshot(1))
        whole = (await client.hear()).payload
        broken = [whole[:-1], whole[:20], b"", whole + b"x", bytes(len(whole)), whole[:60] + b"\x01" + whole[61:]]
        assert await codes(client, *(m.Restore(2, blob) for blob in broken)) == ["bad_snapshot"] * len(broken)
        assert await codes(client, m.Restore(2, whole)) == ["ok"]


@pytest.mark.parametrize("n", [65, 65536])
async def test_more_tokens_than_may_be_unanswered(server, n):
    async with bystander(server), client_of(server.port) as client:
        await client.say(m.Open(1, "token", decoder='{"kind":"sampler","input":"logit"}'))
        await client.hear()
        await client.say(frame(1, 0, np.zeros((1, 1), np.float32)), m.Flush(1))
        await client.hear_until(m.Ack)
        assert await codes(client, m.Generate(1, 1, n)) == ["bad_option"]


async def test_far_more_frames_than_may_wait(server):
    xs = random_frames(1, seed=3)
    async with bystander(server), raw_of(server.port, shake=True) as raw:
        await raw.send(OPEN + b"".join(masked(CODEC.encode(frame(1, seq, xs))) for seq in range(1000)) + FLUSH)
        n_answered = 0
        while not isinstance(reply := (await answers(raw, 1))[0], m.Ack):
            n_answered += reply.n if isinstance(reply, m.Output) else isinstance(reply, m.Error)
        assert n_answered == 1000
