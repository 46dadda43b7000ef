"""From an exception to the `error` message and the close code that tell a client of it."""

from __future__ import annotations

from streamrnn.errors import (
    DrainingError,
    InternalError,
    MalformedError,
    OversizedError,
    Scope,
    StoreError,
    StreamrnnError,
)
from streamrnn.wire.codec import WrongKindError
from streamrnn.wire.messages import Error

DONE = 1000
GOING_AWAY = 1001
PROTOCOL = 1002
WRONG_KIND = 1003
NOT_A_MESSAGE = 1007
POLICY = 1008
TOO_LARGE = 1009
INTERNAL = 1011
RESTART = 1012
TRY_LATER = 1013
TAKEN_OVER = 4001

_CLOSE_CODES: tuple[tuple[type[StreamrnnError], int], ...] = (
    (WrongKindError, WRONG_KIND),
    (MalformedError, NOT_A_MESSAGE),
    (OversizedError, TOO_LARGE),
    (InternalError, INTERNAL),
)
"""First match wins; any other fault that ends a connection is a breach of policy."""

MAX_MESSAGE_CHARS = 500


def error_of(
    fault: StreamrnnError,
    of: str | None = None,
    handle: int | None = None,
    seq: int | None = None,
    scope: Scope | None = None,
) -> Error:
    """Return the `error` that answers a message of type `of`.

    Args:
        fault: what was raised; only its message, class attributes and `fields["expected"]` of a `bad_seq` are shown.
        of: the type of the client's message, where it could be told.
        handle: the handle in that message.
        seq: the seq in that message.
        scope: overrides the class's own scope, for a fault that ends less than it might.
    """
    expected = fault.fields.get("expected") if fault.code == "bad_seq" else None
    if scope is None:
        # A refused open does not end the connection, whose sessions still have until the deadline.
        scope = "session" if isinstance(fault, DrainingError) else fault.scope
    is_of_store = isinstance(fault, StoreError)  # what exactly is wrong with ours is no business of the client
    return Error(
        code=StoreError.code if is_of_store else fault.code,
        scope=scope,
        retryable=fault.retryable or is_of_store,
        message=fault.message[:MAX_MESSAGE_CHARS],
        of=of,
        handle=handle,
        seq=seq,
        expected_seq=expected if isinstance(expected, int) else None,
    )


def close_code_of(fault: StreamrnnError) -> int:
    """Return the websocket close code after an error of scope `connection` (RFC 6455 section 7.4)."""
    return next((code for kind, code in _CLOSE_CODES if isinstance(fault, kind)), POLICY)
