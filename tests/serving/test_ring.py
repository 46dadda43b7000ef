"""The ring keeps what a client may miss, no more than that needs, and cuts it to what is asked for."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.serving.history import History
from streamrnn.serving.piece import Piece
from streamrnn.serving.ring import Ring

ROW_BYTES = 3


class Row(NamedTuple):
    """One frame's output as it is told: flags are of this frame alone."""

    seq: int
    payload: bytes
    filled: int
    was_reset: bool
    is_stepped: bool


def rows_of(piece):
    size = len(piece.payload) // piece.n
    return [
        Row(
            piece.seq + i,
            piece.payload[i * size : (i + 1) * size],
            piece.filled if i == 0 else 0,
            piece.was_reset and i == 0,
            piece.is_stepped,
        )
        for i in range(piece.n)
    ]


shapes = st.lists(
    st.tuples(st.integers(1, 6), st.booleans(), st.integers(0, 2), st.booleans(), st.booleans()),
    min_size=1,
    max_size=30,
)


def pieces_of(shapes, seq=0):
    pieces = []
    for n, has_output, filled, was_reset, is_stepped in shapes:
        payload = b"".join(bytes([i % 251, i // 251 % 256, 7]) for i in range(seq, seq + n)) if has_output else b""
        flags = (filled, was_reset, True) if has_output else (0, False, is_stepped)
        pieces.append(Piece(seq, n, payload, *flags))
        seq += n
    return pieces


@given(shapes=shapes, max_frames=st.integers(1, 12), first_seq=st.integers(0, 9))
def test_it_keeps_the_last_frames_and_not_a_piece_more(shapes, max_frames, first_seq):
    ring = Ring(max_frames)
    added = pieces_of(shapes, first_seq)
    for i, piece in enumerate(added):
        ring.add(piece)
        kept = ring.pieces()
        assert list(kept) == added[i + 1 - len(kept) : i + 1], "the newest, in order"
        n_kept = sum(piece.n for piece in kept)
        n_added = sum(piece.n for piece in added[: i + 1])
        assert n_kept >= min(max_frames, n_added)
        assert n_kept - kept[0].n < max_frames, "the oldest is needed"


@given(shapes=shapes, max_frames=st.integers(1, 12), cut=st.tuples(st.integers(0, 60), st.integers(0, 60)))
def test_between_yields_exactly_the_frames_asked_for(shapes, max_frames, cut):
    ring = Ring(max_frames)
    for piece in pieces_of(shapes):
        ring.add(piece)
    seq, end_seq = sorted(cut)
    kept = [row for piece in ring.pieces() for row in rows_of(piece)]
    found = list(ring.between(seq, end_seq))
    assert [row for piece in found for row in rows_of(piece)] == [row for row in kept if seq <= row.seq < end_seq]
    assert all(piece.n > 0 for piece in found)


@given(shapes=shapes, max_frames=st.integers(1, 12), n_more=st.integers(0, 8))
def test_a_ring_made_of_what_was_kept_goes_on_as_the_first(shapes, max_frames, n_more):
    pieces = pieces_of([*shapes, *[(1, True, 0, False, True)] * n_more])
    ring = Ring(max_frames)
    for piece in pieces[: len(shapes)]:
        ring.add(piece)
    copy = Ring(max_frames, ring.pieces())
    for piece in pieces[len(shapes) :]:
        ring.add(piece)
        copy.add(piece)
    assert copy.pieces() == ring.pieces()


@pytest.mark.parametrize(("seq", "filled", "was_reset"), [(10, 4, True), (11, 0, False)])
def test_flags_belong_to_the_first_frame(seq, filled, was_reset):
    ring = Ring(8)
    ring.add(Piece(10, 3, b"aaabbbccc", 4, True))
    (piece,) = ring.between(seq, 12)
    assert (piece.filled, piece.was_reset) == (filled, was_reset)


def test_clear_forgets_everything_and_the_numbering_may_turn_back():
    ring = Ring(2)
    for seq in range(5, 9):
        ring.add(Piece(seq, 1, b"abc"))
    ring.clear()
    assert ring.pieces() == () and not list(ring.between(0, 99))
    ring.add(Piece(2, 1, b"abc"))
    assert [piece.seq for piece in ring.pieces()] == [2]


@given(st.lists(st.sampled_from(["block", "own", "read"]), max_size=40), st.integers(1, 6), st.integers(0, 2))
def test_outputs_in_columns_are_kept_as_if_they_were_its_own(moves, max_frames, n_other):
    history, rings, alone = History(max_frames + n_other), [Ring(max_frames) for _ in range(3)], Ring(max_frames)
    seq, row = 0, 1
    for move in moves:
        payloads = [bytes([seq, i, 0]) for i in range(3)]
        if move == "block":
            for i, ring in enumerate(rings):
                ring.join(history, i)
            history.add([seq] * 3, b"".join(payloads))
        elif move == "own":
            for ring, payload in zip(rings, payloads, strict=True):
                ring.add(Piece(seq, 1, payload))
        if move != "read":
            alone.add(Piece(seq, 1, payloads[row]))
            seq += 1
        kept = [one for piece in rings[row].pieces() for one in rows_of(piece)]
        assert kept[-max_frames:] == [one for piece in alone.pieces() for one in rows_of(piece)]
        assert [one for piece in rings[row].between(0, seq) for one in rows_of(piece)] == kept
    assert history.n_rings in (0, 3)
