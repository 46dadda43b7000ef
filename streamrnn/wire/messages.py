"""The typed messages of wire v1: one schema, two encodings (see `clients/PROTOCOL.md`, the normative text).

Payloads are little-endian float32, row-major `(n_frames, size)`; in msgpack they are `bin`, in JSON base64 text. A
handle is a small integer that the client chooses for a session on one connection; seq counts a session's frames from 0.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_N = 65536
"""Most frames in one message that the schema allows at all; `Limits.max_chunk_frames` is the server's own bound."""

Handle = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]
AppliedSeq = Annotated[int, Meta(ge=-1, le=2**53 - 1)]
Count = Annotated[int, Meta(ge=1, le=MAX_N)]
Natural = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Overload = Literal["reject", "drop_oldest", "skip_output"]
Gap = Literal["none", "hold", "linear", "zero", "reset_after"]
Handles = Annotated[list[Handle], Meta(min_length=1, max_length=MAX_N)]
Seqs = Annotated[list[Seq], Meta(min_length=1, max_length=MAX_N)]
Times = Annotated[list[Natural], Meta(min_length=1, max_length=MAX_N)]
EventKind = Literal["label", "keyword", "partial", "final", "anomaly", "clear", "speaker", "token"]
MAX_DECODER_CHARS = 65536
"""Longest `decoder` of an `open`."""


