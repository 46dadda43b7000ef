"""What stands in a server's answer, taken apart."""

from __future__ import annotations

from streamrnn_client import messages as m
from streamrnn_client.errors import BY_CODE, MalformedError, SessionExistsError, StreamrnnClientError
from streamrnn_client.floats import FLOAT_BYTES


def error_of(message: m.Error) -> StreamrnnClientError:
    """The exception that an `error` message stands for."""
    return BY_CODE.get(message.code, StreamrnnClientError)(
        message.message,
        code=message.code,
        scope=message.scope,
        retryable=message.retryable,
        handle=message.handle,
        seq=message.seq,
        expected_seq=message.expected_seq,
    )


def perhaps_ours(error: StreamrnnClientError) -> StreamrnnClientError:
    """The session may be the one that was opened when the connection broke: nobody was told its token."""
    said = f"{error}; it may be ours, opened when the connection broke: choose another id, or wait until it expires"
    return SessionExistsError(said, handle=error.handle, retryable=True)


def split(payload: bytes, n: int, size: int) -> list[bytes]:
    """One output each.

    Raises:
        MalformedError: not as many as were said.
    """
    step = size * FLOAT_BYTES
    if len(payload) != n * step:
        raise MalformedError(f"expected {n} outputs of {size} values, got {len(payload)} bytes")
    return [payload[start : start + step] for start in range(0, len(payload), step)]
