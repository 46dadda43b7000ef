"""A server whose parties echo, in a thread; and a client that plays a case with it over TCP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from streamrnn.errors import StreamrnnError
from streamrnn.limits import Limits
from streamrnn.server.app import Server
from streamrnn.serving.hub import Hub
from streamrnn.wire.codec import MSGPACK
from streamrnn.wire.refusal import close_code_of
from tests.server.clients import PATIENCE_S, handshake
from tests.server.conformance.cases import CLOSE, PONG, Case, Frame, close

CHUNK = 256 * 1024
LIMITS = Limits(drain_ms=200, max_outbox_bytes=64 * 2**20)


class Echo:
    """A party that gives every message back."""

    is_text = False
    close_reason = ""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.sessions: dict[int, Any] = {}
        self.close_code: int | None = None
        self._messages: list[bytes] = []

    def receive(self, payload: bytes, is_text: bool, now_ns: int) -> None:
        """Take a message; no case has both kinds."""
        self.is_text = is_text
        self._messages.append(bytes(payload))
        self._hub.dirty[self] = None  # type: ignore[index]

    def take(self) -> list[bytes]:
        """Give back what waits."""
        messages, self._messages = self._messages, []
        return messages

    def fail(self, fault: StreamrnnError, now_ns: int) -> None:
        """End without a word, since an echo has no message for an error."""
        self.close(close_code_of(fault), now_ns)

    def close(self, code: int, now_ns: int) -> None:
        """End."""
        self.close_code = code if self.close_code is None else self.close_code
        self._hub.dirty[self] = None  # type: ignore[index]

    def go_away(self, deadline_ms: int, now_ns: int = 0) -> None:
        """End at once."""
        self.close(1001, now_ns)


@contextlib.contextmanager
def echoing(transport: str, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[int]:
    """Run a server on `transport` whose connections echo; its port."""
    started = threading.Event()
    ports: list[int] = []
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        server = Server({}, port=0, limits=LIMITS, transport=transport)
        server.hub.attach = lambda protocol: server.hub.admit(Echo(server.hub))  # type: ignore
        ended = asyncio.Event()
        async with server:
            ports.append(server.port)
            stop.append(lambda: loop.call_soon_threadsafe(ended.set))
            loop = asyncio.get_running_loop()
            started.set()
            await ended.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, name="echo")
    thread.start()
    assert started.wait(PATIENCE_S)
    try:
        yield ports[0]
    finally:
        stop[0]()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def play(case: Case, port: int) -> tuple[list[Frame], list[bytes], bytes | None]:
    """Play a case. Returns the messages, the pongs and the payload of the close that came."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plug:
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plug.sendall(handshake(protocol=MSGPACK))
        heard = bytearray()
        while b"\r\n\r\n" not in heard:
            heard += plug.recv(CHUNK)
        assert b" 101 " in heard
        reading = threading.Thread(target=read_all, args=(plug, heard))
        reading.start()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have heard enough
            for chunk in case.sent:
                plug.sendall(chunk)
            if case.code == 1000 and not case.is_closed_by_client:
                plug.sendall(close())
        reading.join(PATIENCE_S)
        assert not reading.is_alive(), "the server does not end the connection"
    frames = list(frames_in(bytes(heard[heard.index(b"\r\n\r\n") + 4 :])))
    assert frames and frames[-1][0] == CLOSE, f"expected a close at last, got {frames[-1:]}"
    messages = [one for one in frames if one[0] < CLOSE]
    return messages, [payload for opcode, payload in frames if opcode == PONG], frames[-1][1]


def read_all(plug: socket.socket, heard: bytearray) -> None:
    """Read to the end."""
    while chunk := plug.recv(CHUNK):
        heard += chunk


def frames_in(stream: bytes) -> Iterator[Frame]:
    """Cut what a server sent into frames, which must be whole, unfragmented and without masks."""
    at = 0
    while at < len(stream):
        first, size = stream[at], stream[at + 1]
        at += 2
        if size >= 126:
            n = 2 if size == 126 else 8
            size = int.from_bytes(stream[at : at + n], "big")
            at += n
        assert first & 0xF0 == 0x80, f"expected a whole frame without reserved bits, got {first:#x}"
        assert at + size <= len(stream), "the last frame is not whole"
        yield first & 15, stream[at : at + size]
        at += size
