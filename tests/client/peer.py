"""A scripted peer on loopback, for what a real server never does: silence, noise, a cut in the middle of a message."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from streamrnn_client import messages as m
from streamrnn_client.codec import codec_of
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import CLOSING
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

CODEC = codec_of("msgpack")
PORT = m.Port(1)


class Peer:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.socket = ServerProtocol(subprotocols=[Subprotocol(m.PROTOCOLS["msgpack"])], max_size=None)
        self._frames: list[Frame] = []

    async def shake(self) -> None:
        """Answer the handshake."""
        while True:
            self.socket.receive_data(await self._read())
            for event in self.socket.events_received():
                assert isinstance(event, Request)
                self.socket.send_response(self.socket.accept(event))
                await self.flush()
                return

    async def frame(self) -> Frame:
        """The next websocket frame of the client."""
        while not self._frames:
            self.socket.receive_data(await self._read())
            self._frames += [event for event in self.socket.events_received() if isinstance(event, Frame)]
        return self._frames.pop(0)

    async def read(self) -> m.Message:
        """The client's next message."""
        while True:
            frame = await self.frame()
            if frame.opcode is Opcode.BINARY:
                return CODEC.decode(bytes(frame.data))

    async def open(self) -> m.Open:
        """Shake hands and open the session that the client asks for."""
        await self.shake()
        message = await self.read()
        assert isinstance(message, m.Open)
        await self.tell(opened(message.handle))
        return message

    async def tell(self, message: m.Message) -> None:
        """Send a message."""
        self.socket.send_binary(CODEC.encode(message))
        await self.flush()

    async def flush(self) -> None:
        """Send what the websocket wants to send."""
        for data in self.socket.data_to_send():
            self.writer.write(data)
        await self.writer.drain()

    async def close_politely(self) -> None:
        """Read until the client closes, and answer that."""
        while self.socket.state is not CLOSING:
            self.socket.receive_data(await self._read())
            await self.flush()

    async def read_on(self) -> None:
        """Read whatever comes and answer nothing, until the client is gone."""
        with suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass

    async def _read(self) -> bytes:
        data = await self.reader.read(1 << 16)
        if not data:
            raise ConnectionResetError
        return data


def opened(handle: int) -> m.Opened:
    """The answer to `open`."""
    return m.Opened(handle, f"s{handle}", "sum", "00", 0, False, PORT, PORT)


@asynccontextmanager
async def peer_of(script: Callable[[Peer], Awaitable[object]]) -> AsyncIterator[str]:
    """Listen, and play the script to each connection; then end with the client."""
    tasks: set[asyncio.Task[None]] = set()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(task := asyncio.current_task())  # type: ignore[arg-type]
        assert task is not None
        try:
            peer = Peer(reader, writer)
            await script(peer)
            await peer.close_politely()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(play, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        faults = await asyncio.gather(*tasks, return_exceptions=True)
        for fault in faults:
            if isinstance(fault, Exception):
                raise fault


def frame(*values: float) -> bytes:
    """Values as a payload."""
    return struct.pack(f"<{len(values)}f", *values)
