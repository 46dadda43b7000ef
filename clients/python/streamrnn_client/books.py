"""The numbers of one session and what it has sent and is owed, kept here or by the lockstep in which it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamrnn_client.course import Course
from streamrnn_client.log import Log
from streamrnn_client.messages import Opened
from streamrnn_client.owed import Owed
from streamrnn_client.pending import Kept, PendingFrames

if TYPE_CHECKING:
    from streamrnn_client.lockstep import Lockstep


class Books:
    """While a session goes in a `lockstep`, that has the news of it; to look at `owed`, `log` or `course` ends that.

    So nobody sees them out of date, whatever comes. Numbers may be looked at without ending it, and without a lock.
    """

    def __init__(self, opened: Opened, max_replay_bytes: int, period_us: int) -> None:
        self.lockstep: Lockstep | None = None
        self.place = 0
        self._is_kept = bool(opened.resume_token) and max_replay_bytes > 0
        self._next_seq = opened.next_seq
        self._answered_seq = opened.next_seq - 1
        self._durable_seq = opened.durable_seq
        self._n_answered = 0
        self._owed = Owed(opened.handle)
        self._log = Log(opened.next_seq, max_replay_bytes, period_us)
        self._course = Course(opened.next_seq, self._log.owes)

    def alone(self) -> None:
        """From now on it goes alone: the lockstep, if it is in one, is over for all that are."""
        if self.lockstep is not None:
            self.lockstep.dissolve()

    @property
    def owed(self) -> Owed:
        """What the server owes."""
        if self.lockstep is not None:
            self.lockstep.dissolve()
        return self._owed

    @property
    def log(self) -> Log:
        """What may have to be sent again."""
        if self.lockstep is not None:
            self.lockstep.dissolve()
        return self._log

    @property
    def course(self) -> Course:
        """How far it has been sent."""
        if self.lockstep is not None:
            self.lockstep.dissolve()
        return self._course

    # ---- for a lockstep

    def enter(self, lockstep: Lockstep, place: int, reserve_bytes: int) -> None:
        """From now on it goes in there; so much less may be kept here."""
        self.place = place
        self.lockstep = lockstep
        self._log.reserve_bytes = reserve_bytes
        self.trim_to(self._durable_seq)

    def append_answered(self, kept: Kept) -> None:
        """Frames of it that are answered, for it to keep."""
        if self._is_kept:
            self._log.append(kept)

    def pass_to(self, seq: int) -> None:
        """Those before `seq` are durable, or are not to be kept."""
        self._log.first_seq = max(self._log.first_seq, seq)

    def trim_to(self, durable_seq: int) -> None:
        """Let go of what is not needed."""
        self._log.trim(durable_seq if self._is_kept else self._next_seq)

    def leave(self, next_seq: int, answered_seq: int, durable_seq: int, frames: Sequence[PendingFrames]) -> None:
        """It goes alone again; `frames` were sent, and are not all answered."""
        self.lockstep = None
        self._n_answered += answered_seq - self._answered_seq
        self._next_seq, self._answered_seq, self._durable_seq = next_seq, answered_seq, durable_seq
        for pending in frames:
            self._log.append(pending.kept)
            if not pending.done:
                self._owed.frames.append(pending)
        self._course.skip_to(next_seq, answered_seq)
        self._log.reserve_bytes = 0
        self.trim_to(durable_seq)

    # ---- what may be looked at

    @property
    def next_seq(self) -> int:
        """The seq that the next frame will carry."""
        lockstep = self.lockstep
        return self._next_seq if lockstep is None else lockstep.next_seq(self.place)

    @next_seq.setter
    def next_seq(self, seq: int) -> None:
        """The next frame will carry that one."""
        self.alone()
        self._next_seq = seq

    @property
    def answered_seq(self) -> int:
        """The last seq that is answered."""
        lockstep = self.lockstep
        return self._answered_seq if lockstep is None else lockstep.answered_seq(self.place)

    @answered_seq.setter
    def answered_seq(self, seq: int) -> None:
        """All up to it are answered."""
        self.alone()
        self._answered_seq = seq

    @property
    def durable_seq(self) -> int:
        """The state after this seq is in the server's store; -1: none is."""
        lockstep = self.lockstep
        return self._durable_seq if lockstep is None else lockstep.durable_seq(self.place)

    @durable_seq.setter
    def durable_seq(self, seq: int) -> None:
        """The state after it is in the store."""
        self.alone()
        self._durable_seq = seq

    @property
    def n_answered(self) -> int:
        """Frames answered since it was opened here."""
        lockstep = self.lockstep
        n_more = 0 if lockstep is None else lockstep.answered_seq(self.place) - self._answered_seq
        return self._n_answered + n_more

    @n_answered.setter
    def n_answered(self, n: int) -> None:
        """So many are."""
        self.alone()
        self._n_answered = n

    @property
    def n_unanswered(self) -> int:
        """Frames sent and neither answered nor refused."""
        lockstep = self.lockstep
        if lockstep is None:
            return self._owed.n_frames
        return lockstep.next_seq(self.place) - lockstep.answered_seq(self.place) - 1

    @property
    def n_forgotten(self) -> int:
        """Answered frames that are not kept any more, though they were not known to be durable."""
        return self._log.n_forgotten

    @property
    def is_here(self) -> bool:
        """The server has it open on the present connection."""
        return self.lockstep is not None or self._course.is_live

    @property
    def has_unsent(self) -> bool:
        """Something waits to be sent."""
        return self.lockstep is None and bool(self._course.unsent)

    @property
    def is_calm(self) -> bool:
        """It keeps up, nothing of it is unanswered, and its seqs say where the server is."""
        course, log = self._course, self._log
        is_owed = self._owed.frames or self._owed.asks
        return not is_owed and course.keeps_up and not course.is_deaf and log.base is None and not log.is_torn
