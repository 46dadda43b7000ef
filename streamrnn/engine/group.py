"""Sessions whose frames come together, again and again: found and checked once, then pushed as columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamrnn.engine.session import Session
from streamrnn.errors import SessionClosedError, UsageError


class Group:
    """Distinct plain sessions of one lane, in order: without a side, and with overload `reject`.

    A session is in one group at a time, the last one made of it.

    Args:
        sessions: at least one.

    Raises:
        UsageError: there are none, they are of several models, one stands twice, or one is not plain.
        SessionClosedError: one was closed.

    Attributes:
        sessions: the members.
        lane: of all of them.
        slots: (n,) int64, their rows.
        max_queue_frames: most frames that may wait in each: the least that any of them takes.
        is_whole: each member is still where it was; for good False once one was closed, moved, got a side or went into
            another group.
        tag: whatever its maker keeps with it.
    """

    __slots__ = ("is_whole", "lane", "max_queue_frames", "sessions", "slots", "tag")

    def __init__(self, sessions: Sequence[Session]) -> None:
        if not len(sessions):
            raise UsageError("a group: expected at least one session")
        self.sessions = list(sessions)
        self.lane = sessions[0].lane
        for session in sessions:
            if session.slot < 0:
                raise SessionClosedError(f"session {session.id!r} is closed")
            if session.lane is not self.lane or not session.is_plain:
                raise UsageError(f"a group: expected plain sessions of one model, got {session!r}")
        slots = [session.slot for session in sessions]
        if len(set(slots)) != len(slots):
            raise UsageError("a group: every session may stand in it once")
        self.slots: NDArray[np.int64] = np.array(slots, np.int64)
        self.max_queue_frames = min(session.max_queue_frames for session in sessions)
        self.is_whole = True
        self.tag: object = None
        for session in sessions:
            session.leave_group()
            session.group = self

    def __len__(self) -> int:
        return len(self.sessions)
