"""One session's numbering, and what the server still owes it. Knows no handle table, no bytes and no clock.

It outlives connections. `live` means that the server has it open under `handle` on the present one; while it is apart
from the server, whatever is taken waits in `course`, to be sent when it has been resumed.
"""

from __future__ import annotations

import weakref
from dataclasses import replace

from streamrnn_client.books import Books
from streamrnn_client.errors import (
    MalformedError,
    OptionError,
    SessionClosedError,
    StreamrnnClientError,
    UsageError,
)
from streamrnn_client.losses import SessionLostError
from streamrnn_client.messages import Close, Fork, Message, Open, Opened, OutputEvent
from streamrnn_client.pending import PLAIN, Draw, Drawn, Kept, Mark, Pending, PendingAsk, PendingFrames

MAX_REPLAY_BYTES = 4 * 1024 * 1024
MAX_TIME_US = 2**53 - 1


class Ledger(Books):
    """The life of one session as this side sees it.

    A refused frame's seq is still the session's next (PROTOCOL 5.6), so `refuse` turns the numbering back to it. Frames
    that were in flight behind it are doomed: their refusals come later and must not turn back what has been sent since.

    Args:
        opened: how it began.
        asked: the `open` with its options, to be said again when it is resumed; None: they are not known here.
        max_replay_bytes: see `Options`; 0: it is not to be resumed, and nothing is kept for that.
    """

    def __init__(self, opened: Opened, asked: Open | None = None, max_replay_bytes: int = MAX_REPLAY_BYTES) -> None:
        self.opened = opened
        self.handle = opened.handle
        self.has_options = asked is not None
        self.asked = replace(
            asked or Open(opened.handle, opened.model),
            handle=opened.handle,
            model=opened.model,
            session_id=opened.session_id,
        )
        super().__init__(opened, max_replay_bytes, self.asked.period_us)
        self.tokens = [opened.resume_token] if opened.resume_token else []
        self.n_repeated = self.n_skipped = 0
        self.n_attempts = self.last_attempt = 0
        self.is_parked = self.is_closing = False
        self.ended: StreamrnnClientError | None = None
        self.last_error: StreamrnnClientError | None = None
        self._turn: weakref.ReferenceType[object] | None = None

    @property
    def is_kept(self) -> bool:
        """What is answered is kept until it is durable, for it can be resumed."""
        return self._is_kept

    @property
    def has_times(self) -> bool:
        """Its frames bear times, or it is not known whether they do not."""
        return self.has_options and self.asked.gap != "none"

    # ---- what is sent

    def checked_time(self, time_us: int | None, *, is_columnar: bool = False) -> int | None:
        """The time that a frame is to carry. In a columnar message others may need one, and ours is left out.

        Raises:
            OptionError: one is missing, or there is no `gap` policy that wants it.
        """
        if time_us is not None and not (isinstance(time_us, int) and 0 <= time_us <= MAX_TIME_US):
            raise OptionError(f"expected time_us as an integer of at least 0, got {time_us!r}", scope="frame")
        if self.has_options and (time_us is None) != (self.asked.gap == "none"):
            if time_us is None or not is_columnar:
                wants = "no time_us without" if time_us is not None else "time_us with"
                raise OptionError(f"expected {wants} a gap policy of the session", scope="frame", handle=self.handle)
            return None
        return time_us

    def take(self, payload: bytes, n: int = 1, time_us: int | None = None) -> PendingFrames:
        """Number `n` frames that are about to be sent."""
        return self._take(Kept(self.next_seq, n, payload, time_us))

    def draw(self, draw: Draw, n: int) -> PendingFrames:
        """Number the frames that the server is about to be asked to draw, as if they were `n`."""
        return self._take(Drawn(self.next_seq, n, draw))

    def _take(self, kept: Kept) -> PendingFrames:
        pending = PendingFrames(kept=kept)
        self.next_seq = kept.end
        self.owed.frames.append(pending)
        self.log.append(kept)
        self.course.add(kept)
        return pending

    def take_turn(self, owner: object) -> None:
        """From now on only `owner` may send frames, for as long as it stands.

        Raises:
            UsageError: another one has the turn.
        """
        self.check_turn()
        self._turn = weakref.ref(owner)

    def leave_turn(self, owner: object) -> None:
        """All may send frames again."""
        if self._turn is not None and self._turn() is owner:
            self._turn = None

    @property
    def has_turn(self) -> bool:
        """Somebody has the turn."""
        return self._turn is not None and self._turn() is not None

    def check_turn(self) -> None:
        """Raises:
        UsageError: the session generates, and its frames are its own meanwhile.
        """
        if self.has_turn:
            said = "expected no frames while the session generates: iterate to the end, or close the iterator"
            raise UsageError(said, scope="frame", handle=self.handle)

    def ask(self, message: Message) -> PendingAsk:
        """Note a message other than frames that is about to be sent."""
        pending = PendingAsk(message=message)
        self.put(pending)
        self.is_closing = self.is_closing or isinstance(message, Close)
        return pending

    def put(self, pending: PendingAsk) -> None:
        """As `ask`, for one that was made elsewhere: a `fork`."""
        pending.position = self.next_seq
        if not isinstance(pending.message, Fork):
            self.owed.asks.append(pending)
        self.log.append(pending)
        self.course.add(pending)

    # ---- what is answered

    def answer(self, seq: int, outputs: list[bytes], settled: list[Pending], mark: Mark = PLAIN) -> None:
        """Outputs of frames `seq ..` arrived; appends to `settled` the frames' messages that are complete with them.

        Those that were here before are passed over. `mark` is what was told of the first; of each, if it was skipped.

        Raises:
            MalformedError: they are not the next outputs due.
        """
        end = seq + len(outputs)
        first = end if self.course.is_deaf else min(max(seq, self.answered_seq + 1), end)
        if first > seq:
            self.n_repeated += first - seq
            outputs = outputs[first - seq :]
            mark = mark if mark.is_stepped is not None else _behind(mark, first)
        if outputs:
            self._look_for_ends(mark.events)
            self.owed.answer(first, outputs, mark, settled)
            self.answered_seq = end - 1
            if mark.is_stepped is None:
                self.n_answered += len(outputs)
            else:
                self.n_skipped += len(outputs)
        self.course.hear(end - 1)
        self._trim()

    def _look_for_ends(self, events: tuple[OutputEvent, ...]) -> None:
        """Where tokens were drawn, the last one says so: there may be fewer than asked for, and all behind moves up."""
        for event in events:
            drawn = self.owed.drawn_at(event.seq) if event.kind == "token" and event.cause else None
            if drawn is not None and event.seq + 1 < drawn.end:
                end = event.seq + 1
                self.next_seq -= drawn.end - end
                self.log.shorten(drawn, end)
                self.course.shorten(end)

    def refuse(self, error: StreamrnnClientError, settled: list[Pending] | None = None) -> PendingFrames:
        """The frames of the message that began at `error.seq` were not taken; what waits behind them fails as well.

        Raises:
            MalformedError: no such message is unanswered.
            SessionLostError: they were sent again, so the session cannot be brought up to date.
        """
        settled = [] if settled is None else settled
        pending = self.owed.refused(error)
        if pending is None:
            if error.seq is not None and error.seq < self.course.repeats_to:
                raise self.lost(f"frames that were sent again were refused: {error}", error.seq, self.next_seq)
            raise MalformedError(f"an error for seq {error.seq} of handle {self.handle}, which is not due")
        later = self.owed.refuse(pending, error)
        settled.append(pending)
        if not pending.doomed:
            self._turn_back(pending.seq if error.expected_seq is None else error.expected_seq, later, settled)
        return pending

    def _turn_back(self, seq: int, later: list[PendingFrames], settled: list[Pending]) -> None:
        self.next_seq = seq
        for pending in later:
            if pending.kept in self.course.unsent:
                self._fail_doomed(pending, settled)
        self.log.turn_back(seq)
        self.course.turn_back(seq)

    def _fail_doomed(self, pending: PendingFrames, settled: list[Pending]) -> None:
        self.owed.fail_doomed(pending, self.next_seq)
        settled.append(pending)

    def refused_ask(self, ask: PendingAsk) -> None:
        """It had no effect."""
        if ask is self.course.barrier:
            self.course.barrier = None
        if ask.of == "close":
            self.is_closing = False

    def rolled_back(self, rollback: PendingAsk, applied_seq: int) -> None:
        """A `rollback` was applied: numbering goes on behind `applied_seq`."""
        if not rollback.done:
            self.next_seq -= rollback.position - (applied_seq + 1)
            self.answered_seq = applied_seq
            self.durable_seq = min(self.durable_seq, applied_seq)
        self.log.roll_back(rollback, applied_seq + 1)
        if not self._is_kept:
            self.log.release()
        self.course.rolled_back(applied_seq + 1, is_repeated=rollback.done)

    def saved(self, durable_seq: int, *, is_checkpoint: bool) -> None:
        """The server told what is durable. Behind a rollback only a checkpoint tells of the line that goes on."""
        if self.lockstep is not None and is_checkpoint:
            self.lockstep.saved(self.place, durable_seq)
            return
        if self.log.base is not None or self.log.is_torn:
            if not is_checkpoint or durable_seq >= self.next_seq or self.course.barrier is not None:
                return
            self.log.release()
            self.durable_seq = durable_seq
        self.durable_seq = max(self.durable_seq, durable_seq)
        self._trim()

    def _trim(self) -> None:
        """Let go of what is not needed; but not of a rollback that is just being repeated."""
        if not self.course.is_deaf:
            self.trim_to(self.durable_seq)

    # ---- connections

    def part(self, settled: list[Pending]) -> None:
        """The connection is lost, or the server has let go of the session to be resumed elsewhere."""
        for pending in [pending for pending in self.owed.frames if pending.doomed]:
            self._fail_doomed(pending, settled)
        self.owed.asks.clear()
        self.course.part()
        self.is_parked = False

    def lost(self, why: str, from_seq: int, to_seq: int) -> SessionLostError:
        """What its user is told when frames are missing that cannot be sent again."""
        message = f"{why}: session {self.opened.session_id} lacks frames {from_seq} to {to_seq - 1}"
        return SessionLostError(message, from_seq=from_seq, to_seq=to_seq)

    # ---- the end

    def end(self, error: StreamrnnClientError) -> list[Pending]:
        """The session is over: everything unanswered fails with `error`, but `close` has what it wanted."""
        self.ended = error
        asks = [ask for ask in self.log.undone() if ask.of != "fork"]
        settled: list[Pending] = [*self.owed.frames, *asks]
        for pending in settled:
            if isinstance(pending, PendingAsk) and pending.of == "close":
                pending.settle(self.next_seq)
            else:
                pending.fail(error)
        self.owed.clear()
        self.log.clear()
        self.course.part()
        return settled

    @property
    def live(self) -> bool:
        """It has neither ended nor been told to."""
        return self.ended is None and not self.is_closing

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


def _behind(mark: Mark, seq: int) -> Mark:
    """What of a mark is of frames from `seq` on, the first of all being before it."""
    events = tuple(event for event in mark.events if event.seq >= seq)
    return Mark(events=events) if events else PLAIN
