"""A session outlives its server in a store, and its client is answered with the same bits again."""

from __future__ import annotations

import random

import numpy as np
import pytest

from streamrnn.stores import MemoryStore, Stored
from streamrnn.wire import messages as m
from tests.serving.desk import DOWN, LIMITS, XS, YS, Desk, crash_and_start, opened_in, resume
from tests.serving.house import House, frame, values


def test_after_a_crash_the_session_goes_on_from_its_checkpoint_with_the_same_bits():
    desk = Desk(MemoryStore())
    heard = desk.feed(6)
    desk.house.save()
    heard += desk.feed(9)
    crash_and_start(desk)
    assert resume(desk.caller, desk.token, 14) == []
    desk.house.keep()
    (opened,) = desk.caller.heard()
    assert (opened.resumed, opened.next_seq, opened.durable, opened.durable_seq) == (True, 6, True, 5)
    assert opened.max_queue_frames == 32
    desk.caller.say(frame(1, 6, XS[6:30]))
    again = desk.caller.ticked()
    np.testing.assert_array_equal(values(heard, 1, 2), YS[:15])
    np.testing.assert_array_equal(values(again, 1, 2, first_seq=6), YS[6:30])


def test_after_a_crash_the_outputs_that_the_client_missed_come_from_the_store():
    desk = Desk(MemoryStore())
    for _ in range(6):
        desk.feed(1)
    desk.house.save()
    crash_and_start(desk)
    resume(desk.caller, desk.token, 1)
    desk.house.keep()
    opened, *outputs = desk.caller.heard()
    assert opened.next_seq == 6
    np.testing.assert_array_equal(values(outputs, 1, 2, first_seq=2), YS[2:6])


def test_a_crash_before_the_first_checkpoint_begins_anew():
    desk = Desk(MemoryStore())
    desk.feed(6)
    crash_and_start(desk)
    resume(desk.caller, desk.token, 5)
    desk.house.keep()
    opened = opened_in(desk.caller.heard())
    assert (opened.resumed, opened.next_seq, opened.durable_seq) == (True, 0, -1), "its id was kept at once"


def test_any_number_of_crashes_cost_nothing():
    store = MemoryStore()
    desk = Desk(store)
    rng = random.Random(11)
    done = 0
    tokens = [desk.token]
    while done < 40:
        n = rng.randrange(1, 8)
        heard = desk.caller.say(frame(1, done, XS[done : done + n])) + desk.caller.ticked()
        np.testing.assert_array_equal(values(heard, 1, 2, first_seq=done), YS[done : done + n])
        if rng.random() < 0.6:
            desk.house.save()
        crash_and_start(desk)
        resume(desk.caller, tokens[-1], done + n - 1)
        desk.house.keep()
        replies = desk.caller.heard()
        if [reply.code for reply in replies if isinstance(reply, m.Error)] == ["bad_token"]:
            resume(desk.caller, tokens[-2], done + n - 1)
            desk.house.keep()
            replies = desk.caller.heard()
        opened = opened_in(replies)
        done = opened.next_seq
        if opened.resume_token != tokens[-1]:
            tokens.append(opened.resume_token)
    assert done == 40


def test_after_a_crash_one_of_the_last_two_tokens_is_good():
    """Whatever the store has got of them."""
    for n_resumes in range(1, 5):
        for n_saved in range(n_resumes + 1):
            desk = Desk(MemoryStore())
            desk.feed(2)
            desk.house.save()
            tokens = [desk.token]
            for i in range(n_resumes):
                desk.house.is_down = None if i < n_saved else DOWN
                desk.caller.vanish()
                desk.caller = desk.house.caller()
                replies = resume(desk.caller, tokens[-1])
                desk.house.keep()
                token = opened_in(replies + desk.caller.heard()).resume_token
                if token != tokens[-1]:
                    tokens.append(token)
                desk.house.save()
            crash_and_start(desk)
            codes = []
            for token in tokens[-2:]:
                resume(desk.caller, token, handle=len(codes) + 1)
                desk.house.keep()
                codes += [reply.code if isinstance(reply, m.Error) else "opened" for reply in desk.caller.heard()]
            assert "opened" in codes, (n_resumes, n_saved, codes)


def test_while_the_store_is_down_the_client_goes_on_with_the_token_that_the_store_knows():
    desk = Desk(MemoryStore())
    desk.feed(2)
    desk.house.save()
    second = opened_in(desk.come_back()).resume_token
    assert second != desk.token
    desk.house.is_down = DOWN
    for _ in range(3):
        assert opened_in(desk.come_back(second)).resume_token == second
    desk.house.is_down = None
    desk.house.save()
    third = opened_in(desk.come_back(second)).resume_token
    assert third != second


