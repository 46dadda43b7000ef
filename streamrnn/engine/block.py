"""Frames of distinct sessions that are stepped together, one of each: a gateway's columns, or what was gathered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import InternalError
from streamrnn.kernels.packing import FloatArray, aligned_zeros

if TYPE_CHECKING:
    from streamrnn.engine.group import Group
    from streamrnn.engine.lane import Lane
    from streamrnn.engine.session import Session


class Stepped(NamedTuple):
    """The answers to one frame of each of several sessions without a side."""

    sessions: list[Session]
    seqs: list[int]
    ys: FloatArray
    """(n, output_size) float32, C-contiguous, owned by the receiver."""
    group: Group | None
    """Whose columns they are, or None."""


class Columns:
    """One frame of each session of a group.

    Args:
        group: whose frames they are.
        x: (1, n, input_size) float32, checked, C-contiguous, writeable.
    """

    __slots__ = ("_seqs", "_x", "_y", "group", "n_frames")

    def __init__(self, group: Group, x: FloatArray) -> None:
        self.group = group
        self.n_frames = len(group)
        self._x = x
        self._seqs: list[int] = []

    @property
    def lane(self) -> Lane:
        """Of all its sessions."""
        return self.group.lane

    @property
    def n_sessions(self) -> int:
        """How many are stepped."""
        return self.n_frames

    def run(self) -> None:
        """Step them, in any thread."""
        lane, slots, n = self.group.lane, self.group.slots, self.n_frames
        self._y = np.empty((1, n, lane.output_size), np.float32)
        for start in range(0, n, lane.max_batch):
            part = slice(start, start + lane.max_batch)
            if lane.run(slots[part], self._x[:, part], self._y[:, part]) >= 0:
                raise InternalError("a checked frame was refused by the kernel")
        self._seqs = (lane.arena.n_applied[slots] - 1).tolist()

    def answers(self) -> list[Stepped]:
        """What was stepped; the frames wait no longer."""
        self.lane.arena.n_pending[self.group.slots] -= 1
        return [Stepped(self.group.sessions, self._seqs, self._y[0], self.group)]

    def scatter(self) -> None:
        """Let each frame wait in its session instead."""
        for session, frame in zip(self.group.sessions, self._x[0], strict=True):
            session.queue.prepend(frame[None])


class Gathered:
    """Lone frames of sessions in which nothing else waits, side by side as the kernel takes them.

    Args:
        lane: of the sessions.
    """

    __slots__ = (
        "_calls",
        "_row_bytes",
        "_rows",
        "_seqs",
        "_slots",
        "_words",
        "_x",
        "_x_address",
        "_y",
        "lane",
        "sessions",
    )

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.sessions: list[Session] = []
        self._slots: NDArray[np.int64] = np.zeros(lane.max_batch, np.int64)
        self._words = memoryview(self._slots)  # type: ignore[arg-type]
        self._x = aligned_zeros(1, lane.max_batch, lane.input_size)
        self._y = aligned_zeros(1, lane.max_batch, lane.output_size)
        self._x_address: int = self._x.ctypes.data
        self._row_bytes = 4 * lane.input_size
        self._rows = memoryview(self._x.reshape(-1)).cast("B")  # type: ignore[arg-type]
        self._calls: dict[int, tuple[Callable[[], int], FloatArray]] = {}
        self._seqs: list[int] = []

    @property
    def n_frames(self) -> int:
        """Frames gathered, one a session."""
        return len(self.sessions)

    @property
    def n_sessions(self) -> int:
        """How many are stepped."""
        return len(self.sessions)

    def put(self, session: Session, frame: bytes | bytearray | memoryview) -> bool:
        """Take a frame (input_size,) of a session that is not among them; False: its values are refused.

        Args:
            frame: little-endian float32, `4 * input_size` bytes.
        """
        lane, n, row_bytes = self.lane, len(self.sessions), self._row_bytes
        start = n * row_bytes
        self._rows[start : start + row_bytes] = frame
        if lane.find_refused_at(self._x_address + start, 1, lane.input_size, lane.n_tokens) >= 0:
            return False
        self._words[n] = session.slot
        self.sessions.append(session)
        return True

    def run(self) -> None:
        """Step them, in any thread."""
        n = len(self.sessions)
        step, _ = self._calls.get(n) or self._calling(n)
        if step() >= 0:
            raise InternalError("a checked frame was refused by the kernel")
        counts = self.lane.arena.counts
        self._seqs = [counts[slot] - 1 for slot in self._words[:n]]

    def _calling(self, n: int) -> tuple[Callable[[], int], FloatArray]:
        """What steps the first n rows, made once, and their outputs (n, output_size)."""
        found = self._calls[n] = (
            self.lane.stepper(self._slots[:n], self._x[:, :n], self._y[:, :n]),
            self._y[0, :n],
        )
        return found

    def answers(self) -> list[Stepped]:
        """What was stepped; the frames wait no longer, and the memory is free for the next."""
        sessions, self.sessions = self.sessions, []
        n, pending = len(sessions), self.lane.arena.pending
        for slot in self._words[:n]:
            pending[slot] -= 1
        return [Stepped(sessions, self._seqs, self._calls[n][1].copy(), None)]

    def scatter(self) -> None:
        """Let each frame wait in its session instead."""
        sessions, self.sessions = self.sessions, []
        for session, frame in zip(sessions, self._x[0], strict=False):
            session.queue.prepend(frame[None].copy())
