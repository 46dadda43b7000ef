"""What one session has sent and may have to send again, in order. Knows no bytes of the wire and no connection.

Frames stay until they are answered and durable. A `reset` stays until a state behind it is durable: repeated in its
place it does no harm, left out it would be missing. A `rollback` stays until a checkpoint of its own line: until then
the server may come back with a state of the line that was left, whose seqs say nothing; so all begins with it.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from streamrnn_client.messages import Rollback
from streamrnn_client.pending import Drawn, Entry, Kept, PendingAsk


class Log:
    """Entries from `first_seq` on: the lowest state from which they bring a session up to date.

    With `base`, a rollback that was applied and is not durable, they do so from any state. `is_torn`: such a rollback
    was forgotten, so that only the very state that was left will do. `reserve_bytes` of its room are taken elsewhere.
    """

    def __init__(self, first_seq: int, max_bytes: int, period_us: int = 0) -> None:
        self.entries: deque[Entry] = deque()
        self.first_seq = first_seq
        self.base: PendingAsk | None = None
        self.is_torn = False
        self.n_forgotten = 0
        self.reserve_bytes = 0
        self._max_bytes = max_bytes
        self._period_us = period_us
        self._n_bytes = 0

    def append(self, entry: Entry) -> None:
        """It is about to be sent."""
        self.entries.append(entry)
        self._n_bytes += _n_bytes(entry)

    def trim(self, durable_seq: int) -> None:
        """Let go of what is answered and durable, and of the oldest that is answered where there is too much."""
        while self.entries and self._can_go(self.entries[0], durable_seq):
            head = self.entries.popleft()
            if not self._is_spent(head, durable_seq):
                self._forget(head)
            self._pass(head)
            self._n_bytes -= _n_bytes(head)

    def turn_back(self, seq: int) -> None:
        """Frame `seq` was refused: it and those behind it are not in the session. Asks behind it hold there now."""
        behind: list[PendingAsk] = []
        while self.entries:
            entry = self.entries[-1]
            if (entry.end if isinstance(entry, Kept) else entry.position) <= seq:
                break
            self.entries.pop()
            if isinstance(entry, Kept):
                self._n_bytes -= entry.n_bytes
            else:
                entry.position = seq
                behind.append(entry)
        self.entries.extend(reversed(behind))

    def roll_back(self, rollback: PendingAsk, seq: int) -> None:
        """It was applied: what stands before it is of no more use, what stands behind it is numbered from `seq`."""
        self.drop_before(rollback)
        n_back = rollback.position - seq
        for entry in islice(self.entries, 1, None):
            if isinstance(entry, Kept):
                entry.renumber(entry.seq - n_back)
            else:
                entry.position -= n_back
        rollback.position = self.first_seq = seq
        self.base = rollback
        self.is_torn = False

    def shorten(self, drawn: Drawn, end: int) -> None:
        """What was drawn ended before frame `end`; what stands behind it is numbered from there."""
        n_back = drawn.end - end
        drawn.shorten(end)
        is_behind = False
        for entry in self.entries:
            if is_behind and isinstance(entry, Kept):
                entry.renumber(entry.seq - n_back)
            elif is_behind and isinstance(entry, PendingAsk):
                entry.position -= n_back
            is_behind = is_behind or entry is drawn

    def drop_before(self, rollback: PendingAsk) -> None:
        """Everything before it is of no more use."""
        while self.entries[0] is not rollback:
            self._n_bytes -= _n_bytes(self.entries.popleft())

    def release(self) -> None:
        """The line of `base` is durable: its seqs say again where the server is."""
        self.base, self.is_torn = None, False

    def behind(self, next_seq: int, limit: int) -> list[Entry]:
        """What a session that stands before `next_seq` has to be sent; of answered frames at most `limit` at once."""
        due: list[Entry] = []
        for entry in self.entries:
            if isinstance(entry, PendingAsk):
                if not entry.done or entry is self.base or (_is_reset(entry) and self._is_ahead(entry, next_seq)):
                    due.append(entry)
            elif self._is_ahead(entry, next_seq):
                due += entry.pieces(limit, self._period_us)
            elif entry.end > next_seq:
                due += entry.tail(next_seq, self._period_us).pieces(limit, self._period_us)
        return due

    def owes(self, entry: Entry) -> bool:
        """Whether something before an entry is not answered."""
        for other in self.entries:
            if other is entry:
                break
            if not (other.is_answered if isinstance(other, Kept) else other.done):
                return True
        return False

    def undone(self) -> list[PendingAsk]:
        """Asks that are not answered."""
        return [entry for entry in self.entries if isinstance(entry, PendingAsk) and not entry.done]

    def clear(self) -> None:
        """The session is over."""
        self.entries.clear()
        self.base = None
        self._n_bytes = 0

    def _can_go(self, head: Entry, durable_seq: int) -> bool:
        if isinstance(head, Kept):
            return head.is_answered and (head.end <= durable_seq + 1 or self._is_full)
        return head.done and (self._is_spent(head, durable_seq) or self._is_full)

    @property
    def _is_full(self) -> bool:
        return self._n_bytes + self.reserve_bytes > self._max_bytes

    def _is_spent(self, head: Entry, durable_seq: int) -> bool:
        if isinstance(head, Kept):
            return head.end <= durable_seq + 1
        if _is_reset(head):
            return durable_seq >= head.position
        return head is not self.base

    def _is_ahead(self, entry: Entry, next_seq: int) -> bool:
        return self.base is not None or (entry.seq if isinstance(entry, Kept) else entry.position) >= next_seq

    def _forget(self, head: Entry) -> None:
        if isinstance(head, Kept):
            self.n_forgotten += head.n
        elif head is self.base:
            self.base, self.is_torn = None, True

    def _pass(self, head: Entry) -> None:
        """A state from before what goes now is of no more use."""
        if isinstance(head, Kept):
            self.first_seq = max(self.first_seq, head.end)
        elif _is_reset(head):
            self.first_seq = max(self.first_seq, head.position + 1)


def _n_bytes(entry: Entry) -> int:
    if isinstance(entry, Kept):
        return entry.n_bytes
    return len(entry.message.payload) if isinstance(entry.message, Rollback) else 0


def _is_reset(ask: PendingAsk) -> bool:
    """It is one, and was not refused."""
    return ask.of == "reset" and ask.error is None
