"""The client's error tree; a server's `error` message arrives as the class of its code.

    StreamrnnClientError
    |-- UsageError              the caller asked for what cannot be
    |   |-- FrameError          bad_frame: a frame of the wrong size, type or values
    |   |-- SequenceError       bad_seq: a seq that is not the expected one
    |   |-- UnknownModelError   unknown_model
    |   |-- UnknownSessionError unknown_session
    |   |-- SessionExistsError  session_exists: the session id is taken
    |   |-- SessionClosedError  session_closed: the session has ended
    |   |-- SessionExpiredError expired: it was silent for longer than the server keeps it
    |   |-- TakenOverError      taken_over, superseded: another connection has resumed it
    |   |-- TokenError          bad_token: not the resume token of that session
    |   |-- OptionError         bad_option
    |   `-- ClientClosedError   client_closed: the client was closed by its owner
    |-- PeerError               one side broke the protocol
    |   |-- MalformedError      malformed: bytes that are not a message
    |   |-- OversizedError      too_large
    |   |-- OrderError          out_of_order: a message that is not legal now
    |   `-- HandshakeError      handshake_failed: the peer answered, but is no streamrnn server for us
    |-- LimitError              a bound was reached: try later
    |   |-- CapacityError       at_capacity
    |   |-- QueueFullError      queue_full
    |   |-- SkippedError        skipped: the frame got no output; says whether the state has seen it
    |   |-- StoreError          store_failed: the server cannot ask its store of sessions
    |   `-- DrainingError       draining: the server is stopping
    |-- ModelError              a bad artefact
    |   `-- SnapshotError       bad_snapshot
    |-- InternalError           internal: a bug of the server
    |-- LinkError               the network (in `losses`)
    |   |-- ConnectError        connect_failed: no connection could be made
    |   |-- ConnectionLostError connection_lost: it broke; knows how many frames were left unanswered
    |   |-- SessionLostError    session_lost: frames that would bring it up to date are not kept any more
    |   `-- WaitTimeoutError    timeout: no answer in time (also a `TimeoutError`)
    `-- BatchError              batch (in `losses`): some of one `step_many` failed, the others have their outputs

Every error has `code`, `scope` (what it concerns: one frame, one session, the connection), `retryable`, and where they
apply `handle`, `seq` and `expected_seq`.
"""

from __future__ import annotations

import copy
from typing import Any, Final, Literal, Self

Scope = Literal["frame", "session", "connection"]


class StreamrnnClientError(Exception):
    """Root of everything this package raises on purpose. `code`, `scope` and `retryable` have a default in each class.

    Args:
        message: one sentence that says what was expected.
        handle: the session's number on its connection.
        seq: the frame that failed.
        expected_seq: the seq that the session's next frame must carry.
    """

    code: str = "error"
    scope: Scope = "session"
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        scope: Scope | None = None,
        retryable: bool | None = None,
        handle: int | None = None,
        seq: int | None = None,
        expected_seq: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.handle = handle
        self.seq = seq
        self.expected_seq = expected_seq
        if code is not None:
            self.code = code
        if scope is not None:
            self.scope = scope
        if retryable is not None:
            self.retryable = retryable

    def again(self) -> Self:
        """Another instance with the same fields: one instance raised in two places would share a traceback."""
        return copy.copy(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.args, vars(self))


class UsageError(StreamrnnClientError):
    """The caller asked for what cannot be."""

    code = "usage"


class FrameError(UsageError):
    """A frame has the wrong size, type or values; the session's state and numbering are unchanged."""

    code = "bad_frame"
    scope = "frame"


class SequenceError(UsageError):
    """A frame was refused because one before it was; it was not applied, `expected_seq` is what comes next."""

    code = "bad_seq"
    scope = "frame"


class UnknownModelError(UsageError):
    """The server has no model of that name."""

    code = "unknown_model"


class UnknownSessionError(UsageError):
    """The server has no such session."""

    code = "unknown_session"


