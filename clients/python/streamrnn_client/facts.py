"""What a client and a session know without asking the server; the same in both shells."""

from __future__ import annotations

from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import StreamrnnClientError
from streamrnn_client.ledger import Ledger
from streamrnn_client.messages import Port


class ClientFacts:
    """A connection as this side knows it; see the subclasses for what it can do."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue

    @property
    def going_away(self) -> bool:
        """True once the server has said that it stops: it takes no new sessions."""
        return self._dialogue.table.going_away is not None

    @property
    def over(self) -> StreamrnnClientError | None:
        """Why the connection has ended, or None while it stands."""
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
