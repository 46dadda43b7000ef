"""Checkpoints come in time, one at a time, tell what is durable, and never keep a frame waiting."""

from __future__ import annotations

import logging
from itertools import pairwise

import numpy as np
import pytest

from streamrnn.errors import InternalError, StoreError
from streamrnn.limits import Limits
from streamrnn.serving.checkpoints import MAX_BACKOFF_MS
from streamrnn.serving.errands import Save
from streamrnn.stores import MemoryStore, Stored
from streamrnn.wire import messages as m
from tests.serving.house import House, frame, offline, random_frames, values

LIMITS = Limits(
    max_sessions=16, max_queue_frames=32, max_run_frames=8, max_batch=4, checkpoint_ms=100, checkpoint_frames=10
)
DOWN = StoreError("the disk is full", operation="save", cause="SQLITE_FULL")


class Desk:
    """A house with one session, fed frame by frame."""

    def __init__(self, limits=LIMITS):
        self.store = MemoryStore()
        self.house = House(self.store, limits)
        self.hub = self.house.hub
        self.caller = self.house.caller()
        self.n_sent = 0
        self.heard = []
        self.caller.say(m.Open(1, "lstm", "s"))
        self.house.keep()
        (opened,) = self.caller.heard()
        assert opened.durable
        self.xs = random_frames(300)

    def feed(self, n=1):
        for _ in range(n):
            self.caller.say(frame(1, self.n_sent, self.xs[self.n_sent : self.n_sent + 1]))
            self.n_sent += 1
            self.heard += self.caller.ticked()

    def durable(self):
        """The `durable_seq` of each `ack` since last asked."""
        self.heard += self.caller.heard()
        acks = [reply for reply in self.heard if isinstance(reply, m.Ack)]
        self.heard = [reply for reply in self.heard if not isinstance(reply, m.Ack)]
        assert all(ack.of == "checkpoint" and ack.handle == 1 for ack in acks)
        return [ack.durable_seq for ack in acks]

    def saved(self):
        stored = self.store.load("s")
        return stored and stored.next_seq


@pytest.fixture
def desk():
    return Desk()


def test_nothing_is_saved_of_a_session_that_has_seen_nothing(desk):
    assert desk.hub.checkpoints.is_idle and desk.hub.checkpoints.next_ns is None
    desk.house.wait(10_000)
    assert (desk.saved(), desk.hub.tally.n_saves) == (0, 0), "its id is kept, and no more"


def test_what_has_changed_is_saved_when_the_time_has_come(desk):
    desk.feed()
    desk.house.wait(100)
    assert (desk.saved(), desk.durable()) == (1, [0])
    desk.feed(4)
    assert desk.hub.checkpoints.next_ns == desk.house.now_ns + 100_000_000
    desk.house.wait(99)
    assert (desk.saved(), desk.durable()) == (1, [])
    desk.house.wait(1)
    assert (desk.saved(), desk.durable()) == (5, [4])
    desk.house.wait(100_000)
    assert desk.hub.tally.n_saves == 2, "what has not changed is not saved again"


def test_many_frames_are_saved_sooner(desk):
    desk.feed()
    desk.house.wait(100)
    desk.durable()
    desk.feed(10)
    assert desk.hub.checkpoints.next_ns != 0
    desk.feed(2)
    assert desk.hub.checkpoints.next_ns == 0, "at once"
    desk.house.wait(0)
    assert (desk.saved(), desk.durable()) == (13, [12])


def test_a_session_that_was_left_or_reset_is_saved_at_once(desk):
    desk.feed(3)
    desk.house.wait(100)
    desk.caller.say(m.Reset(1))
    assert desk.hub.checkpoints.next_ns == 0
    desk.house.wait(0)
    assert desk.hub.tally.n_saves == 2
    desk.caller.vanish()
    assert desk.hub.checkpoints.next_ns == 0
    desk.house.wait(0)
    assert desk.hub.tally.n_saves == 3 and desk.hub.checkpoints.is_idle


