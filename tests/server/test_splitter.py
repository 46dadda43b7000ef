"""Both splitters hear and refuse what the `websockets` library hears and refuses; a head at a time, and in steps."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from streamrnn.errors import OversizedError
from streamrnn.server.picows_splitter import PicowsSplitter
from streamrnn.server.splitter import BINARY, CLOSE, CONTINUED, PART, TEXT, Splitter
from tests.server.clients import masked

MAX_SIZE = 300
MAX_FRAGMENTS = 100

frames = st.one_of(
    st.builds(masked, st.binary(max_size=140), st.sampled_from([1, 2])),
    st.builds(masked, st.binary(max_size=400), st.sampled_from([1, 2])),
    st.builds(masked, st.binary(max_size=100), st.sampled_from([0, 1, 2, 8, 9, 10, 3]), st.booleans(), st.booleans()),
    st.builds(lambda n: masked(b"", n_bytes=n), st.sampled_from([301, 65536, 2**40])),
    st.just(masked(b"\x03\xe8", 8)),
    st.just(masked(b"part", 2, fin=False)),
    st.just(masked(b"last", 0)),
    st.just(bytes([0xC2]) + masked(b"reserved")[1:]),
    st.binary(min_size=1, max_size=20),
)


pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])


@pytest.fixture(params=[Splitter, PicowsSplitter])
def kind(request: pytest.FixtureRequest) -> type[Splitter]:
    """Each of them; that of `picows` asks for the loop that runs."""
    made: type[Splitter] = request.param
    return made


class Library:
    """What the library hears of a client's bytes: messages, pings, pongs and the close; and what it refuses."""

    def __init__(self) -> None:
        self.ws = ServerProtocol(state=State.OPEN, max_size=MAX_SIZE)
        self.log: list[Any] = []
        self._parts = b""
        self._opcode = 0

    def feed(self, chunk: bytes) -> None:
        """Feed it."""
        self.ws.receive_data(chunk)
        for event in self.ws.events_received():
            assert isinstance(event, Frame)
            if event.opcode >= CLOSE:
                self.log.append((int(event.opcode), bytes(event.data)))
                continue
            if event.opcode != CONTINUED:
                self._parts, self._opcode = b"", int(event.opcode)
            self._parts += event.data
            if event.fin:
                self.log.append((self._opcode, self._parts))

    @property
    def fault(self) -> type[Exception] | None:
        """What it refused the bytes with."""
        cause = self.ws.parser_exc
        return None if cause is None else OversizedError if isinstance(cause, PayloadTooBig) else type(cause)


class Ours:
    """The same of the splitter, until a close or a fault."""

    def __init__(self, kind: type[Splitter]) -> None:
        self.splitter = kind(MAX_SIZE, MAX_FRAGMENTS)
        self.log: list[Any] = []
        self.fault: type[Exception] | None = None
        self.is_over = False

    def feed(self, chunk: bytes) -> None:
        """Feed it."""
        if self.is_over:
            return
        self.splitter.put(chunk)
        try:
            while not self.is_over and (step := self.splitter.step()) is not None:
                if step is not PART:
                    self.log.append(step)
                    self.is_over = step[0] == CLOSE
        except (ProtocolError, OversizedError) as fault:
            self.fault = type(fault)
            self.is_over = True


def pieces(stream: bytes, seed: int) -> list[bytes]:
    """Cut a stream at random places."""
    rng = random.Random(seed)
    cuts = sorted(rng.sample(range(len(stream) + 1), min(len(stream), rng.choice([0, 1, 3, 20]))))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) if a < b]


def heard(kind: type[Splitter], stream: bytes, seed: int) -> tuple[Library, Ours]:
    """Both, after a stream in pieces."""
    library, ours = Library(), Ours(kind)
    for piece in pieces(stream, seed):
        library.feed(piece)
        ours.feed(piece)
    return library, ours


