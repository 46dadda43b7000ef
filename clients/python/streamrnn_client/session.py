"""What both shells' `Session` and `Client` know without asking the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import BatchError, OptionError, StreamrnnClientError
from streamrnn_client.floats import Matrix, Values, Vector, pack_rows, stack, unpack
from streamrnn_client.ledger import Ledger
from streamrnn_client.messages import Port
from streamrnn_client.pending import PendingFrames


class Output(NamedTuple):
    """The answer to frame `seq`: `y` is float32 of the model's output size."""

    seq: int
    y: Vector


class SessionFacts:
    """A session as this side knows it; see the subclasses for what it can do."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @property
    def id(self) -> str:
        """Its name in the server."""
        return self._ledger.opened.session_id

    @property
    def handle(self) -> int:
        """Its number on this connection."""
        return self._ledger.handle

    @property
    def model(self) -> str:
        """The model's name."""
        return self._ledger.opened.model

    @property
    def digest(self) -> str:
        """SHA-256 of the model's program and weights."""
        return self._ledger.opened.digest

    @property
    def input(self) -> Port:
        """What a frame is."""
        return self._ledger.opened.input

    @property
    def output(self) -> Port:
        """What an output is."""
        return self._ledger.opened.output

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of classes or heads, for display."""
        return self._ledger.opened.labels

    @property
    def resumed(self) -> bool:
        """True if it began as a copy of a state: by `restore` or `fork`."""
        return self._ledger.opened.resumed

    @property
    def max_queue_frames(self) -> int:
        """Most frames that may be unanswered at once; 0: the server did not say."""
        return self._ledger.opened.max_queue_frames

    @property
    def next_seq(self) -> int:
        """The seq that the next frame will carry."""
        return self._ledger.next_seq

    @property
    def n_unanswered(self) -> int:
        """Frames sent and neither answered nor refused; 0 once it has ended."""
        return self._ledger.n_unanswered

    @property
    def ended(self) -> StreamrnnClientError | None:
        """Why it ended, or None while it lives."""
        return self._ledger.ended


def send_one_each(dialogue: Dialogue, sessions: Sequence[SessionFacts], xs: Values) -> list[PendingFrames]:
    """Send row i of `xs`, `(n_sessions, size)`, to session i, all in one message.

    Raises:
        OptionError: no session, or models of different sizes.
        FrameError: a bad row, or not as many rows as sessions; nothing was sent.
    """
    ledgers = [session._ledger for session in sessions]
    if len({(ledger.opened.input.size, ledger.opened.output.size) for ledger in ledgers}) != 1:
        raise OptionError("expected sessions of equal input and output size, at least one")
    if any(dialogue.table.ledgers.get(ledger.handle) is not ledger for ledger in ledgers if ledger.ended is None):
        raise OptionError("expected sessions of this client, got one of another")
    payloads = pack_rows(xs, ledgers[0].opened.input, check=dialogue.options.check)
    return dialogue.frames_of_many(ledgers, payloads)


def gather(pendings: Sequence[PendingFrames], sessions: Sequence[SessionFacts]) -> Matrix:
    """The outputs of `send_one_each`, `(n_sessions, output_size)`, once all are settled.

    Raises:
        BatchError: some failed; it holds the outputs of the others.
    """
    outputs = [
        None if pending.error is not None else unpack(pending.value[0], session.output.size)[0]
        for pending, session in zip(pendings, sessions, strict=True)
    ]
    if any(pending.error is not None for pending in pendings):
        raise BatchError(outputs, [pending.error for pending in pendings])
    return stack([output for output in outputs if output is not None])