def test_only_one_save_is_under_way(desk):
    desk.feed()
    desk.hub.advance(10**9)
    save = desk.house.take()
    desk.feed(30)
    for later_s in range(2, 20):
        desk.hub.advance(later_s * 10**9)
        assert not desk.hub.errands and desk.hub.checkpoints.next_ns is None
    assert not desk.hub.checkpoints.is_idle
    save.then(*desk.house.run(save), 20 * 10**9)
    assert desk.durable() == [0], "only what was captured, 30 frames ago"
    desk.hub.advance(20 * 10**9)
    desk.house.keep()
    assert desk.durable() == [30] and desk.hub.checkpoints.is_idle


def test_the_last_save_does_not_wait_for_its_time(desk):
    desk.feed()
    desk.house.wait(100)
    desk.feed()
    assert desk.hub.checkpoints.collect(desk.house.now_ns) is None
    save = desk.hub.checkpoints.collect(desk.house.now_ns, is_last=True)
    assert isinstance(save, Save) and [capture.next_seq for capture in save.captures] == [2]


def test_the_last_save_does_not_wait_for_a_store_that_was_down(desk):
    desk.feed()
    desk.house.is_down = DOWN
    desk.house.wait(100)
    assert desk.hub.checkpoints.collect(desk.house.now_ns) is None
    assert desk.hub.checkpoints.collect(desk.house.now_ns, is_last=True) is not None