def test_two_resumes_while_the_first_save_is_under_way_leave_a_token_that_the_store_knows():
    desk = Desk(MemoryStore())
    desk.feed(2)
    desk.house.hub.advance(10**10)
    save = desk.house.take()
    result = desk.house.run(save)
    tokens = [desk.token]
    for _ in range(3):
        token = opened_in(desk.come_back(tokens[-1])).resume_token
        tokens += [token] if token != tokens[-1] else []
    save.then(*result, 10**10)
    crash_and_start(desk)
    codes = []
    for token in tokens[-2:]:
        resume(desk.caller, token)
        desk.house.keep()
        codes += [reply.code if isinstance(reply, m.Error) else "opened" for reply in desk.caller.heard()[:1]]
        if codes[-1] == "opened":
            break
    assert codes[-1] == "opened", codes


def test_a_store_that_is_down_cannot_tell_and_says_so():
    desk = Desk(MemoryStore())
    desk.feed(2)
    desk.house.save()
    crash_and_start(desk)
    desk.house.is_down = DOWN
    resume(desk.caller, desk.token)
    desk.house.keep()
    (reply,) = desk.caller.heard()
    assert (reply.code, reply.scope, reply.retryable, reply.handle) == ("store_failed", "session", True, 1)
    desk.house.is_down = None
    resume(desk.caller, desk.token)
    desk.house.keep()
    assert opened_in(desk.caller.heard()).resumed


def test_one_that_is_in_memory_is_resumed_though_the_store_is_down():
    desk = Desk(MemoryStore())
    desk.feed(2)
    desk.house.is_down = DOWN
    assert opened_in(desk.come_back()).next_seq == 2


@pytest.mark.parametrize("blob", [b"", b"nonsense", None])
def test_a_damaged_record_is_refused_and_nobody_is_fenced(blob):
    store = MemoryStore()
    desk = Desk(store)
    desk.feed(2)
    desk.house.save()
    stored = store.load("s")
    damaged = stored.snapshot[:-1] + b"\xff" if blob is None else blob
    store.save([Stored("s", stored.epoch, stored.next_seq, damaged)], 0.0)
    crash_and_start(desk)
    resume(desk.caller, desk.token)
    desk.house.keep()
    (reply,) = desk.caller.heard()
    assert (reply.code, reply.scope, reply.retryable) == ("bad_snapshot", "session", False)
    assert store.load("s").epoch == stored.epoch
    desk.caller.say(m.Open(1, "lstm", "another"))
    desk.house.keep()
    assert opened_in(desk.caller.heard()).handle == 1


def test_who_has_not_the_token_of_a_stored_session_fences_nobody():
    store = MemoryStore()
    desk = Desk(store)
    desk.feed(2)
    desk.house.save()
    elsewhere = House(store, LIMITS)
    thief = elsewhere.caller()
    resume(thief, "stolen")
    elsewhere.keep()
    assert [reply.code for reply in thief.heard()] == ["bad_token"]
    assert store.load("s").epoch == 0
    desk.feed(2)
    desk.house.save()
    assert store.load("s").next_seq == 4


def test_a_stored_session_of_another_model_is_refused():
    desk = Desk(MemoryStore())
    desk.feed(2)
    desk.house.save()
    crash_and_start(desk)
    resume(desk.caller, desk.token, model="gru")
    desk.house.keep()
    assert [reply.code for reply in desk.caller.heard()] == ["bad_option"]
    assert desk.house.hub.engine.n_sessions == 0
    resume(desk.caller, desk.token)
    desk.house.keep()
    assert opened_in(desk.caller.heard()).resumed


def test_an_id_that_the_store_keeps_is_not_opened_anew():
    desk = Desk(MemoryStore())
    desk.feed(2)
    desk.house.save()
    crash_and_start(desk)
    desk.caller.say(m.Open(1, "lstm", "s"))
    desk.house.keep()
    assert [reply.code for reply in desk.caller.heard()] == ["session_exists"]


def test_where_no_slot_is_free_a_stored_session_can_be_resumed_later():
    desk = Desk(MemoryStore())
    desk.feed(2)
    desk.house.save()
    crash_and_start(desk)
    for handle in range(10, 18):
        desk.caller.open(handle)
    resume(desk.caller, desk.token)
    desk.house.keep()
    (reply,) = desk.caller.heard()
    assert (reply.code, reply.retryable) == ("at_capacity", True)
    desk.caller.say(m.Close(10))
    resume(desk.caller, desk.token)
    desk.house.keep()
    assert opened_in(desk.caller.heard()).next_seq == 2


def test_a_session_whose_id_the_server_made_up_is_not_known_before_its_first_checkpoint():
    desk = Desk(MemoryStore())
    opened = desk.caller.open(2)
    desk.caller.say(frame(2, 0, XS[:3]))
    crash_and_start(desk)
    resume(desk.caller, opened.resume_token, 2, session_id=opened.session_id)
    desk.house.keep()
    again = opened_in(desk.caller.heard())
    assert (again.session_id, again.resumed, again.next_seq) == (opened.session_id, False, 0)
