"""The first bytes of websocket frames that the server sends (RFC 6455 section 5.2)."""

from __future__ import annotations

from streamrnn.server.splitter import BINARY, FIN, PING, TEXT

FIN_TEXT = FIN | TEXT
FIN_BINARY = FIN | BINARY


def header(first_byte: int, n_bytes: int) -> bytes:
    """Return the header of one unmasked, unfragmented websocket frame.

    The library's own `Frame.serialize` gives the same bytes (tested) in five times the time.
    """
    if n_bytes < 126:
        return bytes((first_byte, n_bytes))
    if n_bytes < 65536:
        return bytes((first_byte, 126)) + n_bytes.to_bytes(2, "big")
    return bytes((first_byte, 127)) + n_bytes.to_bytes(8, "big")


PING_FRAME = header(FIN | PING, 0)
