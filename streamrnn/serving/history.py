"""The last outputs of a gateway's sessions, kept as the columns that they left in; the ring of each reads its row."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from streamrnn.serving.piece import Piece


class History:
    """Columns of outputs, oldest first; one output of each session in each.

    Args:
        max_blocks: most columns kept: as many frames as the ring that keeps most of them.

    Attributes:
        max_blocks: as given.
        n_blocks: columns added so far, those let go of among them.
        n_rings: rings that read here; when one of them must go on by itself it takes a copy and leaves.
    """

    __slots__ = ("_blocks", "max_blocks", "n_blocks", "n_rings")

    def __init__(self, max_blocks: int) -> None:
        self.max_blocks = max_blocks
        self._blocks: deque[tuple[Sequence[int], bytes]] = deque(maxlen=max_blocks)
        self.n_blocks = 0
        self.n_rings = 0

    def add(self, seqs: Sequence[int], payload: bytes) -> None:
        """Append one output of each session: their seqs, and (n, output_size) float32 as bytes."""
        self._blocks.append((seqs, payload))
        self.n_blocks += 1

    def pieces(self, row: int, since: int, max_frames: int) -> tuple[Piece, ...]:
        """The last outputs kept of the session in `row`, from column number `since` on, as one piece if there are any.

        One piece, not one a column: a checkpoint reads the rings of all sessions on the frame path.
        """
        n = min(self.n_blocks - since, len(self._blocks), max_frames)
        if n <= 0:
            return ()
        first_seqs, payload = self._blocks[-n]
        size = len(payload) // len(first_seqs)
        start, end = row * size, (row + 1) * size
        kept = islice(self._blocks, len(self._blocks) - n, None)
        return (Piece(first_seqs[row], n, b"".join([block[start:end] for _, block in kept])),)
