"""One session's numbering, and what the server still owes it. Knows no handle table, no bytes and no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from streamrnn_client.errors import MalformedError, SessionClosedError, StreamrnnClientError
from streamrnn_client.messages import Message, Opened
from streamrnn_client.pending import Pending, PendingAsk, PendingFrames


class Ledger:
    """The life of one session as this side sees it.

    A refused frame's seq is still the session's next (PROTOCOL 5.6), so `refuse` turns the numbering back to it. Frames
    that were in flight behind it are doomed: their refusals come later and must not turn back what has been sent since.
    """

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.handle = opened.handle
        self.next_seq = opened.next_seq
        self.n_answered = 0
        self.frames: deque[PendingFrames] = deque()
        self.asks: deque[PendingAsk] = deque()
        self.ended: StreamrnnClientError | None = None
        self.last_error: StreamrnnClientError | None = None

    @property
    def n_unanswered(self) -> int:
        """Frames sent and neither answered nor refused."""
        return sum(pending.n - len(pending.outputs) for pending in self.frames)

    def take(self, payloads: Sequence[bytes]) -> PendingFrames:
        """Number frames that are about to be sent."""
        pending = PendingFrames(seq=self.next_seq, payloads=list(payloads))
        self.next_seq += pending.n
        self.frames.append(pending)
        return pending

    def ask(self, message: Message) -> PendingAsk:
        """Note a message other than frames that is about to be sent."""
        pending = PendingAsk(message=message)
        self.asks.append(pending)
        return pending

    def answer(self, seq: int, outputs: Sequence[bytes], settled: list[Pending]) -> None:
        """Outputs of frames `seq ..` arrived; appends to `settled` the frames' messages that are complete with them.

        Raises:
            MalformedError: they are not the next outputs due.
        """
        for output in outputs:
            pending = next((pending for pending in self.frames if not pending.doomed), None)
            if pending is None or pending.seq + len(pending.outputs) != seq:
                raise MalformedError(f"an output for seq {seq} of handle {self.handle}, which is not due")
            pending.outputs.append(output)
            self.n_answered += 1
            seq += 1
            if len(pending.outputs) == pending.n:
                self.frames.remove(pending)
                pending.settle(pending.outputs)
                settled.append(pending)

    def refuse(self, error: StreamrnnClientError) -> PendingFrames:
        """The frames of the message that began at `error.seq` were not taken.

        Raises:
            MalformedError: no such message is unanswered.
        """
        found = [pending for pending in self.frames if pending.seq == error.seq]
        found.sort(key=lambda pending: not pending.doomed)  # what is doomed was sent first
        is_duplicate = error.seq is not None and error.seq < (error.expected_seq or 0)
        pending = found[-1 if is_duplicate else 0] if found else None
        if pending is None or pending.outputs:
            raise MalformedError(f"an error for seq {error.seq} of handle {self.handle}, which is not due")
        if not pending.doomed:
            self.next_seq = pending.seq if error.expected_seq is None else error.expected_seq
            for later in list(self.frames)[self.frames.index(pending) + 1 :]:
                later.doomed = True
        self.frames.remove(pending)
        pending.fail(error)
        return pending

    def oldest_ask(self, of: str) -> PendingAsk:
        """Take the ask of that type that was sent first.

        Raises:
            MalformedError: there is none.
        """
        for pending in self.asks:
            if pending.of == of:
                self.asks.remove(pending)
                return pending
        raise MalformedError(f"an answer to {of} of handle {self.handle}, which was not asked")

    def end(self, error: StreamrnnClientError) -> list[Pending]:
        """The session is over: everything unanswered fails with `error`, but `close` has what it wanted."""
        self.ended = error
        settled: list[Pending] = [*self.frames, *self.asks]
        for pending in settled:
            if isinstance(pending, PendingAsk) and pending.of == "close":
                pending.settle(self.n_answered)
            else:
                pending.fail(error)
        self.frames.clear()
        self.asks.clear()
        return settled

    @property
    def live(self) -> bool:
        """It has neither ended nor been told to."""
        return self.ended is None and all(pending.of != "close" for pending in self.asks)

    def check_live(self) -> None:
        """Raises:
        SessionClosedError: it has ended by `close`; else the error that ended it.
        """
        if self.ended is not None:
            raise self.ended.again()
        if not self.live:
            raise closed_by_owner(self.handle)


def closed_by_owner(handle: int) -> SessionClosedError:
    """What a session says after `close`."""
    return SessionClosedError("expected an open session, this one was closed", handle=handle)
