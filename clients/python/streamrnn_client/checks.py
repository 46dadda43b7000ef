"""What a caller may say, checked before it is sent: what is no text would be malformed to the server, and end all."""

from __future__ import annotations

from typing import Any

from streamrnn_client.errors import OptionError

MAX_WARM_FRAMES = 65536


def check_text(what: str, text: object) -> None:
    """Raises:
    OptionError: it is no text.
    """
    try:
        if not isinstance(text, str):
            raise TypeError
        text.encode()
    except (TypeError, UnicodeEncodeError):
        raise OptionError(f"expected {what} as text, got {text!r}") from None


def check_id(session_id: str | None) -> None:
    """Raises:
    OptionError: it is neither a text nor None.
    """
    if session_id is not None:
        check_text("a session id", session_id)


def check_warm(n: object) -> None:
    """Raises:
    OptionError: not a number of frames for a warm reset.
    """
    if not (isinstance(n, int) and 0 <= n <= MAX_WARM_FRAMES):
        raise OptionError(f"expected 0 to {MAX_WARM_FRAMES} warm frames, got {n!r}")


def snapshot_bytes(payload: Any) -> bytes:
    """The bytes of a snapshot.

    Raises:
        OptionError: it is none.
    """
    if not isinstance(payload, bytes | bytearray | memoryview):
        raise OptionError(f"expected the bytes of a snapshot, got {type(payload).__name__}")
    return bytes(payload)
