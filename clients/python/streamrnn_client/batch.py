"""One frame for each of several sessions, sent as one message and answered as a whole or one by one."""

from __future__ import annotations

from collections.abc import Sequence

from streamrnn_client.errors import StreamrnnClientError
from streamrnn_client.floats import FLOAT_BYTES, Matrix, matrix, stack, vector
from streamrnn_client.losses import BatchError
from streamrnn_client.pending import Pending, PendingFrames


class PendingBatch(Pending):
    """Its value is the outputs as one payload; where sessions go alone, `parts` has a pending for each instead.

    Args:
        n: sessions.
        frames: the payload that was sent, while it may have to be sent again.
        middle: see `layout`; empty where there is none.
    """

    __slots__ = ("_is_settled", "_n_settled", "frames", "middle", "n", "parts", "pieces")

    def __init__(self, n: int, frames: bytes = b"", middle: bytes = b"") -> None:
        super().__init__()
        self.n = n
        self.frames = frames
        self.middle = middle
        self.pieces: list[tuple[int, bytes]] = []
        self.parts: Sequence[PendingFrames] | None = None
        self._n_settled = 0

    @property
    def done(self) -> bool:
        """All are answered, or have failed."""
        parts = self.parts
        if parts is None:
            return self._is_settled
        i = self._n_settled
        while i < len(parts) and parts[i].done:
            i += 1
        self._n_settled = i
        return i == len(parts)

    @done.setter
    def done(self, is_settled: bool) -> None:
        self._is_settled = is_settled

    def split(self, parts: Sequence[PendingFrames]) -> None:
        """From now on each session answers for itself."""
        for part in parts:
            part.waiter = self.wake
        self.parts = parts
        self.frames = self.middle = b""
        self.pieces.clear()

    def wake(self) -> None:
        """One of the parts is settled."""
        if self.waiter is not None and self.done:
            self.waiter()

    def rows(self, output_bytes: int) -> dict[int, bytes]:
        """The outputs that have arrived, by the place of their session."""
        return {
            start + i: piece[i * output_bytes : (i + 1) * output_bytes]
            for start, piece in self.pieces
            for i in range(len(piece) // output_bytes)
        }

    def outputs(self) -> Matrix:
        """The outputs, `(n, output_size)`, once it is done.

        Raises:
            BatchError: some failed; it holds the outputs of the others.
        """
        if self.parts is not None:
            return gather(self.parts)
        payload = self.result()
        return matrix(payload, self.n, len(payload) // (FLOAT_BYTES * self.n))


def gather(pendings: Sequence[PendingFrames]) -> Matrix:
    """The outputs of messages of one frame each, `(n_sessions, output_size)`, once all are settled.

    Raises:
        BatchError: some failed; it holds the outputs of the others.
    """
    errors: list[StreamrnnClientError | None] = [pending.error or pending.skip_of(0) for pending in pendings]
    outputs = [
        None if error is not None else vector(pending.value[0]) for pending, error in zip(pendings, errors, strict=True)
    ]
    if any(error is not None for error in errors):
        raise BatchError(outputs, errors)
    return stack([output for output in outputs if output is not None])
