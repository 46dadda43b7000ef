"""`picows` cuts frames as the library does, says nothing by itself, and keeps no more memory than it needs."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.protocol import State
from websockets.server import ServerProtocol

from streamrnn.limits import Limits
from streamrnn.server import picows_parser
from streamrnn.server.app import Server
from streamrnn.server.picows_connection import PicowsConnection
from streamrnn.server.picows_parser import PORTION_BYTES, Parser
from streamrnn.wire import messages as m
from streamrnn.wire.codec import MSGPACK, Codec
from tests.server.clients import error_in, masked, raw_of
from tests.server.test_connection import settled
from tests.server.test_splitter import MAX_SIZE, frames, pieces
from tests.serving.house import MODELS

CODEC = Codec(MSGPACK, Limits())
FLUSH = masked(CODEC.encode(m.Flush(1)))
Heard = list[tuple[int, bytes]]


def parser_into(heard: Heard, max_size: int = MAX_SIZE) -> Parser:
    """A parser that notes the first byte and payload of every frame."""
    return Parser(
        lambda payload, is_text: heard.append((0x81 if is_text else 0x82, payload)),
        lambda first, payload: heard.append((first, payload)),
        max_size,
    )


def feed(parser: Parser, stream: bytes) -> tuple[int, str] | None:
    """Feed bytes in portions that fit, up to a fault."""
    while stream:
        room = parser.get_space(0)[:PORTION_BYTES]
        n = min(len(room), len(stream))
        room[:n] = stream[:n]
        fault = parser.feed(n)
        if fault is not None:
            return fault
        stream = stream[n:]
    return None


def as_the_library_hears(stream: bytes) -> tuple[Heard, int | None]:
    """Frames up to the first fault or close, and the code that it is closed with."""
    ws = ServerProtocol(state=State.OPEN, max_size=MAX_SIZE)
    ws.receive_data(stream)
    found = [event for event in ws.events_received() if isinstance(event, Frame)]
    heard = [(event.fin << 7 | event.opcode, bytes(event.data)) for event in found]
    return heard, None if ws.close_sent is None else int(ws.close_sent.code)


@settings(max_examples=300)
@given(script=st.lists(frames, max_size=8), seed=st.integers(0, 1000))
def test_frames_are_those_of_the_library(script, seed):
    stream = b"".join(script)
    expected, code = as_the_library_hears(stream)
    heard: Heard = []
    fault = None

    async def play() -> None:
        nonlocal fault
        parser = parser_into(heard)
        for piece in pieces(stream, seed):
            fault = feed(parser, piece)
            if fault is not None:
                break

    asyncio.run(play())
    # The library stops at a fault or a close; of some the connection judges, and `picows` hears on. It sees others
    # by their first two bytes, which the library reads with the rest of the frame.
    assert heard[: len(expected)] == expected
    if code is None and fault is not None:
        assert as_the_library_hears(stream + bytes(400))[1] == fault[0]
    elif code is None:
        assert heard == expected


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (masked(b"x", mask=False), 1002),
        (masked(b"x", 3), 1002),
        (masked(b"x", 11), 1002),
        (masked(b"x", 9, fin=False), 1002),
        (masked(b"x" * 126, 9), 1002),
        (masked(b"", n_bytes=MAX_SIZE + 1), 1009),
        (masked(b"", n_bytes=2**63), 1002),
        (bytes([0x82, 0xFE, 0, 5]) + bytes(9), 1002),
    ],
)
async def test_a_fault_comes_after_what_stood_before_it(bad, code):
    heard: Heard = []
    fault = feed(parser_into(heard), masked(b"one") + masked(b"two", 1) + bad)
    assert fault is not None and fault[0] == code
    assert heard == [(0x82, b"one"), (0x81, b"two")]


async def test_a_bug_behind_it_is_a_fault(caplog):
    def broken(payload: bytes, is_text: bool) -> None:
        raise KeyError("ours")

    assert feed(Parser(broken, lambda first, payload: None, MAX_SIZE), masked(b"x")) == (1011, "")
    assert "ours" in caplog.text


@pytest.mark.parametrize("n_bytes", [1017, 4096, 100_000])
async def test_a_long_frame_and_thousands_of_empty_ones(n_bytes):
    heard: Heard = []
    parser = parser_into(heard, 2_000_000)
    stream = masked(b"x" * 1_000_000) + masked(b"", 9) * 5000
    for at in range(0, len(stream), n_bytes):
        assert len(parser.get_space(0)) > 0
        assert feed(parser, stream[at : at + n_bytes]) is None
    assert [len(payload) for _, payload in heard] == [1_000_000] + [0] * 5000


async def test_long_messages_keep_no_memory():
    limits = Limits(max_message_bytes=2_000_000, drain_ms=200)
    long = masked(CODEC.encode(m.Restore(1, bytes(1_500_000))))
    async with Server(MODELS, port=0, limits=limits, transport="picows") as server, raw_of(server.port, True) as raw:
        await raw.send(long)
        assert error_in((await raw.frame())[1]).scope == "session"
        (shell,) = server.connections
        assert isinstance(shell, PicowsConnection)
        assert buffer_bytes(shell) <= picows_parser.BUFFER_BYTES
        await raw.send(long + FLUSH[:5])  # the next frame has begun, so the buffer has to be kept
        assert error_in((await raw.frame())[1]).scope == "session"
        await raw.send(FLUSH[5:])
        assert error_in((await raw.frame())[1]).of == "flush"
        await settled(lambda: buffer_bytes(shell) <= picows_parser.BUFFER_BYTES)


async def test_a_close_between_two_fragments_is_answered_with_its_code():
    async with Server(MODELS, port=0, transport="picows") as server, raw_of(server.port, True) as raw:
        await raw.send(masked(b"part", fin=False) + masked(b"\x03\xe8bye", 8) + masked(b"rest", 0))
        assert await raw.frame() == (8, b"\x03\xe8bye")
        assert await raw.rest() == b""


def buffer_bytes(shell: PicowsConnection) -> int:
    """All that is free in a parser's buffer, which is the whole of it between two frames."""
    assert shell._parser is not None
    return len(shell._parser.get_space(0))
