"""The part of the error tree that no server sends: what the network did, and what came of many sessions at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from streamrnn_client.errors import InternalError, Scope, StreamrnnClientError


class LinkError(StreamrnnClientError):
    """The network failed us; the same call may succeed on a new connection."""

    code = "link"
    scope: Scope = "connection"
    retryable = True


class ConnectError(LinkError):
    """No connection could be made: refused, unreachable, unknown host, bad certificate."""

    code = "connect_failed"


class ConnectionLostError(LinkError):
    """The connection broke or was closed by the server.

    `n_unanswered` frames of the whole connection had been sent and not answered: whether the server applied them is not
    known. `close_code` is the websocket close code (1006: none was received).
    """

    code = "connection_lost"

    def __init__(self, message: str, *, n_unanswered: int = 0, close_code: int = 1006) -> None:
        super().__init__(message)
        self.n_unanswered = n_unanswered
        self.close_code = close_code


class SessionLostError(LinkError):
    """The server came back with a state that this side cannot bring up to date; other sessions go on.

    Frames `from_seq .. to_seq - 1` are missing: the server needs them, and they are not kept here any more; or, where
    `from_seq` was never sent from here, the server has them from elsewhere.
    """

    code = "session_lost"
    scope: Scope = "session"
    retryable = False

    def __init__(self, message: str, *, from_seq: int = 0, to_seq: int = 0) -> None:
        super().__init__(message)
        self.from_seq = from_seq
        self.to_seq = to_seq


class WaitTimeoutError(LinkError, TimeoutError):
    """No answer within `after_s` seconds; `of` says to what. What was asked may still happen: nothing is taken back."""

    code = "timeout"

    def __init__(self, message: str, *, of: str, after_s: float, seq: int | None = None) -> None:
        scope: Scope = "connection" if of == "connect" else "frame" if of == "step" else "session"
        super().__init__(message, scope=scope, seq=seq)
        self.of = of
        self.after_s = after_s


class BatchError(StreamrnnClientError):
    """Some sessions of one `step_many` failed: there `outputs[i]` is None and `errors[i]` says why."""

    code = "batch"
    scope = "frame"

    def __init__(self, outputs: Sequence[Any], errors: Sequence[StreamrnnClientError | None]) -> None:
        failed = [error for error in errors if error is not None]
        super().__init__(
            f"{len(failed)} of {len(errors)} frames failed; the first: {failed[0]}",
            retryable=all(error.retryable for error in failed),
        )
        self.outputs = list(outputs)
        self.errors = list(errors)


PASSING_CODES: Final = frozenset({1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014, 4001})
"""Ends of a connection behind which a new one may do better; the others say that one side broke the protocol."""


def is_passing(error: StreamrnnClientError) -> bool:
    """A lost connection is worth making anew."""
    if isinstance(error, ConnectionLostError):
        return error.close_code in PASSING_CODES
    return isinstance(error, InternalError)