@settings(max_examples=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(frames, max_size=8), seed=st.integers(0, 1000))
async def test_it_hears_what_the_library_hears(kind, script, seed):
    library, ours = heard(kind, b"".join(script), seed)
    if ours.fault is ProtocolError and library.fault is None:
        library.feed(bytes(400))  # it waits for the payload before it refuses a frame by its head
    if library.log != ours.log or library.fault is not ours.fault:
        # It refuses a close that has no valid code by itself, as the connection does; one among fragments, which
        # section 5.4 allows; and a control frame that is longer than what is left of a message in fragments.
        assert library.log == ours.log[:-1]
        assert ours.log[-1][0] == CLOSE
        assert library.fault in (ProtocolError, UnicodeDecodeError)
    assert ours.splitter.is_empty or ours.is_over or library.ws.parser_exc is None


@pytest.mark.parametrize("n_bytes", [1, 2, 3, 7, 64, 10**6])
async def test_any_cut_gives_the_same(kind, n_bytes):
    stream = masked(b"x" * 70_000) + masked(b"part", 1, fin=False) + masked(b"?", 9) + masked(b"ed", 0) + masked(b"")
    splitter, got = kind(100_000, MAX_FRAGMENTS), []
    for at in range(0, len(stream), n_bytes):
        splitter.put(stream[at : at + n_bytes])
        while (step := splitter.step()) is not None:
            got.append(step)
    assert [step for step in got if step is not PART] == [
        (BINARY, b"x" * 70_000),
        (Opcode.PING, b"?"),
        (TEXT, b"parted"),
        (BINARY, b""),
    ]
    assert splitter.is_empty


async def test_what_is_not_dealt_with_is_kept_in_order(kind):
    splitter = kind(MAX_SIZE, MAX_FRAGMENTS)
    splitter.put(masked(b"one") + masked(b"two") + masked(b"three")[:4])
    assert splitter.step() == (BINARY, b"one")
    assert splitter.is_kept and not splitter.is_empty
    splitter.put(masked(b"three")[4:])
    assert [splitter.step(), splitter.step()] == [(BINARY, b"two"), (BINARY, b"three")]
    assert splitter.step() is None
    assert splitter.is_empty and not splitter.is_kept


@pytest.mark.parametrize(
    "head",
    [
        b"\x82\x00",
        b"\x83\x80",
        b"\xc2\x80",
        b"\xa9\x80",
        b"\x89\xfe\x00\x7e",
        b"\x09\x80",
        b"\x80\x80",
    ],
)
async def test_a_head_is_refused_before_its_frame_has_come(kind, head):
    splitter = kind(MAX_SIZE, MAX_FRAGMENTS)
    splitter.put(masked(b"x") + head)
    assert splitter.step() == (BINARY, b"x")
    with pytest.raises(ProtocolError):
        assert splitter.step() is None
        splitter.put(b"mask")  # a size in one byte has its mask before its end
        splitter.step()


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
async def test_a_size_is_refused_before_anything_is_kept_for_it(kind, cut):
    splitter = kind(MAX_SIZE, MAX_FRAGMENTS)
    head = masked(b"", n_bytes=MAX_SIZE + 1)[:4]
    splitter.put(head[:cut])
    if cut < 4:
        assert splitter.step() is None
        splitter.put(head[cut:])
    with pytest.raises(OversizedError, match="expected at most 300 bytes"):
        splitter.step()


async def test_fragments_are_bounded_in_size_and_number(kind):
    splitter = kind(MAX_SIZE, 3)
    splitter.put(masked(b"x" * 200, fin=False) + masked(b"", 9) + masked(b"x" * 101, 0))
    assert [splitter.step(), splitter.step()] == [PART, (Opcode.PING, b"")]
    with pytest.raises(OversizedError, match="expected at most 300 bytes"):
        splitter.step()
    splitter = kind(MAX_SIZE, 3)
    splitter.put(masked(b"", fin=False) + masked(b"", 0, fin=False) * 3)
    assert [splitter.step() for _ in range(3)] == [PART] * 3
    with pytest.raises(OversizedError, match="expected at most 3 fragments"):
        splitter.step()
