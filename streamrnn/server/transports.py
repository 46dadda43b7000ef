"""What the connections of a server may stand on, by name."""

from __future__ import annotations

from streamrnn.errors import OptionError
from streamrnn.server.connection import Connection

TRANSPORTS = ("websockets", "picows")
DEFAULT = "websockets"


def connection_of(transport: str) -> type[Connection]:
    """Return the class of a transport's connections.

    Raises:
        OptionError: there is none of that name, or its extra is not installed.
    """
    if transport == "websockets":
        return Connection
    if transport != "picows":
        raise OptionError(f"expected one of the transports {' and '.join(TRANSPORTS)}, got {transport!r}")
    try:
        from streamrnn.server.picows_splitter import PicowsConnection
    except ModuleNotFoundError as fault:
        if (fault.name or "").partition(".")[0] != "picows":
            raise
        raise OptionError("expected the extra `fast` for the transport picows: pip install 'streamrnn[fast]'") from None
    return PicowsConnection
