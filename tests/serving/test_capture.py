"""What is captured of a session does not change any more, and is stored in as few pieces as can be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given

from streamrnn.engine.snapshot import decode as decode_snapshot
from streamrnn.serving import capture as module
from streamrnn.serving import kept
from streamrnn.serving.capture import Capture
from tests.serving.house import Caller, frame, make_hub, random_frames
from tests.serving.test_ring import pieces_of, rows_of, shapes


def captured(hub, session_id):
    hosted = hub.roster.find(session_id)
    (record,) = hub.engine.capture([hosted.session])
    return Capture.of(hosted, record)


def test_a_capture_is_of_what_has_been_stepped_and_nothing_after_it():
    hub = make_hub()
    caller = Caller(hub)
    caller.open(1, session_id="s")
    xs = random_frames(12)
    caller.say(frame(1, 0, xs[:5]))
    caller.ticked()
    then = hub.roster.find("s").session.state()
    caller.say(frame(1, 5, xs[5:8]))  # these wait
    capture = captured(hub, "s")
    caller.ticked()
    caller.say(frame(1, 8, xs[8:]))
    caller.ticked()
    found = kept.decode(capture.encode(None))
    snapshot = decode_snapshot(found.snapshot)
    assert (capture.next_seq, snapshot.next_seq) == (5, 5)
    np.testing.assert_array_equal(snapshot.state, then)
    assert [(piece.seq, piece.n) for piece in found.pieces] == [(0, 5)]


def test_outputs_that_came_one_by_one_are_stored_as_one():
    hub = make_hub()
    caller = Caller(hub)
    caller.open(1, session_id="s", window=4)
    xs = random_frames(9)
    for i in range(9):
        caller.say(frame(1, i, xs[i : i + 1]))
        caller.ticked()
    (piece,) = kept.decode(captured(hub, "s").encode(None)).pieces
    assert (piece.seq, piece.n, len(piece.payload)) == (5, 4, 32)


@given(shapes=shapes)
def test_joined_pieces_say_what_the_single_ones_said(shapes):
    pieces = tuple(pieces_of(shapes))
    joined = module._joined(pieces)
    assert [row for piece in joined for row in rows_of(piece)] == [row for piece in pieces for row in rows_of(piece)]
    for one, other in pairwise(joined):
        assert other.filled or other.was_reset or not one.payload or not other.payload, "these could have been joined"
