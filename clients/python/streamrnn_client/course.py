"""How far one session has been sent on the present connection, and what may be sent next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from streamrnn_client.messages import Close, Rollback
from streamrnn_client.pending import Drawn, Entry, Kept, PendingAsk


class Course:
    """Entries in order: sent at once while the session keeps up, else held in `unsent`.

    `sent_seq` is what this connection comes to next, `heard_seq` the last seq that the server answered on it, and
    `ever_seq` the seq behind all that were ever sent. Frames before `repeats_to` were answered on another connection.

    Behind a `barrier`, a rollback or a generation that is not answered, nothing is sent: it decides the numbers. While
    it is `is_deaf`, outputs belong to a line that was left. A `close` or `rollback` lets go of the state that went
    before it, so it is sent once all before it is answered: what a lost connection takes with it could not be asked for
    again. So is a generation: its outputs may fill all that the server keeps.

    Args:
        next_seq: what the session begins with.
        owes: whether something that stands before an entry is not answered.
    """

    def __init__(self, next_seq: int, owes: Callable[[Entry], bool] = lambda entry: False) -> None:
        self._owes = owes
        self.unsent: deque[Entry] = deque()
        self.is_live = True
        self.is_deaf = False
        self.barrier: Entry | None = None
        self.repeats_to = 0
        self.sent_seq = self.ever_seq = next_seq
        self.heard_seq = next_seq - 1

    @property
    def keeps_up(self) -> bool:
        """What is taken now is sent now."""
        is_behind = self.heard_seq < self.repeats_to - 1  # what is repeated takes room in the server's queue as well
        return self.is_live and self.barrier is None and not self.unsent and not is_behind

    def add(self, entry: Entry) -> None:
        """It was taken; if the session keeps up, it is sent as well."""
        if self.takes(entry):
            self._sent(entry)
        else:
            self.unsent.append(entry)

    def takes(self, entry: Entry) -> bool:
        """Whether an entry is sent as soon as it is taken."""
        return self.keeps_up and not self._must_wait(entry)

    def _must_wait(self, entry: Entry) -> bool:
        if isinstance(entry, Kept):
            decides = isinstance(entry, Drawn) and not (entry.goes_on or entry.is_answered)
        else:
            decides = isinstance(entry.message, Close | Rollback) and not entry.done
        return decides and self._owes(entry)

    def next_due(self, limit: int) -> Entry | None:
        """Take what may be sent next, with at most `limit` frames unanswered on this connection."""
        if not self.unsent or not self.is_live or self.barrier is not None:
            return None
        entry = self.unsent[0]
        if isinstance(entry, Kept):
            n_out = self.sent_seq - 1 - self.heard_seq
            if (n_out > 0 and n_out + entry.n > limit) or self._must_wait(entry):
                return None
        elif entry.done and entry.error is not None:
            self.unsent.popleft()  # failed while it waited
            return self.next_due(limit)
        elif self._must_wait(entry):
            return None
        self._sent(self.unsent.popleft())
        return entry

    def hear(self, seq: int) -> None:
        """The server answered that frame."""
        if not self.is_deaf:
            self.heard_seq = max(self.heard_seq, seq)
            if isinstance(self.barrier, Drawn) and seq >= self.barrier.end - 1:
                self.barrier = None

    def skip_to(self, sent_seq: int, heard_seq: int) -> None:
        """Frames were sent and answered without this: it stands there now."""
        self.sent_seq = sent_seq
        self.ever_seq = max(self.ever_seq, sent_seq)
        self.heard_seq = max(self.heard_seq, heard_seq)

    def shorten(self, end: int) -> None:
        """What was drawn, and is the last that was sent, ended before frame `end`."""
        self.sent_seq = min(self.sent_seq, end)
        self.ever_seq = min(self.ever_seq, end)
        if isinstance(self.barrier, Drawn):
            self.barrier.end = end

    def turn_back(self, seq: int) -> None:
        """Frame `seq` was refused: what waits behind it is not sent under these numbers."""
        self.sent_seq = min(self.sent_seq, seq)
        self.ever_seq = min(self.ever_seq, seq)
        if isinstance(self.barrier, Drawn):
            self.barrier = None
        self.unsent = deque(entry for entry in self.unsent if isinstance(entry, PendingAsk) or entry.end <= seq)

    def rolled_back(self, seq: int, *, is_repeated: bool) -> None:
        """The barrier is gone; the next frame is `seq`."""
        self.barrier = None
        self.is_deaf = False
        self.sent_seq = seq
        self.repeats_to = self.repeats_to if is_repeated else 0
        self.heard_seq = seq - 1
        self.ever_seq = max(self.ever_seq, seq) if is_repeated else seq

    def part(self) -> None:
        """The connection is lost."""
        self.unsent.clear()
        self.is_live = self.is_deaf = False
        self.barrier = None

    def resume(self, due: list[Entry], next_seq: int, answered_seq: int, base: PendingAsk | None) -> int:
        """It stands before `next_seq` in the server again, and lacks `due`; returns how many frames that repeats.

        With `base`, the rollback with which `due` begins, whatever the server says before its answer is passed over.
        """
        self.unsent = deque(due)
        self.is_live = True
        self.is_deaf = base is not None
        self.sent_seq = next_seq if base is None else base.position
        self.repeats_to = answered_seq + 1
        self.heard_seq = self.sent_seq - 1 if base is not None else min(next_seq - 1, answered_seq)
        again = [entry for entry in due if isinstance(entry, Kept) and entry.end <= self.ever_seq]
        return sum(entry.n for entry in again if not (isinstance(entry, Drawn) and entry.goes_on))

    def _sent(self, entry: Entry) -> None:
        if isinstance(entry, Kept):
            self.sent_seq = entry.end
            self.ever_seq = max(self.ever_seq, entry.end)
            if isinstance(entry, Drawn) and not entry.is_answered:
                self.barrier = entry
            return
        entry.n_sent += 1
        if isinstance(entry.message, Rollback):
            self.barrier = entry
