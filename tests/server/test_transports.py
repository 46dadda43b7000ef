"""Every transport hears, answers and refuses the same; what only one of them could do wrong is tried here."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import msgspec
import pytest

from streamrnn.errors import OptionError
from streamrnn.limits import Limits
from streamrnn.server.app import Server
from streamrnn.server.connection import Connection
from streamrnn.server.options import ServerOptions
from streamrnn.server.picows_splitter import PicowsConnection
from streamrnn.server.transports import TRANSPORTS
from streamrnn.server.workers.options import WorkerOptions
from streamrnn.wire import messages as m
from streamrnn.wire.codec import JSON, MSGPACK, Codec
from tests.server.clients import close_in, error_in, handshake, masked, raw_of
from tests.serving.house import MODELS

CODEC = Codec(MSGPACK, Limits())
OPEN = CODEC.encode(m.Open(1, "lstm"))
FLUSH = CODEC.encode(m.Flush(1))
CONNECTIONS = {"websockets": Connection, "picows": PicowsConnection}

WITHOUT_PICOWS = """
import sys
sys.modules["picows"] = None  # as if it were not installed
from streamrnn.errors import OptionError
from streamrnn.server.app import Server
Server({})
try:
    Server({}, transport="picows")
except OptionError as fault:
    print(fault)
"""


async def test_the_transport_that_was_asked_for_serves(server, transport):
    async with raw_of(server.port, shake=True):
        assert [type(one) for one in server.connections] == [CONNECTIONS[transport]]


def test_a_transport_that_there_is_not():
    with pytest.raises(OptionError, match="websockets and picows, got 'carrier pigeons'"):
        Server(MODELS, transport="carrier pigeons")


def test_only_who_asks_for_picows_needs_it():
    done = subprocess.run([sys.executable, "-c", WITHOUT_PICOWS], capture_output=True, text=True, check=True)
    assert "pip install 'streamrnn[fast]'" in done.stdout


async def played(server: Server, script: bytes, protocol: str = MSGPACK) -> list[tuple[int, bytes]]:
    """Send bytes behind a handshake; the server's frames, up to its close."""
    async with raw_of(server.port) as raw:
        await raw.send(handshake(protocol=protocol))
        await raw.head()
        await raw.send(script)
        frames = [await raw.frame()]
        while frames[-1][0] != 8:
            frames.append(await raw.frame())
        assert await raw.rest() == b""
    return frames


@pytest.mark.parametrize("connection", ["Upgrade", "keep-alive, Upgrade"])
async def test_a_browsers_handshake(server, connection):
    async with raw_of(server.port) as raw:
        await raw.send(handshake(Connection=connection))
        assert b" 101 " in await raw.head()


@pytest.mark.parametrize("cut", [1, 50, 7, 3])
async def test_a_head_in_two_pieces_with_a_message_behind_it(server, cut):
    stream = handshake() + masked(OPEN)
    at = len(handshake()) - cut
    async with raw_of(server.port) as raw:
        await raw.send(stream[:at])
        await asyncio.sleep(0.02)
        await raw.send(stream[at:])
        await raw.head()
        assert isinstance(CODEC.decode_server((await raw.frame())[1], False), m.Opened)


@pytest.mark.parametrize("bits", [0x40, 0x20, 0x10])
@pytest.mark.parametrize("opcode", [0, 1, 2, 8, 9, 10])
async def test_reserved_bits_are_refused(server, bits, opcode):
    bad = masked(b"", opcode)
    frames = await played(server, bytes([bad[0] | bits]) + bad[1:])
    assert [(frames[0][0], close_in(frames[0][1]))] == [(8, 1002)]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535])
async def test_close_codes_that_may_not_be_sent_are_refused(server, code):
    ((opcode, payload),) = await played(server, masked(code.to_bytes(2, "big"), 8))
    assert (opcode, close_in(payload)) == (8, 1002)


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1014, 3000, 4999])
async def test_a_close_is_answered_with_its_code_and_reason(server, code):
    asked = code.to_bytes(2, "big") + "grüße".encode()
    assert await played(server, masked(asked, 8) + masked(OPEN)) == [(8, asked)]


