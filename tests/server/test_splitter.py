"""With the splitter in front, the library sees, says and refuses exactly what it would without."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from streamrnn.server.splitter import Splitter
from tests.server.clients import masked

MAX_SIZE = 300

frames = st.one_of(
    st.builds(masked, st.binary(max_size=140), st.sampled_from([1, 2])),
    st.builds(masked, st.binary(max_size=400), st.sampled_from([1, 2])),
    st.builds(masked, st.binary(max_size=140), st.sampled_from([0, 1, 2, 8, 9, 10, 3]), st.booleans(), st.booleans()),
    st.builds(lambda n: masked(b"", n_bytes=n), st.sampled_from([301, 65536, 2**40])),
    st.just(masked(b"\x03\xe8", 8)),
    st.just(masked(b"part", 2, fin=False)),
    st.just(masked(b"last", 0)),
    st.binary(min_size=1, max_size=20),
)


class Heard:
    """What a server hears of a connection: messages, and what the library sent by itself."""

    def __init__(self) -> None:
        self.ws = ServerProtocol(state=State.OPEN, max_size=MAX_SIZE)
        self.log: list[Any] = []

    def library(self, chunk: bytes) -> None:
        """Feed the library."""
        self.ws.receive_data(chunk)
        for event in self.ws.events_received():
            assert isinstance(event, Frame)
            self.log.append((int(event.opcode), event.fin, bytes(event.data)))

    def split(self, splitter: Splitter, chunk: bytes) -> None:
        """Feed the splitter, as the connection does."""
        for part in splitter.feed(chunk):
            if isinstance(part, bytes):
                self.library(part)
            elif self.ws.state is State.OPEN:
                self.log.append((1 if part[0] else 2, True, bytes(part[1])))


def pieces(stream: bytes, seed: int) -> list[bytes]:
    """Cut a stream at random places."""
    rng = random.Random(seed)
    cuts = sorted(rng.sample(range(len(stream) + 1), min(len(stream), rng.choice([0, 1, 3, 20]))))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) if a < b]


@settings(max_examples=400)
@given(script=st.lists(frames, max_size=8), seed=st.integers(0, 1000))
def test_it_changes_nothing(script, seed):
    stream = b"".join(script)
    alone, behind, splitter = Heard(), Heard(), Splitter(MAX_SIZE)
    for piece in pieces(stream, seed):
        alone.library(piece)
        behind.split(splitter, piece)
    # The library answers a fault once it sees it; behind the splitter it sees a frame when that is whole. Pad both.
    if alone.ws.state is not behind.ws.state:
        alone.library(bytes(400))
        behind.split(splitter, bytes(400))
    assert behind.log == alone.log
    assert behind.ws.data_to_send() == alone.ws.data_to_send()
    assert behind.ws.state is alone.ws.state
    assert repr(behind.ws.close_sent) == repr(alone.ws.close_sent)


def test_plain_messages_do_not_reach_the_library():
    splitter = Splitter(MAX_SIZE)
    stream = masked(b"one") + masked(b"two" * 50, Opcode.TEXT) + masked(b"")
    assert splitter.feed(stream) == [(False, b"one"), (True, b"two" * 50), (False, b"")]


@pytest.mark.parametrize("n_bytes", [1, 2, 3, 7, 64])
def test_it_waits_for_what_is_not_whole(n_bytes):
    splitter = Splitter(100_000)
    stream = masked(b"x" * 70_000) + masked(b"y" * 200)
    got = []
    for at in range(0, len(stream), n_bytes):
        got += splitter.feed(stream[at : at + n_bytes])
    assert got == [(False, b"x" * 70_000), (False, b"y" * 200)]


def test_an_unmasked_frame_is_passed_on_at_once():
    splitter = Splitter(MAX_SIZE)
    assert splitter.feed(masked(b"x") + b"\x82\x00") == [(False, b"x"), b"\x82\x00"]


def test_a_frame_that_is_too_large_is_passed_on_before_it_has_arrived():
    head = masked(b"", n_bytes=MAX_SIZE + 1)
    splitter = Splitter(MAX_SIZE)
    assert splitter.feed(head) == [head]
    assert splitter.feed(b"more") == [b"more"]
