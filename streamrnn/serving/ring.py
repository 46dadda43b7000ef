"""The last outputs of one session, kept so that they can be sent again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from streamrnn.serving.history import History
from streamrnn.serving.piece import Piece


class Ring:
    """At least the last `max_frames` outputs, and not a piece more than that needs.

    A client leaves at most that many frames unanswered, so what it misses is here. While the outputs leave as a
    gateway's columns, they are read from where those are kept.
    """

    __slots__ = ("_history", "_n_frames", "_pieces", "_row", "_since", "max_frames")

    def __init__(self, max_frames: int, pieces: Iterable[Piece] = ()) -> None:
        self.max_frames = max_frames
        self._pieces = deque(pieces)
        self._n_frames = sum(piece.n for piece in self._pieces)
        self._history: History | None = None
        self._row = self._since = 0

    def add(self, piece: Piece) -> None:
        """Append a piece, which goes on where the last one ended, and let go of what is too old."""
        if self._history is not None:
            self._leave()
        pieces = self._pieces
        pieces.append(piece)
        n_frames = self._n_frames + piece.n
        while n_frames - pieces[0].n >= self.max_frames:
            n_frames -= pieces.popleft().n
        self._n_frames = n_frames

    def join(self, history: History, row: int) -> None:
        """Go on with what is added to a history from now on, unless it does already; it reads `row` there."""
        if self._history is not history:
            if self._history is not None:
                self._leave()
            self._history, self._row, self._since = history, row, history.n_blocks
            history.n_rings += 1

    def shed(self) -> None:
        """Let go of what is older than the history, which holds all that is wanted."""
        if self._history is not None:
            self._pieces.clear()
            self._n_frames = 0

    def clear(self) -> None:
        """Forget everything: the numbering has turned back."""
        if self._history is not None:
            self._leave()
        self._pieces.clear()
        self._n_frames = 0

    def pieces(self) -> tuple[Piece, ...]:
        """All that is kept, oldest first."""
        if self._history is None:
            return tuple(self._pieces)
        return tuple(self._with_history(self._history))

    def between(self, seq: int, end_seq: int) -> Iterator[Piece]:
        """Yield what is kept of frames `seq .. end_seq - 1`, in order, cut to them."""
        for piece in self.pieces():
            first, end = max(seq, piece.seq), min(end_seq, piece.seq + piece.n)
            if first < end:
                yield _cut(piece, first, end)

    def _with_history(self, history: History) -> deque[Piece]:
        pieces = self._pieces.copy()
        pieces.extend(history.pieces(self._row, self._since, self.max_frames))
        n_frames = sum(piece.n for piece in pieces)
        while pieces and n_frames - pieces[0].n >= self.max_frames:
            n_frames -= pieces.popleft().n
        return pieces

    def _leave(self) -> None:
        """Take a copy of what the history holds, and go on alone."""
        history, self._history = self._history, None
        assert history is not None
        history.n_rings -= 1
        self._pieces = self._with_history(history)
        self._n_frames = sum(piece.n for piece in self._pieces)


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
