"""The last outputs of one session, kept so that they can be sent again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from streamrnn.decode.event import Event


class Piece(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Outputs of frames `seq .. seq + n - 1`, or with an empty payload the fact that they have none."""

    seq: int
    n: int
    payload: bytes
    filled: int = 0
    was_reset: bool = False
    is_stepped: bool = True
    events: tuple[Event, ...] = ()


class Ring:
    """At least the last `max_frames` outputs, and not a piece more than that needs.

    A client leaves at most that many frames unanswered, so what it misses is here.
    """

    __slots__ = ("_n_frames", "_pieces", "max_frames")

    def __init__(self, max_frames: int, pieces: Iterable[Piece] = ()) -> None:
        self.max_frames = max_frames
        self._pieces = deque(pieces)
        self._n_frames = sum(piece.n for piece in self._pieces)

    def add(self, piece: Piece) -> None:
        """Append a piece, which goes on where the last one ended, and let go of what is too old."""
        pieces = self._pieces
        pieces.append(piece)
        n_frames = self._n_frames + piece.n
        while n_frames - pieces[0].n >= self.max_frames:
            n_frames -= pieces.popleft().n
        self._n_frames = n_frames

    def clear(self) -> None:
        """Forget everything: the numbering has turned back."""
        self._pieces.clear()
        self._n_frames = 0

    def pieces(self) -> tuple[Piece, ...]:
        """All that is kept, oldest first."""
        return tuple(self._pieces)

    def between(self, seq: int, end_seq: int) -> Iterator[Piece]:
        """Yield what is kept of frames `seq .. end_seq - 1`, in order, cut to them."""
        for piece in self._pieces:
            first, end = max(seq, piece.seq), min(end_seq, piece.seq + piece.n)
            if first < end:
                yield _cut(piece, first, end)


def _cut(piece: Piece, seq: int, end_seq: int) -> Piece:
    if (seq, end_seq) == (piece.seq, piece.seq + piece.n):
        return piece
    row_bytes = len(piece.payload) // piece.n
    first = seq - piece.seq
    payload = piece.payload[first * row_bytes : (end_seq - piece.seq) * row_bytes]
    events = tuple(event for event in piece.events if seq <= event.seq < end_seq)
    if first:  # the flags are of the first frame
        return Piece(seq, end_seq - seq, payload, is_stepped=piece.is_stepped, events=events)
    return msgspec.structs.replace(piece, n=end_seq - seq, payload=payload, events=events)
