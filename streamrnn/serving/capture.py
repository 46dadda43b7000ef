"""One session at the moment of a checkpoint: taken on the frame path in a microsecond, encoded elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from streamrnn.engine.snapshot import SnapshotRecord
from streamrnn.engine.snapshot import encode as encode_snapshot
from streamrnn.serving import kept
from streamrnn.serving.hosted import Hosted, Terms
from streamrnn.serving.piece import Piece


@dataclass(slots=True, eq=False)
class Capture:
    """What is to be stored of one session. Nothing in it changes any more, but `epoch` where it must be renewed.

    Attributes:
        state: a record that is still to be encoded, or the snapshot of a parked session.
    """

    hosted: Hosted
    session_id: str
    model: str
    epoch: int
    generation: int
    must_renew: bool
    next_seq: int
    token_hashes: tuple[bytes, ...]
    terms: Terms
    pieces: tuple[Piece, ...]
    state: SnapshotRecord | bytes

    @classmethod
    def of(cls, hosted: Hosted, state: SnapshotRecord | bytes) -> Capture:
        """The session as it stands, with the state that goes with it."""
        return cls(
            hosted,
            hosted.id,
            hosted.model_name,
            hosted.epoch,
            hosted.generation,
            hosted.must_renew,
            hosted.n_applied,
            hosted.token_hashes,
            hosted.terms,
            hosted.ring.pieces(),
            state,
        )

    def encode(self, key: bytes | None) -> bytes:
        """The record for the store."""
        snapshot = self.state if isinstance(self.state, bytes) else encode_snapshot(self.state, key)
        record = kept.Kept(self.model, self.token_hashes, self.terms, _joined(self.pieces), snapshot)
        return kept.encode(record, key)


def _joined(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """The same outputs in as few pieces as can be: most were added one by one."""
    runs: list[list[Piece]] = []
    for piece in pieces:
        is_plain = bool(piece.payload) and not piece.filled and not piece.was_reset
        if runs and is_plain and runs[-1][-1].payload:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return tuple(
        run[0]
        if len(run) == 1
        else msgspec.structs.replace(
            run[0],
            n=sum(piece.n for piece in run),
            payload=b"".join([piece.payload for piece in run]),
            events=tuple(event for piece in run for event in piece.events),
        )
        for run in runs
    )
