"""The floor under a served frame: a bare echo on the same loop, and nothing else.

Each binary message is answered with its own first bytes, as many as the server's `output` message has. Three ways in:
`library` reads every message with the Sans-I/O protocol of `websockets`; `splitter` cuts plain ones before it, as the
server does; `picows` is all of that package, its listener, its transport and its way out. Run as
`python -m benchmarks.echo PORT_FILE N_BYTES KIND`; the port is written to PORT_FILE.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import uvloop
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from streamrnn.server.connection import FIN_BINARY, header
from streamrnn.server.front import select_protocol
from streamrnn.server.splitter import Splitter
from streamrnn.wire.codec import MSGPACK

MAX_SIZE = 4 * 1024 * 1024


class Echo(asyncio.Protocol):
    """The shortest shell around the Sans-I/O protocol that answers every message."""

    n_bytes = 0
    is_split = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start a connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._ws = ServerProtocol(select_subprotocol=select_protocol, max_size=MAX_SIZE)
        self._splitter: Splitter | None = None

    def data_received(self, chunk: bytes) -> None:
        """Answer what arrived, in one write."""
        if self._splitter is None:
            self._feed_library(chunk)
            return
        replies = []
        for part in self._splitter.feed(chunk):
            if type(part) is bytes:
                self._feed_library(part)
            else:
                replies.append(header(FIN_BINARY, self.n_bytes) + bytes(part[1])[: self.n_bytes])
        if replies:
            self._transport.write(b"".join(replies))

    def _feed_library(self, chunk: bytes) -> None:
        ws = self._ws
        ws.receive_data(chunk)
        replies = []
        for event in ws.events_received():
            if isinstance(event, Frame):
                if event.opcode is Opcode.BINARY:
                    replies.append(header(FIN_BINARY, self.n_bytes) + event.data[: self.n_bytes])
            elif isinstance(event, Request):
                ws.send_response(ws.accept(event))
                self._splitter = Splitter(MAX_SIZE) if self.is_split else None
        if replies:
            self._transport.write(b"".join(replies))
        if ws.writes:
            for part in ws.data_to_send():
                if part:
                    self._transport.write(part)
                else:
                    self._transport.close()


def answer_picows() -> Callable[[Any], Any]:
    """What `picows` asks for each connection: a listener that answers every message in a write of its own."""
    import picows

    class Answer(picows.WSListener):
        """The shortest listener that answers every message."""

        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            if frame.msg_type is picows.WSMsgType.BINARY:
                transport.send(picows.WSMsgType.BINARY, frame.get_payload_as_bytes()[: Echo.n_bytes])

    headers = {"Sec-WebSocket-Protocol": MSGPACK}
    accept = picows.WSUpgradeResponse.create_101_response
    return lambda asked: picows.WSUpgradeResponseWithListener(accept(headers), Answer())


async def main(port_file: Path, n_bytes: int, kind: str) -> None:
    """Serve until killed."""
    Echo.n_bytes, Echo.is_split = n_bytes, kind == "splitter"
    if kind == "picows":
        import picows

        server = await picows.ws_create_server(answer_picows(), "127.0.0.1", 0, max_frame_size=MAX_SIZE)
    else:
        server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    port_file.write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
