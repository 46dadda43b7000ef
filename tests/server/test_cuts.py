"""A dialogue cut at every byte, in either direction: nothing is lost, nothing doubled, and the bits are equal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
from streamrnn_client import connect

from streamrnn.stores import MemoryStore
from tests.server.clients import PATIENCE_S
from tests.server.stores import server_over
from tests.serving.house import offline, random_frames

N_FRAMES = 20
XS = random_frames(N_FRAMES)
YS = offline("lstm", XS)
END_OF_HEAD = b"\r\n\r\n"
EVERY = {"websockets": 1, "picows": 7}
"""Bytes from one cut to the next: what becomes of a lost connection is the same code on both."""


class Cutter:
    """A TCP proxy that drops both ends of its first connection when so many bytes have passed in one direction.

    Bytes of the handshake do not count: before it a client has nothing to lose.

    Attributes:
        n_passed: bytes of the first connection behind the handshake, to the server and to the client.
        n_connections: that were made.
    """

    def __init__(self, port: int, direction: int, cut_at: int | None) -> None:
        self._target = port
        self._direction = direction
        self._cut_at = cut_at
        self._writers: set[asyncio.StreamWriter] = set()
        self._pipes: set[asyncio.Task[None]] = set()
        self.n_passed = [0, 0]
        self.n_connections = 0

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Listen, and give the port."""
        listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield listener.sockets[0].getsockname()[1]
        finally:
            listener.close()
            for pipe in self._pipes:
                pipe.cancel()
            await asyncio.gather(*self._pipes, return_exceptions=True)
            for writer in self._writers:
                writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        is_first = self.n_connections == 1
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        pair = (writer, there_writer)
        self._writers |= set(pair)
        for direction, source, sink in ((0, reader, there_writer), (1, there_reader, writer)):
            pipe = asyncio.create_task(self._pipe(direction, source, sink, pair, is_first))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)

    async def _pipe(
        self,
        direction: int,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
        is_first: bool,
    ) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            sink.write(await source.readuntil(END_OF_HEAD))
            while chunk := await source.read(65536):
                if not is_first:
                    sink.write(chunk)
                    continue
                room = len(chunk)
                if direction == self._direction and self._cut_at is not None:
                    room = self._cut_at - self.n_passed[direction]
                sink.write(chunk[:room])
                self.n_passed[direction] += min(room, len(chunk))
                if room <= len(chunk) and direction == self._direction and self._cut_at is not None:
                    await sink.drain()
                    break
        for writer in pair:
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            writer.close()


async def dialogue(port: int) -> list[np.ndarray]:
    """Open a session, stream every frame, close; the outputs."""
    async with await connect(
        f"ws://127.0.0.1:{port}/", reconnect_first_s=0.01, reconnect_timeout_s=PATIENCE_S
    ) as client:
        session = await client.open("lstm")
        outputs = [output async for output in session.stream(XS, window=4)]
        await session.close()
    assert [output.seq for output in outputs] == list(range(N_FRAMES))
    return [output.y for output in outputs]


async def cut_at(server_port: int, direction: int, n_bytes: int | None) -> Cutter:
    """Play the dialogue once, cut there; check what came of it."""
    cutter = Cutter(server_port, direction, n_bytes)
    async with cutter.listening() as port:
        outputs = await asyncio.wait_for(dialogue(port), 2 * PATIENCE_S)
    assert len(outputs) == N_FRAMES, (direction, n_bytes)
    np.testing.assert_array_equal(np.stack(outputs), YS, err_msg=f"direction {direction}, byte {n_bytes}")
    return cutter


@pytest.mark.asyncio(loop_factories=["uvloop"])
@pytest.mark.parametrize("direction", [0, 1], ids=["to_the_server", "to_the_client"])
@pytest.mark.parametrize("make_store", [MemoryStore, None], ids=["store", "no_store"])
async def test_a_dialogue_cut_at_every_byte_loses_and_doubles_nothing(
    make_store: Callable[[], MemoryStore] | None, direction: int, transport: str
) -> None:
    async with server_over(make_store() if make_store else None, expire_ms=5000, expire_stored_ms=5000) as server:
        whole = await cut_at(server.port, direction, None)
        assert whole.n_connections == 1
        n_bytes = whole.n_passed[direction]
        assert n_bytes > 20 * N_FRAMES
        places = range(0, n_bytes, EVERY[transport])
        n_cut = 0
        for first in range(0, len(places), 16):
            batch = [cut_at(server.port, direction, at) for at in places[first : first + 16]]
            n_cut += sum(cutter.n_connections > 1 for cutter in await asyncio.gather(*batch))
        assert n_cut > len(places) // 2, "behind the last answer there is nothing to come back for"
        assert server.hub.tally.n_frames >= N_FRAMES * len(places)