class Message(msgspec.Struct, frozen=True, tag_field="type", forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Base of all messages; the `type` key holds the tag. Unknown keys are an error."""


# ---- client to server


class Open(Message, frozen=True, tag="open"):
    """Open a session of a model under a free handle, or resume one; answered by `opened`.

    `decoder` finds events in the outputs: `none`, `model` (as the model's card says), or its settings as JSON.
    With `resume_token` the session `session_id` goes on, and the outputs after `answered_seq` are sent again; what is
    not known any more is opened anew. `window` is the most frames that the client will leave unanswered.
    """

    handle: Handle
    model: str
    session_id: str | None = None
    resume_token: str | None = None
    answered_seq: AppliedSeq = -1
    attempt: Annotated[int, Meta(ge=1, le=2**40)] | None = None
    last_attempt: Annotated[int, Meta(ge=0, le=2**40)] = 0
    window: Count | None = None
    overload: Overload = "reject"
    park_ms: Natural | None = None
    expire_ms: Natural | None = None
    gap: Gap = "none"
    period_us: Natural = 0
    reset_after_us: Natural = 0
    decoder: Annotated[str, Meta(max_length=MAX_DECODER_CHARS)] = "none"


class Frame(Message, frozen=True, tag="frame"):
    """Frames `seq .. seq + n - 1` of one session; answered by outputs that cover each of them once, in order."""

    handle: Handle
    seq: Seq
    payload: bytes
    n: Count = 1
    time_us: Natural | None = None


class Frames(Message, frozen=True, tag="frames"):
    """A gateway's columnar batch: one frame for each of several sessions of equal input size; answered by `outputs`."""

    handles: Handles
    seqs: Seqs
    payload: bytes
    times_us: Times | None = None


class Reset(Message, frozen=True, tag="reset"):
    """Return the state to its start, after the frames sent before; numbering goes on. Answered by `ack`.

    With `warm_frames` the old state answers that many frames more, while one from the start sees them too, and then
    takes over.
    """

    handle: Handle
    warm_frames: Annotated[int, Meta(ge=0, le=MAX_N)] = 0


class Flush(Message, frozen=True, tag="flush"):
    """Answered by `ack` once every frame sent before has been answered."""

    handle: Handle


class Snapshot(Message, frozen=True, tag="snapshot"):
    """Answered by `snapshotted`, taken after the frames sent before."""

    handle: Handle


class Restore(Message, frozen=True, tag="restore"):
    """Open a session from a snapshot under a free handle; answered by `opened` with `resumed` true."""

    handle: Handle
    payload: bytes
    session_id: str | None = None


class Rollback(Message, frozen=True, tag="rollback"):
    """Take a session back to an earlier snapshot of its own, numbering too; answered by `ack`."""

    handle: Handle
    payload: bytes


class Fork(Message, frozen=True, tag="fork"):
    """Copy a session, after the frames sent before, under a free handle; answered by `opened` for `new_handle`."""

    handle: Handle
    new_handle: Handle
    session_id: str | None = None


class Generate(Message, frozen=True, tag="generate"):
    """Let the session feed itself: frames `seq ..`, at most `n`, are tokens that its sampler draws.

    Each is answered by an output with a `token` event; on the last one its `cause` says why that is the last. The token
    `stop` ends it before `n`, itself included; -1: none does.
    """

    handle: Handle
    seq: Seq
    n: Count
    temperature: Annotated[float, Meta(ge=0.0)] = 1.0
    top_k: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    seed: Natural = 0
    stop: Annotated[int, Meta(ge=-1, le=2**31 - 1)] = -1


class Close(Message, frozen=True, tag="close"):
    """End a session after the frames sent before; answered by `closed`."""

    handle: Handle


# ---- server to client


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A named part of an output: the next `size` of its values."""

    name: str
    size: int


class Port(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A model's input or output: `kind` is `dense` (float32 values) or `token` (one id in `[0, n_tokens)`).

    Its `size` values are `steps` steps, one after the other. Of an output: its `heads` in order, if there are several;
    it belongs to the frame `delay` frames before the one that it answers.
    """

    size: int
    kind: Literal["dense", "token"] = "dense"
    n_tokens: int = 0
    names: tuple[str, ...] = ()
    steps: int = 1
    heads: tuple[Head, ...] = ()
    delay: int = 0


class Opened(Message, frozen=True, tag="opened"):
    """The session lives; `next_seq` is the seq its next frame must carry, `resume_token` what it is resumed with.

    `rate_hz`: frames a second that the model was made for, 0: not told. `decoder`: its kind, if the session has one.
    `resumed`: it goes on from an earlier state. `durable`: it outlives this server, up to and including `durable_seq`.
    """

    handle: Handle
    session_id: str
    model: str
    digest: str
    next_seq: Seq
    resumed: bool
    input: Port
    output: Port
    labels: tuple[str, ...] = ()
    max_queue_frames: int = 0
    resume_token: str = ""
    durable: bool = False
    durable_seq: AppliedSeq = -1
    park_ms: Natural = 0
    expire_ms: Natural = 0
    rate_hz: float = 0.0
    decoder: str = ""


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A word of a transcript, of frames `first_seq .. last_seq`; `score` is how sure it is, 0 .. 1."""

    text: str
    first_seq: Seq
    last_seq: Seq
    score: float = 0.0


class OutputEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What the session's decoder found with the output of frame `seq`."""

    kind: EventKind
    seq: Seq
    text: str = ""
    score: float = 0.0
    token: Annotated[int, Meta(ge=-1, le=2**31 - 1)] = -1
    cause: str = ""
    words: tuple[Word, ...] = ()


class Output(Message, frozen=True, tag="output"):
    """Outputs of frames `seq .. seq + n - 1` of one session, and what its decoder found in them.

    `filled` missing samples were made up, or the state was reset (`was_reset`), before the first of these frames.
    """

    handle: Handle
    seq: Seq
    payload: bytes
    n: Count = 1
    filled: Natural = 0
    was_reset: bool = False
    events: tuple[OutputEvent, ...] = ()


class Outputs(Message, frozen=True, tag="outputs"):
    """One output for each of several sessions of equal output size."""

    handles: Handles
    seqs: Seqs
    payload: bytes


class Skipped(Message, frozen=True, tag="skipped"):
    """Frames `seq .. seq + n - 1` get no output, as the session's `overload` says; in place of their outputs."""

    handle: Handle
    seq: Seq
    n: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    is_stepped: bool


class Ack(Message, frozen=True, tag="ack"):
    """All up to `applied_seq` (-1: nothing yet) has been applied and answered, and is in the store up to `durable_seq`.

    `of` is what it answers; `checkpoint` comes unasked.
    """

    handle: Handle
    of: Literal["reset", "flush", "rollback", "checkpoint"]
    applied_seq: AppliedSeq
    durable_seq: AppliedSeq = -1


class Event(Message, frozen=True, tag="event"):
    """The session's life took a turn: `parked`, and `live` when it came back; the next frame is `next_seq`."""

    handle: Handle
    name: Literal["parked", "live"]
    next_seq: Seq


class Snapshotted(Message, frozen=True, tag="snapshotted"):
    """A snapshot of the session as it stands before frame `next_seq`."""

    handle: Handle
    next_seq: Seq
    payload: bytes


class Error(Message, frozen=True, tag="error"):
    """What went wrong, in answer to what type of message, and what it ends: a frame, a session or the connection."""

    code: str
    scope: Literal["frame", "session", "connection"]
    retryable: bool
    message: str
    of: str | None = None
    handle: Handle | None = None
    seq: Seq | None = None
    expected_seq: Seq | None = None


class GoAway(Message, frozen=True, tag="go_away"):
    """The server stops; finish or reconnect within `deadline_ms`."""

    deadline_ms: Annotated[int, Meta(ge=0)]


class Closed(Message, frozen=True, tag="closed"):
    """The session ended; `n_frames` were answered in all."""

    handle: Handle
    reason: Literal["closed", "error", "draining", "expired", "taken_over"]
    n_frames: Annotated[int, Meta(ge=0)]


ClientMessage = Open | Frame | Frames | Reset | Flush | Snapshot | Restore | Rollback | Fork | Generate | Close
ServerMessage = Opened | Output | Outputs | Skipped | Ack | Snapshotted | Event | Error | GoAway | Closed

PROTOCOLS = ("streamrnn.v1.msgpack", "streamrnn.v1.json")
"""Websocket sub-protocols, the default first."""
