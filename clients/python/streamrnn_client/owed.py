"""What the server owes one session: outputs of frames, and answers to asks. Numbering is a matter of the ledger."""

from __future__ import annotations

from collections import deque

from streamrnn_client.errors import MalformedError, SequenceError, StreamrnnClientError
from streamrnn_client.pending import PLAIN, Mark, PendingAsk, PendingFrames


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

    def answer(self, seq: int, output: bytes, mark: Mark) -> PendingFrames | None:
        """The output of frame `seq` arrived; returns its message if that is complete with it.

        Raises:
            MalformedError: it is not the next output due.
        """
        pending = next((pending for pending in self.frames if not pending.doomed), None)
        if pending is None or pending.seq + len(pending.outputs) != seq:
            raise MalformedError(f"an output for seq {seq} of handle {self._handle}, which is not due")
        if mark != PLAIN:
            pending.marks[len(pending.outputs)] = mark
        pending.outputs.append(output)
        if len(pending.outputs) < pending.n:
            return None
        self.frames.remove(pending)
        pending.kept.is_answered = True
        pending.settle(pending.outputs)
        return pending

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
