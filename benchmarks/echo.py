"""The floor under a served frame: a bare echo on the same loop, and nothing else.

Each binary message is answered with its own first bytes, as many as the server's answer has, filled up with zeros where
it is shorter. Three ways in: `library` reads every message with the Sans-I/O protocol of `websockets`; `splitter` as
the server does; `picows` is all of that package: its port, its parser and its way out. Run as
`python -m benchmarks.echo PORT_FILE N_BYTES KIND`; the port is written to PORT_FILE.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import uvloop
from websockets.frames import Frame, Opcode, apply_mask  # type: ignore[attr-defined]
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from streamrnn.server.connection import LONG_FROM
from streamrnn.server.front import select_protocol
from streamrnn.server.header import FIN_BINARY, header
from streamrnn.server.splitter import BINARY, CLOSE, FIN, Splitter

MAX_SIZE = 4 * 1024 * 1024


def _select(ws: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return select_protocol(ws, offered) if offered else None  # raw messages have no name to offer


def sized(message: bytes, n_bytes: int) -> bytes:
    """Cut it, or fill it up."""
    return message[:n_bytes].ljust(n_bytes, b"\0")


class Echo(asyncio.Protocol):
    """The shortest shell around the Sans-I/O protocol that answers every message."""

    n_bytes = 0
    is_split = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start a connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._ws = ServerProtocol(select_subprotocol=_select, max_size=MAX_SIZE)
        self._splitter: Splitter | None = None

    def data_received(self, chunk: bytes) -> None:
        """Answer what arrived, in one write."""
        if self._splitter is None:
            self._feed_library(chunk)
            return
        n_bytes = len(chunk)
        if n_bytes < LONG_FROM and chunk[0] == FIN_BINARY and chunk[1] == n_bytes + 122 and self._splitter.is_empty:
            self._transport.write(self._answer(apply_mask(chunk[6:], chunk[2:6])))
            return
        replies = []
        self._splitter.put(chunk)
        while (step := self._splitter.step()) is not None:
            opcode, payload = step
            if opcode == BINARY:
                replies.append(self._answer(payload))
            elif opcode == CLOSE:
                self._transport.write(header(FIN | CLOSE, 0))
                self._transport.close()
                return
        if replies:
            self._transport.write(b"".join(replies))

    def _answer(self, message: bytes) -> bytes:
        return header(FIN_BINARY, self.n_bytes) + sized(message, self.n_bytes)

    def _feed_library(self, chunk: bytes) -> None:
        ws = self._ws
        ws.receive_data(chunk)
        replies = []
        for event in ws.events_received():
            if isinstance(event, Frame):
                if event.opcode is Opcode.BINARY:
                    replies.append(self._answer(bytes(event.data)))
            elif isinstance(event, Request):
                ws.send_response(ws.accept(event))
                self._splitter = Splitter(MAX_SIZE, 1) if self.is_split else None
        if replies:
            self._transport.write(b"".join(replies))
        if ws.writes:
            for part in ws.data_to_send():
                if part:
                    self._transport.write(part)
                else:
                    self._transport.close()


def answer_picows(n_bytes: int) -> Callable[[Any], Any]:
    """What `picows` asks for each connection: a listener that answers every message in a write of its own."""
    import picows

    class Answer(picows.WSListener):
        """The shortest listener that answers every message."""

        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            if frame.msg_type is picows.WSMsgType.BINARY:
                transport.send(picows.WSMsgType.BINARY, sized(frame.get_payload_as_bytes(), n_bytes))
            elif frame.msg_type is picows.WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code())
                transport.disconnect()

    def accept(asked: Any) -> Any:
        offered = asked.headers.get("Sec-WebSocket-Protocol")
        chosen = {} if offered is None else {"Sec-WebSocket-Protocol": offered.partition(",")[0]}
        return picows.WSUpgradeResponseWithListener(picows.WSUpgradeResponse.create_101_response(chosen), Answer())

    return accept


async def main(port_file: Path, n_bytes: int, kind: str) -> None:
    """Serve until killed."""
    Echo.n_bytes, Echo.is_split = n_bytes, kind == "splitter"
    if kind == "picows":
        import picows

        server = await picows.ws_create_server(answer_picows(n_bytes), "127.0.0.1", 0, max_frame_size=MAX_SIZE)
    else:
        server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    port_file.write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
