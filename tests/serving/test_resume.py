"""A session goes on wherever its client comes back, with the outputs that it missed (PROTOCOL section 5a)."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn.stores import MemoryStore
from streamrnn.wire import messages as m
from streamrnn.wire.codec import JSON, MSGPACK
from tests.serving.desk import LIMITS, XS, YS, Desk, opened_in, resume
from tests.serving.house import House, frame, values


@pytest.mark.parametrize("protocol", [MSGPACK, JSON])
def test_it_goes_on_and_the_outputs_that_were_missed_follow(protocol):
    desk = Desk()
    desk.feed(5)
    desk.caller.say(frame(1, 5, XS[5:9]))  # which are stepped though nobody listens
    desk.caller.vanish()
    desk.caller = desk.house.caller(protocol)
    while desk.house.hub.n_pending:
        desk.house.hub.tick(0)
    opened, *outputs = resume(desk.caller, desk.token, 3, handle=7)
    assert (opened.handle, opened.session_id, opened.resumed, opened.next_seq) == (7, "s", True, 9)
    np.testing.assert_array_equal(values(outputs, 7, 2, first_seq=4), YS[4:9])
    desk.caller.say(frame(7, 9, XS[9:12]))
    np.testing.assert_array_equal(values(desk.caller.ticked(), 7, 2, first_seq=9), YS[9:12])
    assert desk.house.hub.tally.n_resumed == 1


def test_one_that_waits_to_be_stepped_goes_on_waiting_and_is_answered_to_the_new_connection():
    desk = Desk()
    desk.caller.say(frame(1, 0, XS[:20]))
    desk.house.hub.tick(0)
    replies = desk.come_back()
    assert opened_in(replies).next_seq == 20, "the frames that wait are taken"
    np.testing.assert_array_equal(values(replies + desk.caller.ticked(), 1, 2), YS[:20])


def test_what_was_answered_is_not_sent_again():
    desk = Desk()
    desk.feed(9)
    assert [type(reply) for reply in desk.come_back(answered_seq=8)] == [m.Opened]


def test_a_client_that_has_more_answers_than_the_session_is_told_where_it_stands():
    desk = Desk()
    desk.feed(4)
    (opened,) = desk.come_back(answered_seq=30)
    assert (opened.resumed, opened.next_seq) == (True, 4)


def test_what_is_not_kept_any_more_is_skipped_and_the_rest_follows():
    desk = Desk()
    assert LIMITS.max_queue_frames == 32
    for _ in range(4):
        desk.feed(10)
    replies = desk.come_back(answered_seq=1)
    assert replies[1] == m.Skipped(1, 2, 8, True) or replies[1].n <= 8
    skipped = replies[1]
    first = skipped.seq + skipped.n
    assert first <= 40 - 32, "at least the last 32 are kept"
    np.testing.assert_array_equal(values(replies, 1, 2, first_seq=first), YS[first:])


def test_after_a_rollback_outputs_of_before_are_not_kept():
    desk = Desk()
    desk.feed(3)
    (taken,) = desk.caller.say(m.Snapshot(1))
    desk.feed(4)
    desk.caller.say(m.Rollback(1, taken.payload))
    replies = desk.come_back()
    assert [type(reply) for reply in replies] == [m.Opened, m.Skipped]
    assert replies[0].next_seq == 3 and replies[1] == m.Skipped(1, 0, 3, True)


def test_an_unknown_session_is_opened_anew_and_says_so():
    caller = House().caller()
    (opened,) = resume(caller, "whatever", 17)
    assert (opened.resumed, opened.next_seq, opened.session_id) == (False, 0, "s")
    caller.say(frame(1, 0, XS))
    caller.ticked()


def test_a_resume_without_an_id_is_refused():
    caller = House().caller()
    (reply,) = caller.say(m.Open(1, "lstm", None, "token"))
    assert (reply.code, reply.of, reply.handle) == ("bad_option", "open", 1)


def test_one_that_was_closed_is_not_known_any_more():
    desk = Desk()
    desk.feed(2)
    desk.caller.leave()
    desk.caller = desk.house.caller()
    (opened,) = resume(desk.caller, desk.token, 1)
    assert (opened.resumed, opened.next_seq) == (False, 0)


@pytest.mark.parametrize("token", ["", "x", "token-" + "9" * 37])
def test_who_has_not_the_token_gets_nothing_and_disturbs_nobody(token):
    desk = Desk()
    desk.feed(2)
    thief = desk.house.caller()
    (reply,) = resume(thief, token)
    assert (reply.code, reply.scope, reply.retryable, reply.handle) == ("bad_token", "session", False, 1)
    assert desk.token not in reply.message
    np.testing.assert_array_equal(values(desk.feed(2), 1, 2, first_seq=2), YS[2:4])
    thief.open(1)


def test_a_token_is_of_one_session():
    desk = Desk()
    other = desk.caller.open(2, session_id="t")
    desk.caller.vanish()
    caller = desk.house.caller()
    assert [reply.code for reply in resume(caller, other.resume_token)] == ["bad_token"]
    assert opened_in(resume(caller, other.resume_token, session_id="t")).resumed


def test_the_model_must_be_the_same():
    desk = Desk()
    desk.caller.vanish()
    caller = desk.house.caller()
    assert [reply.code for reply in resume(caller, desk.token, model="gru")] == ["bad_option"]
    assert opened_in(resume(caller, desk.token)).resumed


def test_each_resume_gives_a_new_token_and_the_one_before_stays_good_until_that_is_used():
    desk = Desk()
    second = opened_in(desk.come_back(desk.token)).resume_token
    third = opened_in(desk.come_back(desk.token)).resume_token  # the answer with the second was lost
    assert len({desk.token, second, third}) == 3
    assert [reply.code for reply in desk.come_back(second)] == ["bad_token"]
    fourth = opened_in(desk.come_back(third)).resume_token
    assert [reply.code for reply in desk.come_back(desk.token)] == ["bad_token"], "the third was used"
    assert opened_in(desk.come_back(third)).resumed
    assert fourth != third


def test_the_server_keeps_no_token_but_its_hash():
    store = MemoryStore()
    desk = Desk(store)
    desk.feed(1)
    desk.house.save()
    assert desk.token.encode() not in store.load("s").snapshot
    hosted = desk.house.hub.roster.find("s")
    assert not any(desk.token.encode() in part for part in hosted.token_hashes)


def test_options_are_those_of_the_first_open():
    desk = Desk()
    caller = desk.house.caller()
    first = caller.open(2, session_id="t", window=5, park_ms=1000, expire_ms=2000)
    caller.vanish()
    opened = opened_in(resume(desk.house.caller(), first.resume_token, session_id="t", window=9, park_ms=77))
    assert (opened.max_queue_frames, opened.park_ms, opened.expire_ms) == (5, 1000, 2000)
