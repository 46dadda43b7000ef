"""One socket of the asyncio shell: the loop calls it, and it passes on what comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from streamrnn_client.link import Link

if TYPE_CHECKING:
    from streamrnn_client.aio.wire import Wire


class Socket(asyncio.Protocol):
    """A transport and the link on it. `shook` is done when the handshake is, `gone` when the transport is closed."""

    def __init__(self, wire: Wire, link: Link) -> None:
        self.link = link
        self.shook = wire.loop.create_future()
        self.gone = wire.loop.create_future()
        self._wire = wire
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        """Bytes may be written."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def was_open(self) -> bool:
        """There was a transport, so `gone` will be done."""
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop has a transport for us."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not of that class
        self._wire.send()

    def data_received(self, data: bytes) -> None:
        """The loop has bytes for us."""
        self._wire.received(self, data)

    def eof_received(self) -> bool:
        """The server will send no more."""
        self._wire.ended(self, "the connection ended without a closing handshake")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        if not self.gone.done():
            self.gone.set_result(None)
        self._wire.ended(self, f"the connection broke: {exc}" if exc else "the connection was cut")

    def pause_writing(self) -> None:
        """The transport takes no more for now."""
        self._wire.writable.clear()

    def resume_writing(self) -> None:
        """The transport takes bytes again."""
        self._wire.writable.set()

    def write(self, data: bytes) -> None:
        """Send, unless there is nothing to send."""
        if data and self._transport is not None:
            self._transport.write(data)

    def look(self) -> None:
        """The link may have got further."""
        if (self.link.handshake_done or self.link.over) and not self.shook.done():
            self.shook.set_result(None)

    def close(self) -> None:
        """Send what is written, and close."""
        if self._transport is not None:
            self._transport.close()

    def drop(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()