@pytest.mark.parametrize("script", [masked(b"\x03\xe8\xff", 8), masked(b"\x03\xe8" + b"\xed\xa0\x80", 8)])
async def test_a_reason_that_is_not_utf8(server, script):
    ((opcode, payload),) = await played(server, script)
    assert (opcode, close_in(payload)) == (8, 1007)


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b'"\xf4\x90\x80\x80"'])
@pytest.mark.parametrize("is_cut", [False, True])
async def test_text_that_is_not_utf8(server, text, is_cut):
    script = masked(text[:1], 1, fin=False) + masked(text[1:], 0) if is_cut else masked(text, 1)
    (_, told), (opcode, payload) = await played(server, script, JSON)
    assert Codec(JSON, Limits()).decode_server(told, True).code == "malformed"
    assert (opcode, close_in(payload)) == (8, 1007)


async def test_answers_to_what_came_before_a_fault_come_before_the_close(server):
    frames = await played(server, masked(OPEN) + masked(b"are you", 9) + masked(FLUSH) + masked(b"x" * 100_001))
    assert frames[0] == (10, b"are you") or frames[1] == (10, b"are you")
    told = [payload for opcode, payload in frames if opcode == 2]
    assert isinstance(CODEC.decode_server(told[0], False), m.Opened)
    assert CODEC.decode_server(told[1], False) == m.Ack(1, "flush", -1)
    assert error_in(told[2]).code == "too_large"
    assert close_in(frames[-1][1]) == 1009


async def test_nothing_is_read_after_a_fault(server):
    frames = await played(server, masked(b"\xc1") + masked(OPEN) * 50 + masked(b"", 9) + masked(OPEN, mask=False))
    assert close_in(frames[-1][1]) in (1007, 1002)
    assert server.hub.n_sessions == 0


async def test_tiny_frames_by_the_ten_thousand_are_all_answered_in_order(server):
    """More than one read takes, so the socket is left and come back to; nothing is lost or swapped."""
    n = 4000
    pings = b"".join(masked(i.to_bytes(2, "big"), 9) for i in range(n))
    async with raw_of(server.port, shake=True) as raw:
        await raw.send(masked(OPEN) + pings + masked(FLUSH) + masked(b"", 10) * n + masked(FLUSH))
        frames = [await raw.frame() for _ in range(n + 3)]
    assert [payload for opcode, payload in frames if opcode == 10] == [i.to_bytes(2, "big") for i in range(n)]
    told = [CODEC.decode_server(payload, False) for opcode, payload in frames if opcode == 2]
    assert isinstance(told[0], m.Opened) and told[1:] == [m.Ack(1, "flush", -1)] * 2


async def test_a_lone_reply_never_overtakes_those_before_it(serve):
    """One reply goes past the loop and several through it; with a reader that is slow both kinds have to wait."""
    server = await serve(max_outbox_bytes=4_000_000)
    n = 300
    async with raw_of(server.port, shake=True) as raw:
        raw.writer.transport.pause_reading()
        await raw.send(masked(OPEN))
        for i in range(n):
            await raw.send(masked(CODEC.encode(m.Snapshot(1))) * (1 + i % 3) + masked(i.to_bytes(2, "big"), 9))
            if i % 10 == 0:
                await asyncio.sleep(0.001)
        raw.writer.transport.resume_reading()
        pongs, kinds = [], []
        while len(pongs) < n:
            opcode, payload = await raw.frame()
            if opcode == 10:
                pongs.append(int.from_bytes(payload, "big"))
            else:
                kinds.append(type(CODEC.decode_server(payload, False)))
    assert pongs == list(range(n))
    assert kinds[0] is m.Opened and set(kinds[1:]) == {m.Snapshotted}


def test_all_are_tried():
    assert set(CONNECTIONS) == set(TRANSPORTS)


async def test_a_worker_is_told_its_transport(transport):
    options = ServerOptions({}, port=0, transport=transport)
    told = msgspec.json.decode(msgspec.json.encode(WorkerOptions(options, 0, True, "info")), type=WorkerOptions)
    async with told.server.make() as server, raw_of(server.port, shake=True):
        assert [type(one) for one in server.connections] == [CONNECTIONS[transport]]