def test_a_store_that_is_down_is_asked_less_and_less_and_stepping_goes_on(desk, caplog):
    desk.house.is_down = DOWN
    caplog.set_level(logging.ERROR)
    asked_ms = []
    for ms in range(200_000 // 50):
        if ms % 20 == 0:
            desk.feed()
        before = desk.hub.tally.n_store_failures
        desk.house.wait(50)
        if desk.hub.tally.n_store_failures > before:
            asked_ms.append(ms * 50)
    gaps = [b - a for a, b in pairwise(asked_ms)]
    assert gaps == sorted(gaps) and gaps[0] <= 200 and max(gaps) <= MAX_BACKOFF_MS + 1000
    assert len(asked_ms) < 20
    assert caplog.text.count("stepping goes on") == 1, "one line, not one a second"
    np.testing.assert_array_equal(values(desk.heard, 1, 2), offline("lstm", desk.xs[: desk.n_sent]))
    assert desk.durable() == [] and desk.saved() == 0
    desk.house.is_down = None
    desk.house.wait(MAX_BACKOFF_MS)
    assert (desk.saved(), desk.durable()) == (desk.n_sent, [desk.n_sent - 1])
    desk.feed()
    desk.house.wait(100)
    assert desk.durable() == [desk.n_sent - 1], "the cadence is as ever"


def test_what_could_not_be_saved_is_captured_anew(desk):
    desk.feed()
    desk.house.is_down = DOWN
    desk.house.wait(100)
    desk.feed(5)
    desk.house.is_down = None
    desk.house.wait(1000)
    assert (desk.saved(), desk.durable()) == (6, [5])


def test_a_fault_of_ours_in_the_store_is_a_failure_like_another(desk):
    desk.feed()
    desk.house.is_down = InternalError("the store failed in an unknown way")
    desk.house.wait(100)
    assert desk.hub.tally.n_store_failures == 1 and desk.hub.n_sessions == 1


def test_many_frames_do_not_press_a_store_that_is_down(desk):
    desk.house.is_down = DOWN
    desk.feed()
    desk.house.wait(100)
    desk.feed(40)
    assert desk.hub.checkpoints.next_ns != 0
    desk.house.wait(10)
    assert desk.hub.tally.n_store_failures == 1


def test_a_session_with_another_owner_is_ended_and_the_client_told(desk):
    desk.feed(3)
    desk.house.wait(100)
    assert desk.store.claim("s", 0.0) is not None
    desk.feed(2)
    desk.durable()
    desk.house.wait(100)
    replies = desk.caller.heard()
    assert replies == [m.Closed(1, "taken_over", 5)]
    assert desk.caller.peer.close_code == 4001
    assert (desk.hub.n_sessions, desk.hub.engine.n_sessions, desk.hub.tally.n_fenced) == (0, 0, 1)
    assert desk.saved() == 3, "what the other one has is untouched"
    desk.house.wait(100_000)
    assert desk.store.load("s").epoch == 1


def test_one_that_is_fenced_does_not_keep_the_others_from_being_saved(desk):
    desk.caller.say(m.Open(2, "lstm", "t"))
    desk.house.keep()
    desk.caller.heard()
    desk.feed(2)
    desk.caller.say(frame(2, 0, random_frames(3)))
    desk.caller.ticked()
    desk.store.save([Stored("s", 7, 9, b"of another")], 0.0)
    desk.house.wait(100)
    replies = desk.caller.heard()
    assert replies == [m.Closed(1, "taken_over", 2), m.Ack(2, "checkpoint", 2, 2)] or replies == [
        m.Ack(2, "checkpoint", 2, 2),
        m.Closed(1, "taken_over", 2),
    ]
    assert desk.caller.peer.close_code is None
    assert desk.store.load("t").next_seq == 3


def test_a_session_that_ends_while_it_is_saved_is_not_heard_of_again(desk):
    desk.feed()
    desk.hub.advance(10**9)
    save = desk.house.take()
    result = desk.house.run(save)
    desk.caller.say(m.Close(1))
    save.then(*result, 10**9)
    desk.house.keep()
    assert desk.saved() is None and desk.hub.checkpoints.is_idle
    assert desk.caller.heard() == []


def test_a_session_that_ends_while_its_save_fails_is_not_saved_again(desk):
    desk.feed()
    desk.hub.advance(10**9)
    save = desk.house.take()
    desk.caller.say(m.Close(1))
    save.then(None, DOWN, 10**9)
    assert desk.hub.checkpoints.is_idle


def test_an_id_that_is_opened_anew_while_the_one_before_is_saved_is_another_session(desk):
    desk.feed(5)
    desk.hub.advance(10**9)
    save = desk.house.take()
    desk.caller.say(m.Close(1), m.Open(1, "lstm", "s"))
    save.then(*desk.house.run(save), 10**9)
    assert desk.durable() == []
    desk.house.keep()
    (opened,) = (reply for reply in desk.caller.heard() if isinstance(reply, m.Opened))
    assert (opened.next_seq, opened.durable_seq) == (0, -1)
    desk.n_sent, desk.heard = 0, []
    desk.feed(2)
    desk.house.wait(2000)
    assert desk.durable() == [1]


def test_a_rollback_in_the_middle_of_a_save_is_not_taken_for_saved(desk):
    desk.feed(3)
    (early,) = (reply for reply in desk.caller.say(m.Snapshot(1)) if isinstance(reply, m.Snapshotted))
    desk.feed(4)
    desk.hub.advance(10**9)
    save = desk.house.take()
    result = desk.house.run(save)
    replies = desk.caller.say(m.Rollback(1, early.payload))
    assert replies[-1] == m.Ack(1, "rollback", 2, -1)
    save.then(*result, 10**9)
    assert desk.caller.heard() == [], "what was saved is of another history"
    desk.hub.advance(10**9)
    desk.house.keep()
    assert desk.caller.heard() == [m.Ack(1, "checkpoint", 2, 2)]
    stored = desk.store.load("s")
    assert (stored.epoch, stored.next_seq) == (1, 3)


def test_every_session_of_a_crowd_is_saved(monkeypatch):
    monkeypatch.setattr("streamrnn.serving.checkpoints.MAX_SAVED_AT_ONCE", 3)
    store = MemoryStore()
    house = House(store, LIMITS)
    caller = house.caller()
    for handle in range(8):
        caller.open(handle)
        caller.say(frame(handle, 0, random_frames(1)))
    caller.ticked()
    house.wait(100)
    for _ in range(2):
        assert house.hub.checkpoints.next_ns == 0, "the rest at once"
        house.wait(0)
    assert len(store.session_ids()) == 8 and house.hub.tally.n_saves == 3 and house.hub.tally.n_saved == 8


def test_without_a_store_nothing_is_ever_wanted():
    house = House()
    caller = house.caller()
    opened = caller.open(1, session_id="s")
    assert not opened.durable
    caller.say(frame(1, 0, random_frames(30)))
    caller.ticked()
    caller.say(m.Reset(1))
    house.wait(10_000)
    caller.say(m.Close(1))
    assert not house.hub.errands and house.hub.is_settled
