"""Batches of groups in the tests that interleave: what was sent, and what each session was answered."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from streamrnn_client.batch import PendingBatch
from streamrnn_client.columns import Columns
from streamrnn_client.dialogue import Dialogue
from streamrnn_client.facts import SessionFacts
from streamrnn_client.ledger import Ledger
from streamrnn_client.pending import PendingFrames


@dataclass
class SentBatch:
    """One frame of one value for each of some sessions, and the seqs that they were to have."""

    batch: PendingBatch
    ledgers: list[Ledger]
    values: list[float]
    seqs: list[int]

    def rows(self) -> Iterator[tuple[Ledger, float, int, float | None, PendingFrames | None]]:
        """Session, value, seq and output of each; what went alone has a pending of its own instead of the last two."""
        parts = self.batch.parts
        totals = None if parts is not None else struct.unpack(f"<{len(self.ledgers)}f", self.batch.value)
        for i, (ledger, value, seq) in enumerate(zip(self.ledgers, self.values, self.seqs, strict=True)):
            if parts is None:
                assert totals is not None
                yield ledger, value, seq, totals[i], None
            else:
                yield ledger, value, parts[i].seq, None, parts[i]


class Groups:
    """Sends as a client's groups do: the same sessions make the same group again."""

    def __init__(self, dialogue: Dialogue) -> None:
        self.sent: list[SentBatch] = []
        self._dialogue = dialogue
        self._known: dict[tuple[int, ...], Columns] = {}

    def send(self, ledgers: Sequence[Ledger], values: list[float]) -> SentBatch:
        """One frame each, as one message if all is in order."""
        key = tuple(id(ledger) for ledger in ledgers)
        if key not in self._known:
            self._known[key] = Columns(self._dialogue, [SessionFacts(ledger) for ledger in ledgers])
        seqs = [ledger.next_seq for ledger in ledgers]
        batch = self._known[key].send(struct.pack(f"<{len(values)}f", *values))
        self.sent.append(SentBatch(batch, list(ledgers), values, seqs))
        return self.sent[-1]

    def check_settled(self, n_settled: dict[int, int]) -> None:
        """Nothing is settled twice, and what was answered as a whole was told."""
        for sent in self.sent:
            if sent.batch.parts is None:
                assert n_settled.get(id(sent.batch), 0) == sent.batch.done
            else:
                assert all(n_settled.get(id(part), 0) <= part.done for part in sent.batch.parts)
