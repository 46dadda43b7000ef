"""The messages of wire v1 as plain dataclasses: this side's own copy of the schema that `clients/PROTOCOL.md` states.

A payload is little-endian float32, row-major `(n, size)`. Fields stand in the order of the protocol text, because the
encoder writes them in that order; a field that has its default is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

PROTOCOLS = {"msgpack": "streamrnn.v1.msgpack", "json": "streamrnn.v1.json"}
"""Websocket sub-protocol of each encoding."""


class Range(NamedTuple):
    """Bounds of an integer, both included; of a list: of its length."""

    low: int
    high: int


Handle = Annotated[int, Range(0, 2**31 - 1)]
Seq = Annotated[int, Range(0, 2**53 - 1)]
AppliedSeq = Annotated[int, Range(-1, 2**53 - 1)]
Count = Annotated[int, Range(1, 65536)]
Natural = Annotated[int, Range(0, 2**63 - 1)]
Time = Annotated[int, Range(0, 2**53 - 1)]
Handles = Annotated[tuple[Handle, ...], Range(1, 65536)]
Seqs = Annotated[tuple[Seq, ...], Range(1, 65536)]
Times = Annotated[tuple[Time, ...], Range(1, 65536)]


class Message:
    """Base of all messages; `type` is the tag on the wire."""

    __slots__ = ()
    type: ClassVar[str]


def _check_pairs(handles: tuple[int, ...], seqs: tuple[int, ...]) -> None:
    if len(handles) != len(seqs):
        raise ValueError(f"expected as many seqs as handles, got {len(seqs)} and {len(handles)}")


# ---- client to server


@dataclass(frozen=True, slots=True)
class Open(Message):
    """Open a session of a model under a free handle."""

    type: ClassVar[str] = "open"
    handle: Handle
    model: str
    session_id: str | None = None
    resume_token: str | None = None
    answered_seq: AppliedSeq = -1
    attempt: Annotated[int, Range(1, 2**40)] | None = None
    last_attempt: Annotated[int, Range(0, 2**40)] = 0
    window: Count | None = None
    overload: Literal["reject", "drop_oldest", "skip_output"] = "reject"
    park_ms: Time | None = None
    expire_ms: Time | None = None
    gap: Literal["none", "hold", "linear", "zero", "reset_after"] = "none"
    period_us: Time = 0
    reset_after_us: Time = 0
    decoder: str = "none"


@dataclass(slots=True)  # one for each frame: a frozen one costs three times as much to make
class Frame(Message):
    """Frames `seq .. seq + n - 1` of one session."""

    type: ClassVar[str] = "frame"
    handle: Handle
    seq: Seq
    payload: bytes
    n: Count = 1
    time_us: Time | None = None


@dataclass(frozen=True, slots=True)
class Frames(Message):
    """One frame for each of several sessions of equal input size."""

    type: ClassVar[str] = "frames"
    handles: Handles
    seqs: Seqs
    payload: bytes
    times_us: Times | None = None

    def __post_init__(self) -> None:
        _check_pairs(self.handles, self.seqs)
        _check_pairs(self.handles, self.times_us or self.handles)


@dataclass(frozen=True, slots=True)
class Reset(Message):
    """Return the state to its start, after `warm_frames` more; numbering goes on."""

    type: ClassVar[str] = "reset"
    handle: Handle
    warm_frames: Annotated[int, Range(0, 65536)] = 0


@dataclass(frozen=True, slots=True)
class Flush(Message):
    """Ask to be told when everything sent before is answered."""

    type: ClassVar[str] = "flush"
    handle: Handle


@dataclass(frozen=True, slots=True)
class Snapshot(Message):
    """Ask for the state as bytes."""

    type: ClassVar[str] = "snapshot"
    handle: Handle


@dataclass(frozen=True, slots=True)
class Restore(Message):
    """Open a session from a snapshot under a free handle."""

    type: ClassVar[str] = "restore"
    handle: Handle
    payload: bytes
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Rollback(Message):
    """Take a session back to an earlier snapshot of its own."""

    type: ClassVar[str] = "rollback"
    handle: Handle
    payload: bytes


@dataclass(frozen=True, slots=True)
class Fork(Message):
    """Copy a session under a free handle."""

    type: ClassVar[str] = "fork"
    handle: Handle
    new_handle: Handle
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Generate(Message):
    """Let the session feed itself with at most `n` tokens, frames `seq ..`, up to `stop`."""

    type: ClassVar[str] = "generate"
    handle: Handle
    seq: Seq
    n: Count
    temperature: float = 1.0
    top_k: Annotated[int, Range(0, 2**31 - 1)] = 0
    seed: Time = 0
    stop: Annotated[int, Range(-1, 2**31 - 1)] = -1


@dataclass(frozen=True, slots=True)
class Close(Message):
    """End a session."""

    type: ClassVar[str] = "close"
    handle: Handle


# ---- server to client


@dataclass(frozen=True, slots=True)
class Head:
    """A named part of an output: the next `size` of its values."""

    name: str
    size: Count


@dataclass(frozen=True, slots=True)
class Port:
    """A model's input or output: `kind` is `dense` (float32 values) or `token` (one id in `[0, n_tokens)`).

    Its `size` values are `steps` steps, one after the other. Of an output: its `heads` in order, if there are several;
    it belongs to the frame `delay` frames before the one that it answers.
    """

    size: Count
    kind: Literal["dense", "token"] = "dense"
    n_tokens: Natural = 0
    names: tuple[str, ...] = ()
    steps: Count = 1
    heads: tuple[Head, ...] = ()
    delay: Natural = 0


@dataclass(frozen=True, slots=True)
class Opened(Message):
    """The session lives; its next frame must carry `next_seq`."""

    type: ClassVar[str] = "opened"
    handle: Handle
    session_id: str
    model: str
    digest: str
    next_seq: Seq
    resumed: bool
    input: Port
    output: Port
    labels: tuple[str, ...] = ()
    max_queue_frames: Natural = 0
    resume_token: str = ""
    durable: bool = False
    durable_seq: AppliedSeq = -1
    park_ms: Time = 0
    expire_ms: Time = 0
    rate_hz: float = 0.0
    decoder: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a transcript, of frames `first_seq .. last_seq`; `score` is how sure it is, 0 .. 1."""

    text: str
    first_seq: Seq
    last_seq: Seq
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class OutputEvent:
    """What the session's decoder found with the output of frame `seq`; PROTOCOL 4 says what each kind tells."""

    kind: Literal["label", "keyword", "partial", "final", "anomaly", "clear", "speaker", "token"]
    seq: Seq
    text: str = ""
    score: float = 0.0
    token: Annotated[int, Range(-1, 2**31 - 1)] = -1
    cause: str = ""
    words: tuple[Word, ...] = ()


