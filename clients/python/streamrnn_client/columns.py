"""One frame for each of several sessions, in one message: a gateway's columns."""

from __future__ import annotations

from collections.abc import Sequence

from streamrnn_client.batch import PendingBatch
from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import OptionError
from streamrnn_client.facts import SessionFacts
from streamrnn_client.floats import Values, pack_matrix, pack_rows
from streamrnn_client.lockstep import Lockstep


class Columns:
    """The same sessions again and again; in a lockstep, while nothing is out of the ordinary, else one by one.

    Raises:
        OptionError: no session, models of different sizes, or a session of another client.
    """

    def __init__(self, dialogue: Dialogue, sessions: Sequence[SessionFacts]) -> None:
        self.sessions = tuple(sessions)
        self._dialogue = dialogue
        self._ledgers = [session._ledger for session in sessions]
        self._lockstep: Lockstep | None = None
        self._is_distinct = len({ledger.handle for ledger in self._ledgers}) == len(self._ledgers)
        if len({(ledger.opened.input.size, ledger.opened.output.size) for ledger in self._ledgers}) != 1:
            raise OptionError("expected sessions of equal input and output size, at least one")
        if any(dialogue.table.ledgers.get(ledger.handle) is not ledger for ledger in self._ledgers if ledger.live):
            raise OptionError("expected sessions of this client, got one of another")

    def send(self, xs: Values, times_us: Sequence[int] | None = None) -> PendingBatch:
        """Send row i of `xs`, `(n_sessions, size)`, to session i, all in one message.

        Raises:
            FrameError: a bad row, or not as many rows as sessions; nothing was sent.
        """
        check, port, n = self._dialogue.options.check, self._ledgers[0].opened.input, len(self._ledgers)
        frames = pack_matrix(xs, n, port, check=check)
        if self._is_distinct and times_us is None and isinstance(frames, bytes):
            self._lockstep = self._dialogue.in_step(self._ledgers, self._lockstep)
            if self._lockstep is not None:
                return self._dialogue.round_of(self._lockstep, frames)
        rows = pack_rows(frames, port, check=False) if isinstance(frames, bytes) else frames
        batch = PendingBatch(n)
        batch.split(self._dialogue.frames_of_many(self._ledgers, rows, times_us))
        return batch
