"""Two clients for tests: one on the websockets library, one on a raw socket."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from streamrnn.limits import Limits
from streamrnn.wire import messages as m
from streamrnn.wire.codec import MSGPACK, Codec

PATIENCE_S = 10.0
"""How long a test waits for what must come."""


class Client:
    """Typed messages over a real websocket."""

    def __init__(self, ws: ClientConnection, codec: Codec) -> None:
        self.ws = ws
        self.codec = codec
        self.log: list[Any] = []
        """Every message heard."""

    async def say(self, *messages: m.ClientMessage) -> None:
        """Send messages."""
        for message in messages:
            payload = self.codec.encode(message)
            await self.ws.send(payload.decode() if self.codec.is_text else payload)

    async def hear(self) -> Any:
        """Return the next message."""
        payload = await asyncio.wait_for(self.ws.recv(), PATIENCE_S)
        is_text = isinstance(payload, str)
        raw = payload.encode() if isinstance(payload, str) else payload
        self.log.append(self.codec.decode_server(raw, is_text))
        return self.log[-1]

    async def hear_until(self, kind: type) -> list[Any]:
        """Return all messages up to the first of type `kind`."""
        heard = [await self.hear()]
        while not isinstance(heard[-1], kind):
            heard.append(await self.hear())
        return heard

    async def open(self, handle: int, model: str = "lstm", session_id: str | None = None) -> m.Opened:
        """Open a session, which must succeed."""
        await self.say(m.Open(handle, model, session_id))
        reply = await self.hear()
        assert isinstance(reply, m.Opened), reply
        return reply

    async def close_code(self) -> int:
        """Return the code that the server closes the websocket with, and what it said before is lost."""
        await asyncio.wait_for(self.ws.wait_closed(), PATIENCE_S)
        assert self.ws.close_code is not None
        return self.ws.close_code


@contextlib.asynccontextmanager
async def client_of(port: int, protocol: str = MSGPACK) -> AsyncIterator[Client]:
    """Connect a client."""
    uri = f"ws://127.0.0.1:{port}/"
    async with connect(uri, subprotocols=[Subprotocol(protocol)], compression=None, max_size=None) as ws:
        yield Client(ws, Codec(protocol, Limits()))


def handshake(path: str = "/", protocol: str | None = MSGPACK, method: str = "GET", **headers: str) -> bytes:
    """The bytes of an opening handshake."""
    fields = {
        "Host": "localhost",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    if protocol is not None:
        fields["Sec-WebSocket-Protocol"] = protocol
    fields |= {name.replace("_", "-"): text for name, text in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items() if text)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def masked(payload: bytes, opcode: int = 2, fin: bool = True, mask: bool = True, n_bytes: int | None = None) -> bytes:
    """One websocket frame of a client; `n_bytes` overrides the declared size."""
    n = len(payload) if n_bytes is None else n_bytes
    flag = 0x80 if mask else 0
    if n < 126:
        size = bytes([flag | n])
    elif n < 65536:
        size = bytes([flag | 126]) + struct.pack("!H", n)
    else:
        size = bytes([flag | 127]) + struct.pack("!Q", n)
    head = bytes([(0x80 if fin else 0) | opcode]) + size
    if not mask:
        return head + payload
    key = bytes((n * 7 + i * 31 + 1) & 255 for i in range(4))  # fixed, so that test ids are
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


class Raw:
    """Bytes over a TCP socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, payload: bytes) -> None:
        """Write bytes."""
        self.writer.write(payload)
        await self.writer.drain()

    async def head(self) -> bytes:
        """Read up to the end of the HTTP headers."""
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE_S)

    async def frame(self) -> tuple[int, bytes]:
        """Read one websocket frame of the server: opcode and payload."""
        first, n = await asyncio.wait_for(self.reader.readexactly(2), PATIENCE_S)
        if n == 126:
            (n,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif n == 127:
            (n,) = struct.unpack("!Q", await self.reader.readexactly(8))
        assert first & 0x80, "the server does not fragment"
        return first & 15, await asyncio.wait_for(self.reader.readexactly(n), PATIENCE_S)

    async def rest(self) -> bytes:
        """Read to the end of the stream; a reset counts as the end."""
        try:
            return await asyncio.wait_for(self.reader.read(), PATIENCE_S)
        except ConnectionError:
            return b""


@contextlib.asynccontextmanager
async def raw_of(port: int, shake: bool = False) -> AsyncIterator[Raw]:
    """Connect a raw socket, and make the handshake if asked to."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    raw = Raw(reader, writer)
    try:
        if shake:
            await raw.send(handshake())
            assert b" 101 " in await raw.head()
        yield raw
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def error_in(payload: bytes) -> m.Error:
    """Decode an error message in MessagePack."""
    message = Codec(MSGPACK, Limits()).decode_server(payload, False)
    assert isinstance(message, m.Error), message
    return message


def close_in(payload: bytes) -> int:
    """The code of a close frame."""
    return int.from_bytes(payload[:2], "big")
