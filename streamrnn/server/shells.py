"""The transports that a server may stand on, by name; each is a shell around one socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from streamrnn.errors import OptionError

if TYPE_CHECKING:
    from streamrnn.server.app import Server
    from streamrnn.serving.party import Party

TRANSPORTS = ("websockets", "picows")
DEFAULT = "websockets"


class Shell(Protocol):
    """One connection, as the server and its pump see it."""

    def deliver(self, peer: Party) -> None:
        """Write all that `peer` has collected in one call, and close the websocket if the peer says so."""
        ...

    def on_due(self, now_ns: int) -> None:
        """A deadline has passed: handshake, silence, unanswered ping or closing."""
        ...

    def abort(self) -> None:
        """Drop the connection at once."""
        ...


MakeShell = Callable[["Server", str | None], asyncio.BaseProtocol]
"""Makes a connection of a server; the second argument is the speech protocol of its port, or None for our own."""


def shell_of(transport: str) -> MakeShell:
    """Return what makes the connections of a transport.

    Raises:
        OptionError: there is none of that name, or its extra is not installed.
    """
    if transport == "websockets":
        from streamrnn.server.connection import Connection

        return Connection
    if transport != "picows":
        raise OptionError(f"expected one of the transports {' and '.join(TRANSPORTS)}, got {transport!r}")
    try:
        from streamrnn.server.picows_connection import PicowsConnection
    except ModuleNotFoundError as fault:
        if (fault.name or "").partition(".")[0] != "picows":
            raise
        raise OptionError("expected the extra `fast` for the transport picows: pip install 'streamrnn[fast]'") from None
    return PicowsConnection
