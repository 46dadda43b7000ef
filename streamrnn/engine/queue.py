"""The frames that wait in one session."""

from __future__ import annotations

from collections import deque

from streamrnn.kernels.packing import FloatArray


class FrameQueue:
    """First in, first out; frames arrive in chunks and leave one by one or in runs."""

    __slots__ = ("_chunks", "_taken", "n_frames")

    def __init__(self) -> None:
        self._chunks: deque[FloatArray] = deque()
        self._taken = 0
        self.n_frames = 0

    def append(self, frames: FloatArray) -> None:
        """Add frames (n, input_size) at the end."""
        self._chunks.append(frames)
        self.n_frames += len(frames)

    def prepend(self, frames: FloatArray) -> None:
        """Put frames (n, input_size) before all that wait."""
        if self._taken:
            self._chunks[0] = self._chunks[0][self._taken :]
            self._taken = 0
        self._chunks.appendleft(frames)
        self.n_frames += len(frames)

    @property
    def n_whole(self) -> int:
        """Frames that the next `take` can give at most: what is left of the oldest chunk."""
        return len(self._chunks[0]) - self._taken

    def take(self, max_frames: int) -> FloatArray:
        """Remove and return the next run of at most `max_frames` frames, (n, input_size); the queue is not empty."""
        chunk = self._chunks[0]
        if not self._taken and len(chunk) <= max_frames:
            self.n_frames -= len(chunk)
            return self._chunks.popleft()
        run = chunk[self._taken : self._taken + max_frames]
        self._taken += len(run)
        self.n_frames -= len(run)
        if self._taken == len(chunk):
            self._chunks.popleft()
            self._taken = 0
        return run
