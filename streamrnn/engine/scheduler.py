"""Natural batching: whatever is ready when the kernel is free forms the batch. No timers, no waiting."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

from streamrnn.engine.block import Columns, Gathered
from streamrnn.engine.lane import Lane
from streamrnn.engine.output import Output
from streamrnn.engine.picks import Round, Run
from streamrnn.engine.session import Session

Pick = Run | Round | Gathered | Columns
"""What one kernel call steps: `run` does it, in any thread, and then `answers` tells what came of it."""


class Scheduler:
    """Picks the batches of one lane: one frame of each ready session, round robin; a lone session gets a run of frames.

    Frames wait in three places. A gateway's columns wait as they came. A lone frame of a session is gathered beside
    those of others, while no session has more than that. All else waits in its session's queue, and that session is
    ready. Of one session the columns and the gathered frame come before what is in its queue, and the gathered frame
    comes before columns. `scatter` puts everything into the queues: what is not said of the others is said of them.

    Args:
        lane: whose sessions are stepped.
        max_run_frames: most frames of a lone session in one tick; where more must be made up for gaps, or decoding is
            as much work, a tick takes fewer sessions.
    """

    def __init__(self, lane: Lane, max_run_frames: int) -> None:
        self._lane = lane
        self._max_run_frames = max_run_frames
        self._ready: deque[Session] = deque()
        self._blocks: deque[Columns | Gathered] = deque()
        self._gathered = Gathered(lane)
        self._spare = Gathered(lane)

    @property
    def n_ready(self) -> int:
        """Sessions that have frames in their queues."""
        return len(self._ready)

    def add(self, session: Session) -> None:
        """A session whose queue was empty has frames now."""
        self._ready.append(session)

    def gather(self, session: Session, frame: bytes | bytearray | memoryview) -> bool:
        """Take the frame of a session in which nothing waits, while `n_ready` is 0; False: its values are refused."""
        gathered = self._gathered
        if not gathered.put(session, frame):
            return False
        if gathered.n_frames == self._lane.max_batch:
            self._blocks.appendleft(gathered)  # before columns that were pushed after these frames
            self._gathered = Gathered(self._lane)
        return True

    def add_columns(self, columns: Columns) -> None:
        """Take a frame of each session of a group, none of which has frames in its queue."""
        self._blocks.append(columns)

    def remove(self, session: Session) -> None:
        """A session that is closed, or is stepped otherwise, leaves the ready ones; it was settled."""
        with suppress(ValueError):  # a tick that failed has taken it out already
            self._ready.remove(session)

    def scatter(self) -> None:
        """Let all that waits here wait in the sessions' queues, in order."""
        if not self._blocks and not self._gathered.sessions:
            return
        blocks = [self._gathered, *self._blocks]
        self._blocks.clear()
        woken: dict[Session, None] = {}
        for block in blocks:
            sessions = block.sessions if isinstance(block, Gathered) else block.group.sessions
            woken.update((session, None) for session in sessions)
        waiting = set(self._ready)
        for block in reversed(blocks):  # each goes before what is there
            block.scatter()
        self._ready.extendleft(reversed([session for session in woken if session not in waiting]))

    def pick(self, picks: list[Pick]) -> None:
        """Append what is to be stepped next: at most one batch of frames that wait alone, and a gateway's columns."""
        if self._ready and not self._blocks and self._gathered.sessions:
            self.scatter()  # a lone frame and the next of a chunk are one batch
        if self._gathered.sessions:
            picks.append(self._gathered)
            self._gathered, self._spare = self._spare, self._gathered
            self._gathered.sessions = []  # a tick that failed has left them there
        elif self._ready:
            picks += self._pick_ready()
        if self._blocks:
            picks.append(self._blocks.popleft())

    def _pick_ready(self) -> list[Pick]:
        ready, n_most = self._ready, self._lane.max_batch
        picked: list[Session] = []
        for _ in range(len(ready)):
            session = ready.popleft()
            if self._blocks and session.n_pending != session.queue.n_frames:
                ready.append(session)  # an older frame of it waits in a block
                continue
            picked.append(session)
            if len(picked) == n_most:
                break
        if not picked:
            return []
        pick: Run | Round
        if len(picked) == 1:
            pick = Run(picked[0], self._max_run_frames)
        else:
            pick = Round(picked, self._max_run_frames)
            ready.extendleft(reversed(picked[len(pick.sessions) :]))
            del picked[len(pick.sessions) :]
        ready.extend(session for session in picked if session.queue.n_frames)
        return [pick]

    def run(self, session: Session, max_frames: int) -> Output:
        """Step the next run of frames of one session, which is not among the ready ones."""
        run = Run(session, max_frames)
        run.run()
        (output,) = run.answers()
        return output
