"""What only `picows` could do wrong: disagree with the splitter about a fault, or keep memory."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamrnn.errors import StreamrnnError
from streamrnn.limits import Limits
from streamrnn.server.app import Server
from streamrnn.server.picows_splitter import BUFFER_BYTES, PORTION_BYTES, PicowsConnection, PicowsSplitter
from streamrnn.server.splitter import BINARY, PING, Splitter, Step
from streamrnn.wire import messages as m
from streamrnn.wire.codec import MSGPACK, Codec
from tests.server.clients import error_in, masked, raw_of
from tests.server.test_splitter import MAX_FRAGMENTS, MAX_SIZE, frames, pieces
from tests.serving.house import MODELS

CODEC = Codec(MSGPACK, Limits())
FLUSH = masked(CODEC.encode(m.Flush(1)))
pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])


def steps_of(splitter: Splitter, chunks: list[bytes]) -> tuple[list[Step], list[tuple[bool, bool]], str]:
    """What it takes of each chunk, whether it is empty and between messages after it; and the fault at the end."""
    steps: list[Step] = []
    states: list[tuple[bool, bool]] = []
    for chunk in chunks:
        splitter.put(chunk)
        try:
            while (step := splitter.step()) is not None:
                steps.append(step)
        except Exception as fault:
            return (
                steps,
                states,
                f"{type(fault).__name__}: {fault.message if isinstance(fault, StreamrnnError) else fault}",
            )
        assert not splitter.is_kept
        states.append((splitter.is_empty, splitter.is_between))
    return steps, states, ""


odd = st.sampled_from(
    [
        bytes([0x82, 0xFE, 0, 5]) + bytes(9),  # a size in more bytes than it needs
        bytes([0x82, 0xFF]) + (200).to_bytes(8, "big") + bytes(204),
        masked(b"", n_bytes=2**63),
        *(
            masked(close, 8)
            for close in (b"", b"\x03", b"\x03\xec", b"\x03\xe8\xff", b"\x13\x88", b"\x03\xe8" + b"x" * 123)
        ),
        *(bytes([bad[0] | bits]) + bad[1:] for bad in (masked(b"x", 9), masked(b"x" * 200)) for bits in (0x10, 0x20)),
    ]
)


@settings(max_examples=1000)
@given(script=st.lists(frames | odd, max_size=8), seed=st.integers(0, 1000))
async def test_it_agrees_with_the_splitter_after_every_piece(script, seed):
    chunks = pieces(b"".join(script), seed)
    expected = steps_of(Splitter(MAX_SIZE, MAX_FRAGMENTS), chunks)
    assert steps_of(PicowsSplitter(MAX_SIZE, MAX_FRAGMENTS), chunks) == expected


@pytest.mark.parametrize("n_bytes", [1017, 4096, PORTION_BYTES, PORTION_BYTES + 1, 100_000])
async def test_a_long_frame_and_thousands_of_empty_ones(n_bytes):
    stream = masked(b"x" * 1_000_000) + masked(b"", 9) * 5000
    chunks = [stream[at : at + n_bytes] for at in range(0, len(stream), n_bytes)]
    steps, states, fault = steps_of(PicowsSplitter(2_000_000, 1), chunks)
    assert steps == [(BINARY, b"x" * 1_000_000)] + [(PING, b"")] * 5000
    assert states[-1] == (True, True) and fault == ""


async def test_long_messages_keep_no_memory():
    limits = Limits(max_message_bytes=2_000_000, drain_ms=200)
    long = masked(CODEC.encode(m.Restore(1, bytes(1_500_000))))
    async with Server(MODELS, port=0, limits=limits, transport="picows") as server, raw_of(server.port, True) as raw:
        await raw.send(long)
        assert error_in((await raw.frame())[1]).scope == "session"
        (connection,) = server.connections
        assert isinstance(connection, PicowsConnection)
        assert space_of(connection) <= 2 * BUFFER_BYTES
        await raw.send(long + FLUSH[:5])  # the next frame has begun, so the buffer has to be kept
        assert error_in((await raw.frame())[1]).scope == "session"
        await raw.send(FLUSH[5:])
        assert error_in((await raw.frame())[1]).of == "flush"
        assert space_of(connection) <= 2 * BUFFER_BYTES


def space_of(connection: PicowsConnection) -> int:
    """What is free in the buffer of `picows`, which is the whole of it between two frames."""
    splitter = connection._splitter
    assert isinstance(splitter, PicowsSplitter)
    return len(splitter._get_space(0))