class SessionExistsError(UsageError):
    """The session id is already taken."""

    code = "session_exists"


class SessionClosedError(UsageError):
    """The session has ended and keeps no state."""

    code = "session_closed"


class SessionExpiredError(UsageError):
    """The session was silent for longer than the server keeps it, and is forgotten."""

    code = "expired"


class TakenOverError(UsageError):
    """The session was resumed by another connection, which owns it now."""

    code = "taken_over"


class TokenError(UsageError):
    """Neither of the resume tokens that were told is the session's."""

    code = "bad_token"


class OptionError(UsageError):
    """An option or argument that does not exist or is out of range."""

    code = "bad_option"


class ClientClosedError(UsageError):
    """The client was closed by its owner."""

    code = "client_closed"
    scope = "connection"


class PeerError(StreamrnnClientError):
    """One side broke the protocol."""

    code = "peer"
    scope: Scope = "connection"


class MalformedError(PeerError):
    """Bytes that are not a message of the negotiated sub-protocol."""

    code = "malformed"


class OversizedError(PeerError):
    """A message, or a size declared in it, exceeds the limit."""

    code = "too_large"


class OrderError(PeerError):
    """A message that is not legal in the present state."""

    code = "out_of_order"


class HandshakeError(PeerError):
    """The peer answered, but not with our sub-protocol; `status` is its HTTP status, 0 if it spoke no HTTP.

    A server that is not ready yet (503) says after how many seconds to come again, in `retry_after_s`; a client that
    reconnects by itself does not dial that server before.
    """

    code = "handshake_failed"

    def __init__(self, message: str, *, status: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(message, retryable=status in (500, 502, 503, 504))
        self.status = status
        self.retry_after_s = retry_after_s


class LimitError(StreamrnnClientError):
    """A bound was reached; the same call may succeed later."""

    code = "limit"
    retryable = True


class CapacityError(LimitError):
    """The server has no free slot, session or connection left."""

    code = "at_capacity"


class QueueFullError(LimitError):
    """The session's queue is full; nothing of the message was taken."""

    code = "queue_full"
    scope = "frame"


class SkippedError(LimitError):
    """The frame gets no output: too many waited, or its output is not kept any more.

    `is_stepped` says whether the state has seen it. Its seq is spent: the session goes on with the next one.
    """

    code = "skipped"
    scope = "frame"
    retryable = False

    def __init__(self, message: str, *, is_stepped: bool = False, seq: int | None = None) -> None:
        super().__init__(message, seq=seq)
        self.is_stepped = is_stepped


class StoreError(LimitError):
    """The server cannot ask its store of sessions at the moment."""

    code = "store_failed"


class DrainingError(LimitError):
    """The server is stopping and takes no new work."""

    code = "draining"


class ModelError(StreamrnnClientError):
    """A bad artefact."""

    code = "model"


class SnapshotError(ModelError):
    """A snapshot that is damaged or belongs to another model; nothing was restored."""

    code = "bad_snapshot"


class InternalError(StreamrnnClientError):
    """A bug of the server; the details are in its log."""

    code = "internal"
    scope = "connection"


def _rebuilt(kind: type[StreamrnnClientError], args: tuple[Any, ...], fields: dict[str, Any]) -> StreamrnnClientError:
    """Copying and pickling cannot call the constructors, which take keywords."""
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(fields)
    return error


BY_CODE: Final[dict[str, type[StreamrnnClientError]]] = {
    error.code: error
    for error in (
        *(StreamrnnClientError, UsageError, PeerError, LimitError, ModelError, InternalError),
        *(FrameError, SequenceError, UnknownModelError, UnknownSessionError, SessionExistsError, SessionClosedError),
        *(OptionError, TokenError, MalformedError, OversizedError, OrderError),
        *(CapacityError, QueueFullError, StoreError, DrainingError, SnapshotError),
    )
} | {"superseded": TakenOverError}
"""The class of each code that a server may send; a code that is not here arrives as the root class."""
