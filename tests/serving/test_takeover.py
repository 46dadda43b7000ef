"""A session has one owner: who resumes it takes it over, and who had it is told."""

from __future__ import annotations

import random

import numpy as np
import pytest

from streamrnn.stores import MemoryStore
from streamrnn.wire import messages as m
from tests.serving.desk import LIMITS, XS, YS, Desk, opened_in, resume
from tests.serving.house import House, frame, values


def test_a_session_that_lives_elsewhere_is_taken_over_and_its_holder_told():
    desk = Desk()
    desk.feed(3)
    desk.caller.say(frame(1, 3, XS[3:6]))
    second = desk.house.caller()
    opened, *rest = resume(second, desk.token, 2)
    assert (opened.resumed, opened.next_seq, rest) == (True, 6, [])
    assert desk.caller.heard() == [m.Closed(1, "taken_over", 3)]
    assert desk.caller.peer.close_code == 4001
    assert desk.house.hub.tally.n_taken_over == 1
    np.testing.assert_array_equal(values(second.ticked(), 1, 2, first_seq=3), YS[3:6])
    assert desk.caller.heard() == []


def test_a_connection_that_holds_another_session_lives_on():
    desk = Desk()
    desk.caller.open(2)
    resume(desk.house.caller(), desk.token)
    assert desk.caller.heard() == [m.Closed(1, "taken_over", 0)]
    assert desk.caller.peer.close_code is None
    assert desk.caller.say(m.Flush(2)) == [m.Ack(2, "flush", -1)]
    assert [reply.code for reply in desk.caller.say(m.Flush(1))] == ["unknown_session"]


def test_a_client_may_take_its_session_over_from_itself():
    desk = Desk()
    desk.feed(2)
    opened, output, closed = resume(desk.caller, desk.token, 0, handle=5)
    assert closed == m.Closed(1, "taken_over", 2)
    assert (opened.handle, opened.next_seq, output.seq) == (5, 2, 1)
    assert desk.caller.peer.close_code is None, "it still holds one"
    assert desk.caller.say(m.Flush(5)) == [m.Ack(5, "flush", 1)]


def test_the_end_of_the_connection_that_lost_it_does_not_touch_the_session():
    desk = Desk()
    second = desk.house.caller()
    resume(second, desk.token)
    desk.caller.leave()
    second.say(frame(1, 0, XS[:2]))
    np.testing.assert_array_equal(values(second.ticked(), 1, 2), YS[:2])


def test_two_clients_at_once_a_thousand_times_and_one_holds_it():
    seed = 20_260
    rng = random.Random(seed)
    print(f"seed {seed}")
    house = House(limits=LIMITS)
    for n in range(1000):
        first = house.caller()
        token = first.open(1, session_id=f"s{n}").resume_token
        first.say(frame(1, 0, XS[:2]))
        if rng.random() < 0.5:
            first.vanish()
        rivals = [house.caller() for _ in range(2)]
        rng.shuffle(rivals)
        for rival in rivals:
            if rng.random() < 0.5:
                house.hub.tick(0)
            rival.peer.receive(rival.codec.encode(m.Open(1, "lstm", f"s{n}", token)), False, 0)
        replies = [rival.ticked() for rival in rivals]
        assert all(opened_in(heard).resumed for heard in replies)
        holders = [rival for rival in rivals if rival.peer.sessions]
        assert holders == [rivals[1]], "the later one"
        assert replies[0][-1] == m.Closed(1, "taken_over", replies[0][-1].n_frames)
        assert rivals[0].peer.close_code == 4001
        assert holders[0].say(m.Close(1)) == [m.Closed(1, "closed", 2)]
        np.testing.assert_array_equal(values(replies[1], 1, 2), YS[:2])
    assert house.hub.n_sessions == 0


def test_two_servers_over_one_store_and_the_one_before_is_fenced():
    store = MemoryStore()
    desk = Desk(store)
    desk.feed(3)
    desk.house.save()
    desk.caller.heard()
    there = House(store, LIMITS)
    second = there.caller()
    resume(second, desk.token, 2)
    there.keep()
    assert opened_in(second.heard()).next_seq == 3
    desk.feed(2)
    desk.house.save()
    assert desk.caller.heard() == [m.Closed(1, "taken_over", 5)] and desk.caller.peer.close_code == 4001
    second.say(frame(1, 3, XS[3:10]))
    np.testing.assert_array_equal(values(second.ticked(), 1, 2, first_seq=3), YS[3:10])
    there.save()
    assert (store.load("s").epoch, store.load("s").next_seq) == (1, 10)


