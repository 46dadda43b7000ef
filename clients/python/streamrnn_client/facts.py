"""What a client and a session know without asking the server; the same in both shells."""

from __future__ import annotations

from streamrnn_client.errors import StreamrnnClientError
from streamrnn_client.ledger import Ledger
from streamrnn_client.line import Line
from streamrnn_client.messages import Head, Port


class ClientFacts:
    """A connection as this side knows it; see the subclasses for what it can do."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._dialogue = line.dialogue

    @property
    def connected(self) -> bool:
        """A connection stands. False: one is being made, or will be when there is something to ask."""
        return self._line.connected

    @property
    def n_reconnects(self) -> int:
        """Connections made after the first."""
        return self._dialogue.n_reconnects

    @property
    def n_replayed_frames(self) -> int:
        """Frames that were sent again, because the server had not got or not kept them."""
        return self._dialogue.table.n_replayed

    @property
    def n_repeated_outputs(self) -> int:
        """Outputs that came again and were passed over."""
        return self._dialogue.table.n_repeated

    @property
    def going_away(self) -> bool:
        """True once the present server has said that it stops: it takes no new sessions."""
        return self._dialogue.table.going_away is not None

    @property
    def over(self) -> StreamrnnClientError | None:
        """Why the client has given up or was closed, or None while it goes on."""
        return self._dialogue.table.over

    @property
    def n_unanswered(self) -> int:
        """Frames of all sessions sent and neither answered nor refused."""
        return self._dialogue.table.n_unanswered


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
    def heads(self) -> tuple[Head, ...]:
        """Named parts of an output, in order; one of the whole output where the model names none."""
        port = self.output
        return port.heads or (Head("output", port.size),)

    @property
    def delay(self) -> int:
        """Frames by which an output comes behind the frame that it belongs to: the model looks so far ahead."""
        return self.output.delay

    @property
    def rate_hz(self) -> float:
        """Frames a second that the model was made for; 0: not told."""
        return self._ledger.opened.rate_hz

    @property
    def decoder(self) -> str:
        """Kind of what finds events in its outputs, such as `ctc`; empty: nothing does."""
        return self._ledger.opened.decoder

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of classes or heads, for display."""
        return self._ledger.opened.labels

    @property
    def resumed(self) -> bool:
        """True if the server went on from a state that it had: after `restore`, `fork`, and when it was resumed."""
        return self._ledger.opened.resumed

    @property
    def durable(self) -> bool:
        """The server keeps checkpoints of it in a store."""
        return self._ledger.opened.durable

    @property
    def durable_seq(self) -> int:
        """The state after this seq is in the server's store; -1: none is."""
        return self._ledger.durable_seq

    @property
    def is_parked(self) -> bool:
        """It was silent, and the server keeps only its state; the next frame brings it back."""
        return self._ledger.is_parked

    @property
    def n_skipped(self) -> int:
        """Frames that got no output."""
        return self._ledger.n_skipped

    @property
    def n_forgotten_frames(self) -> int:
        """Answered frames that are not kept any more, though they were not known to be durable."""
        return self._ledger.n_forgotten

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
