"""A frame that was taken before never touches the state: its output is answered again where it is kept."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn.wire import messages as m
from tests.serving.house import Caller, frame, make_hub, offline, random_frames, values


@pytest.fixture
def caller():
    return Caller(make_hub())


def test_a_duplicate_is_answered_again_and_changes_nothing(caller):
    caller.open(1)
    xs = random_frames(6)
    caller.say(frame(1, 0, xs[:4]))
    first = values(caller.ticked(), 1, 2)
    for start, end in [(0, 4), (1, 3), (3, 4)]:
        replies = caller.say(m.Frame(1, start, b"\0" * 12 * (end - start), end - start))
        np.testing.assert_array_equal(values(replies, 1, 2, first_seq=start), first[start:end])
    assert caller.hub.tally.n_duplicates == 3
    caller.say(frame(1, 4, xs[4:]))
    np.testing.assert_array_equal(values(caller.ticked(), 1, 2, first_seq=4), offline("lstm", xs)[4:])
    assert caller.hub.tally.n_frames == 6


def test_a_duplicate_of_a_frame_that_waits_is_answered_once(caller):
    caller.open(1)
    xs = random_frames(6)
    assert caller.say(frame(1, 0, xs[:3]), frame(1, 1, xs[1:3]), frame(1, 0, xs[:6])) == []
    assert caller.hub.n_pending == 6
    np.testing.assert_array_equal(values(caller.ticked(), 1, 2), offline("lstm", xs))


def test_of_a_message_with_some_duplicates_the_others_are_taken(caller):
    caller.open(1)
    xs = random_frames(8)
    caller.say(frame(1, 0, xs[:4]))
    caller.ticked()
    again = caller.say(frame(1, 2, xs[2:]))
    expected = offline("lstm", xs)
    np.testing.assert_array_equal(values(again, 1, 2, first_seq=2), expected[2:4])
    np.testing.assert_array_equal(values(caller.ticked(), 1, 2, first_seq=4), expected[4:])


def test_duplicates_in_columns_are_answered_again(caller):
    caller.open(1)
    caller.open(2)
    xs = random_frames(4)
    caller.say(m.Frames([1, 2], [0, 0], xs[:2].tobytes()))
    first = caller.ticked()
    replies = caller.say(m.Frames([1, 2], [0, 1], xs[1:3].tobytes()))
    np.testing.assert_array_equal(values(replies, 1, 2), values(first, 1, 2))
    np.testing.assert_array_equal(values(caller.ticked(), 2, 2, 1), offline("lstm", xs[1:3])[1:])


def test_a_duplicate_whose_output_is_not_kept_is_refused():
    caller = Caller(make_hub())
    caller.open(1, window=4)
    xs = random_frames(12)
    for i in range(12):
        caller.say(frame(1, i, xs[i : i + 1]))
        caller.ticked()
    (reply,) = caller.say(frame(1, 7, xs[7:8]))
    assert (reply.code, reply.scope, reply.seq, reply.expected_seq) == ("bad_seq", "frame", 7, 12)
    (kept,) = caller.say(frame(1, 8, xs[8:9]))
    assert (kept.seq, kept.n) == (8, 1)