@dataclass(slots=True)  # one for each frame: a frozen one costs three times as much to make
class Output(Message):
    """Outputs of frames `seq .. seq + n - 1` of one session."""

    type: ClassVar[str] = "output"
    handle: Handle
    seq: Seq
    payload: bytes
    n: Count = 1
    filled: Time = 0
    was_reset: bool = False
    events: tuple[OutputEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Outputs(Message):
    """One output for each of several sessions of equal output size."""

    type: ClassVar[str] = "outputs"
    handles: Handles
    seqs: Seqs
    payload: bytes

    def __post_init__(self) -> None:
        _check_pairs(self.handles, self.seqs)


@dataclass(frozen=True, slots=True)
class Skipped(Message):
    """Frames `seq .. seq + n - 1` get no output."""

    type: ClassVar[str] = "skipped"
    handle: Handle
    seq: Seq
    n: Annotated[int, Range(1, 2**53 - 1)]
    is_stepped: bool


@dataclass(frozen=True, slots=True)
class Ack(Message):
    """All up to `applied_seq` has been applied and answered, and is in the server's store up to `durable_seq`."""

    type: ClassVar[str] = "ack"
    handle: Handle
    of: Literal["reset", "flush", "rollback", "checkpoint"]
    applied_seq: AppliedSeq
    durable_seq: AppliedSeq = -1


@dataclass(frozen=True, slots=True)
class Event(Message):
    """The session was parked, or came back; the next frame is `next_seq`."""

    type: ClassVar[str] = "event"
    handle: Handle
    name: Literal["parked", "live"]
    next_seq: Seq


@dataclass(frozen=True, slots=True)
class Snapshotted(Message):
    """The state as it stands before frame `next_seq`."""

    type: ClassVar[str] = "snapshotted"
    handle: Handle
    next_seq: Seq
    payload: bytes


@dataclass(frozen=True, slots=True)
class Error(Message):
    """What went wrong, and with what; see PROTOCOL 6."""

    type: ClassVar[str] = "error"
    code: str
    scope: Literal["frame", "session", "connection"]
    retryable: bool
    message: str
    of: str | None = None
    handle: Handle | None = None
    seq: Seq | None = None
    expected_seq: Seq | None = None


@dataclass(frozen=True, slots=True)
class GoAway(Message):
    """The server stops in `deadline_ms`."""

    type: ClassVar[str] = "go_away"
    deadline_ms: Natural


@dataclass(frozen=True, slots=True)
class Closed(Message):
    """The session ended after `n_frames` in all."""

    type: ClassVar[str] = "closed"
    handle: Handle
    reason: Literal["closed", "error", "draining", "expired", "taken_over"]
    n_frames: Natural


ClientMessage = Open | Frame | Frames | Reset | Flush | Snapshot | Restore | Rollback | Fork | Generate | Close
ServerMessage = Opened | Output | Outputs | Skipped | Ack | Snapshotted | Event | Error | GoAway | Closed
ALL: tuple[type[Message], ...] = (
    *(Open, Frame, Frames, Reset, Flush, Snapshot, Restore, Rollback, Fork, Generate, Close),
    *(Opened, Output, Outputs, Skipped, Ack, Snapshotted, Event, Error, GoAway, Closed),
)
"""Every message of v1, those of the client first."""