def test_two_clients_at_once_on_two_servers_a_thousand_times_and_one_holds_it():
    seed = 4711
    rng = random.Random(seed)
    print(f"seed {seed}")
    store = MemoryStore()
    houses = [House(store, LIMITS) for _ in range(2)]
    for n in range(1000):
        name = f"s{n}"
        first = houses[0].caller()
        first.say(m.Open(1, "lstm", name))
        houses[0].keep()
        token = opened_in(first.heard()).resume_token
        first.say(frame(1, 0, XS[:2]))
        first.ticked()
        houses[0].save()
        if rng.random() < 0.5:
            first.vanish()
            houses[0].save()
        rivals = [houses[i].caller() for i in (0, 1)]
        order = [0, 1]
        rng.shuffle(order)
        for i in order:
            rivals[i].peer.receive(rivals[i].codec.encode(m.Open(1, "lstm", name, token)), False, 0)
        heard = [[], []]
        for _ in range(12):
            i = rng.randrange(2)
            if rng.random() < 0.3:
                houses[i].save()
            elif houses[i].hub.errands:
                errand = houses[i].take()
                errand.then(*houses[i].run(errand), 0)
            heard[i] += rivals[i].heard()
        for i in (0, 1, 0, 1):
            if 1 in rivals[i].peer.sessions:  # any frame makes it due for a checkpoint
                at = rivals[i].peer.sessions[1].next_seq
                rivals[i].say(frame(1, at, XS[at : at + 1]))
                heard[i] += rivals[i].ticked()
            houses[i].save()
            heard[i] += rivals[i].heard()
        holders = [i for i in (0, 1) if rivals[i].peer.sessions]
        assert len(holders) == 1, (n, heard)
        (lost,) = {0, 1} - set(holders)
        assert heard[lost][-1].reason == "taken_over", (n, heard)
        assert opened_in([reply for reply in heard[holders[0]] if isinstance(reply, m.Opened)]).resumed
        stored = store.load(name)
        at = rivals[holders[0]].peer.sessions[1].next_seq
        assert stored.next_seq == at
        rivals[holders[0]].say(m.Close(1))
        houses[holders[0]].keep()
        assert store.load(name) is None
    assert [house.hub.n_sessions for house in houses] == [0, 0]


@pytest.mark.parametrize("make_store", [None, MemoryStore], ids=["no store", "store"])
def test_an_attempt_that_was_held_up_does_not_take_the_session_from_where_it_went_on(make_store):
    desk = Desk(make_store() if make_store else None)
    desk.feed(3)

    def attempt(n):
        caller = desk.house.caller()
        replies = resume(caller, desk.token, 2, attempt=n)
        desk.house.keep()
        return caller, replies + caller.heard()

    holder, replies = attempt(5)
    assert opened_in(replies).resumed
    for n in (1, 4, 5):
        late, (reply,) = attempt(n)
        assert (reply.code, reply.scope, reply.retryable, reply.handle) == ("superseded", "session", False, 1)
        assert not late.peer.sessions and holder.say(m.Flush(1))[-1].applied_seq == 2
    later, replies = attempt(6)
    assert opened_in(replies).resumed
    assert m.Closed(1, "taken_over", 3) in holder.heard() and later.peer.sessions


def test_an_attempt_on_another_server_that_was_held_up_does_not_fence_the_owner():
    desk = Desk(MemoryStore())
    desk.feed(3)
    desk.house.save()
    there = House(desk.store, LIMITS)
    second = there.caller()
    resume(second, desk.token, 2, attempt=2)
    there.keep()
    assert opened_in(second.heard()).resumed
    late = desk.house.caller()
    resume(late, desk.token, 2, attempt=1)
    desk.house.keep()
    assert [reply.code for reply in late.heard()] == ["superseded"]
    second.say(frame(1, 3, XS[3:5]))
    second.ticked()
    there.save()
    assert there.hub.tally.n_fenced == 0 and desk.store.load("s").next_seq == 5
