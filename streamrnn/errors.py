"""The error tree, split by whose fault it is.

    StreamrnnError
    |-- UsageError              our caller asked for what cannot be
    |   |-- FrameError          a frame of the wrong size, dtype or values
    |   |-- SequenceError       a seq that is not the expected one (gap or duplicate)
    |   |-- UnknownModelError   no such model in this engine
    |   |-- UnknownSessionError no such session
    |   |-- SessionExistsError  the session id or handle is taken
    |   |-- SessionClosedError  the session was closed
    |   |-- TokenError          a resume token that is not the session's
    |   |-- SupersededError     a later attempt has resumed the session
    |   `-- OptionError         an option or argument that does not exist or is out of range
    |-- PeerError               the remote side broke the protocol
    |   |-- MalformedError      bytes that are not a message
    |   |-- OversizedError      a message larger than the limit
    |   `-- OrderError          a message that is not legal now
    |-- LimitError              a bound was reached: try later
    |   |-- CapacityError       no free slot, session or connection
    |   |-- QueueFullError      the session's queue is full
    |   |   `-- GeneratingError frames for a session that feeds itself
    |   `-- DrainingError       the server takes no new work
    |-- ModelError              a bad artefact
    |   |-- ModelFileError      a damaged, newer or inconsistent model file
    |   |-- UnsupportedError    a layer or form that cannot be streamed
    |   |-- UnprovenError       a model that its own certificate says is not what it came from
    |   |-- SpecError           a spec whose nodes or shapes disagree
    |   `-- SnapshotError       a snapshot that is damaged or of another model
    |-- StoreError              the place that keeps snapshots failed: try later
    |   `-- StoreFileError      a file that is no store, is damaged or of a later release
    `-- InternalError           a bug of ours

Each class has a stable `code`, a `scope` (what the error ends: one frame, one session, one connection) and a
`retryable` flag; each instance has typed `fields` (expected, got, seq, ...) beside its message.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Scope = Literal["frame", "session", "connection"]
Field = int | float | str | bool | None


class StreamrnnError(Exception):
    """Root of everything this package raises on purpose.

    Args:
        message: one sentence that says what was expected.
        fields: typed details, safe to show to a remote peer.
    """

    code: ClassVar[str] = "error"
    scope: ClassVar[Scope] = "session"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **fields: Field) -> None:
        super().__init__(message)
        self.message = message
        self.fields: dict[str, Field] = fields


class UsageError(StreamrnnError):
    """Our caller asked for what cannot be."""

    code = "usage"


class FrameError(UsageError):
    """A frame has the wrong size, dtype or values; the session's state is unchanged."""

    code = "bad_frame"
    scope: ClassVar[Scope] = "frame"


class SequenceError(UsageError):
    """A seq that is not the expected one; `fields["expected"]` names it."""

    code = "bad_seq"
    scope: ClassVar[Scope] = "frame"


class UnknownModelError(UsageError):
    """No model of that name is loaded."""

    code = "unknown_model"


class UnknownSessionError(UsageError):
    """No session of that id or handle is open."""

    code = "unknown_session"


class SessionExistsError(UsageError):
    """The session id or handle is already taken."""

    code = "session_exists"


class SessionClosedError(UsageError):
    """The session was closed and keeps no state."""

    code = "session_closed"


class TokenError(UsageError):
    """A resume token that is not that of the session."""

    code = "bad_token"


class SupersededError(UsageError):
    """An attempt to resume a session came later than another that counts as the later one."""

    code = "superseded"


class OptionError(UsageError):
    """An option or argument that does not exist or is out of range."""

    code = "bad_option"


class PeerError(StreamrnnError):
    """The remote side broke the protocol."""

    code = "peer"
    scope: ClassVar[Scope] = "connection"


class MalformedError(PeerError):
    """Bytes that are not a message of the negotiated sub-protocol."""

    code = "malformed"


class OversizedError(PeerError):
    """A message, or a size declared in it, exceeds the limit."""

    code = "too_large"


class OrderError(PeerError):
    """A message that is not legal in the present state."""

    code = "out_of_order"
    scope: ClassVar[Scope] = "session"


class LimitError(StreamrnnError):
    """A bound was reached; the same call may succeed later."""

    code = "limit"
    retryable = True


class CapacityError(LimitError):
    """No free slot, session or connection is left."""

    code = "at_capacity"


class QueueFullError(LimitError):
    """The session's queue is full; nothing of the message was taken."""

    code = "queue_full"
    scope: ClassVar[Scope] = "frame"


class GeneratingError(QueueFullError):
    """The session feeds itself at the moment and takes no frames; try again once it has told its last token."""


class DrainingError(LimitError):
    """The server is stopping and takes no new work."""

    code = "draining"
    scope: ClassVar[Scope] = "connection"


class ModelError(StreamrnnError):
    """A bad artefact: model file, spec or snapshot."""

    code = "model"


class ModelFileError(ModelError):
    """A model file that is damaged, truncated, newer than we read, or whose shapes disagree."""

    code = "bad_model_file"


class UnsupportedError(ModelError):
    """A layer or form that cannot be streamed; the message names it and the reason."""

    code = "unsupported"


class UnprovenError(ModelError):
    """A model whose parity certificate says that it does not compute what its original does; names model and error."""

    code = "unproven"


class SpecError(ModelError):
    """A model spec whose nodes, names or shapes disagree."""

    code = "bad_spec"


class SnapshotError(ModelError):
    """A snapshot that is damaged or belongs to another model; nothing was restored."""

    code = "bad_snapshot"


class StoreError(StreamrnnError):
    """The place that keeps snapshots failed: a full disk, a lock, a server that is down; what it held is still there.

    `fields["operation"]` is what was asked of it and `fields["cause"]` the fault's own name, such as SQLITE_FULL.
    """

    code = "store_failed"
    retryable = True


class StoreFileError(StoreError):
    """A file that is no snapshot store, damaged or of a later release, or a row that is damaged: do not try again."""

    code = "bad_store_file"
    retryable = False


class InternalError(StreamrnnError):
    """A bug of ours; details stay in our log."""

    code = "internal"
    scope: ClassVar[Scope] = "connection"
