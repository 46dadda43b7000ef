"""What the server owes one session: outputs of frames, and answers to asks. Numbering is a matter of the ledger."""

from __future__ import annotations

from collections import deque

from streamrnn_client.errors import MalformedError, SequenceError, StreamrnnClientError
from streamrnn_client.pending import PLAIN, Drawn, Mark, Pending, PendingAsk, PendingFrames


class Owed:
    """Messages in the order in which they were taken: `frames`, and `asks` of the present connection.

    Of two frames that bear the same seq one is doomed: it stands behind a refused one, and its own refusal will come.
    """

    def __init__(self, handle: int) -> None:
        self.frames: deque[PendingFrames] = deque()
        self.asks: deque[PendingAsk] = deque()
        self._handle = handle

    @property
    def n_frames(self) -> int:
        """Frames neither answered nor refused."""
        return sum(pending.n - len(pending.outputs) for pending in self.frames)

    def answer(self, seq: int, outputs: list[bytes], mark: Mark, settled: list[Pending]) -> None:
        """The outputs of frames `seq ..` arrived; appends to `settled` the messages that are complete with them.

        One whose tokens are drawn is appended whenever there are more of them.

        Raises:
            MalformedError: they are not the next outputs due; those before the first that is not are taken.
        """
        n_taken, n = 0, len(outputs)
        while n_taken < n:
            pending = self._next()
            if pending is None or pending.kept.seq + len(pending.outputs) != seq + n_taken:
                raise MalformedError(f"an output for seq {seq + n_taken} of handle {self._handle}, which is not due")
            if mark is not PLAIN:
                mark = _note(mark, pending, n - n_taken)
            n_lacking = pending.kept.n - len(pending.outputs)
            pending.outputs += outputs[n_taken : n_taken + n_lacking]
            n_taken += n_lacking
            if n_taken <= n:
                self.frames.remove(pending)
                pending.kept.is_answered = True
                pending.settle(pending.outputs)
                settled.append(pending)
            elif isinstance(pending.kept, Drawn):
                settled.append(pending)

    def drawn_at(self, seq: int) -> Drawn | None:
        """What is drawn and not answered to its end, if frame `seq` is of it."""
        for pending in self.frames:
            if isinstance(pending.kept, Drawn) and not pending.doomed and pending.seq <= seq < pending.kept.end:
                return pending.kept
        return None

    def _next(self) -> PendingFrames | None:
        for pending in self.frames:
            if not pending.doomed:
                return pending
        return None

    def refused(self, error: StreamrnnClientError) -> PendingFrames | None:
        """The message that an error refuses, if none of it is answered."""
        found = [pending for pending in self.frames if pending.seq == error.seq]
        found.sort(key=lambda pending: not pending.doomed)  # what is doomed was sent first
        is_duplicate = error.seq is not None and error.seq < (error.expected_seq or 0)
        pending = found[-1 if is_duplicate else 0] if found else None
        return None if pending is None or pending.outputs else pending

    def refuse(self, pending: PendingFrames, error: StreamrnnClientError) -> list[PendingFrames]:
        """Its frames were not taken; returns what is doomed by that, unless it was so already."""
        later = [] if pending.doomed else list(self.frames)[self.frames.index(pending) + 1 :]
        self.frames.remove(pending)
        pending.kept.is_answered = True
        pending.fail(error)
        for other in later:
            other.doomed = True
        return later

    def fail_doomed(self, pending: PendingFrames, next_seq: int) -> None:
        """What the server would say of it, where it will not. `next_seq`: the session's."""
        self.frames.remove(pending)
        message = "a frame before it was refused, and it was not applied"
        expected = min(next_seq, pending.seq)
        pending.fail(SequenceError(message, handle=self._handle, seq=pending.seq, expected_seq=expected))

    def oldest_ask(self, of: str) -> PendingAsk:
        """Take the ask of that type that was sent first.

        Raises:
            MalformedError: there is none.
        """
        for pending in self.asks:
            if pending.of == of:
                self.asks.remove(pending)
                return pending
        raise MalformedError(f"an answer to {of} of handle {self._handle}, which was not asked")

    def clear(self) -> None:
        """The session is over."""
        self.frames.clear()
        self.asks.clear()


def _note(mark: Mark, pending: PendingFrames, n: int) -> Mark:
    """Mark the next of at most `n` outputs in a message, or each if they are skipped; returns what marks the rest."""
    first = len(pending.outputs)
    end = min(first + n, pending.kept.n)
    if mark.is_stepped is not None:
        for i in range(first, end):
            pending.marks[i] = mark
        return mark
    if mark.filled or mark.was_reset:
        pending.marks[first] = Mark(mark.filled, mark.was_reset)
    later = []
    for event in mark.events:
        i = event.seq - pending.kept.seq
        if i >= end:
            later.append(event)
        else:
            known = pending.marks.get(i, PLAIN)
            pending.marks[i] = known._replace(events=(*known.events, event))
    return Mark(events=tuple(later)) if later else PLAIN
