"""A session that is taken back is stored so, under a new epoch, and nobody is fenced by mistake."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn.errors import StoreError
from streamrnn.stores import MemoryStore
from streamrnn.wire import messages as m
from tests.serving.house import MODELS, House, frame, offline, random_frames, values

XS = random_frames(30)
OTHERS = random_frames(10, seed=5)
YS = offline("lstm", XS)
DOWN = StoreError("the disk is full", operation="save", cause="SQLITE_FULL")


class Desk:
    """A session that has answered 8 frames, its snapshot after 3 and what the store has of all 8."""

    def __init__(self, key=None):
        self.store = MemoryStore()
        self.house = House(self.store, key=key)
        self.caller = self.house.caller()
        self.caller.say(m.Open(1, "lstm", "s"))
        self.house.keep()
        self.token = self.caller.heard()[0].resume_token
        self.early = self.caller.say(frame(1, 0, XS[:3]), m.Snapshot(1))[-1].payload
        self.caller.say(frame(1, 3, XS[3:8]))
        self.caller.ticked()
        self.house.save()
        self.caller.heard()

    def stored(self):
        found = self.store.load("s")
        return found.epoch, found.next_seq


@pytest.fixture(params=[None, b"k" * 16], ids=["plain", "signed"])
def desk(request):
    return Desk(request.param)


def test_state_and_numbering_turn_back_and_later_bits_are_those_of_then(desk):
    assert desk.caller.say(m.Rollback(1, desk.early)) == [m.Ack(1, "rollback", 2, -1)]
    desk.caller.say(frame(1, 3, XS[3:10]))
    np.testing.assert_array_equal(values(desk.caller.ticked(), 1, 2, first_seq=3), YS[3:10])


def test_it_applies_after_the_frames_sent_before(desk):
    replies = desk.caller.say(frame(1, 8, XS[8:12]), m.Rollback(1, desk.early), frame(1, 3, OTHERS[:4]))
    np.testing.assert_array_equal(values(replies[:1], 1, 2, first_seq=8), YS[8:12])
    assert replies[1] == m.Ack(1, "rollback", 2, -1)
    expected = offline("lstm", np.concatenate([XS[:3], OTHERS[:4]]))
    np.testing.assert_array_equal(values(desk.caller.ticked(), 1, 2, first_seq=3), expected[3:])


def test_what_was_durable_is_of_another_history_until_it_is_saved_under_a_new_epoch(desk):
    assert desk.stored() == (0, 8)
    desk.caller.say(m.Rollback(1, desk.early))
    assert desk.house.hub.checkpoints.next_ns == 0, "at once"
    assert desk.caller.say(m.Flush(1)) == [m.Ack(1, "flush", 2, -1)]
    desk.house.save()
    assert desk.stored() == (1, 3)
    assert desk.caller.heard() == [m.Ack(1, "checkpoint", 2, 2)]
    assert desk.house.hub.tally.n_fenced == 0


def test_saves_go_on_under_the_new_epoch(desk):
    for n_rolled in range(1, 4):
        desk.caller.say(m.Rollback(1, desk.early))
        desk.house.save()
        assert desk.stored() == (n_rolled, 3)
        desk.caller.say(frame(1, 3, XS[3:8]))
        desk.caller.ticked()
        desk.house.save()
        assert desk.stored() == (n_rolled, 8)
    assert desk.house.hub.tally.n_fenced == 0


def test_the_numbering_may_have_gone_beyond_again_before_the_save(desk):
    desk.caller.say(m.Rollback(1, desk.early), frame(1, 3, OTHERS))
    desk.caller.ticked()
    desk.house.save()
    assert desk.stored() == (1, 13)
    assert desk.caller.heard()[-1] == m.Ack(1, "checkpoint", 12, 12)


def test_after_a_crash_it_goes_on_from_the_history_that_was_saved(desk):
    desk.caller.say(m.Rollback(1, desk.early), frame(1, 3, OTHERS[:2]))
    desk.caller.ticked()
    desk.house.save()
    house = House(desk.store, key=desk.house.key)
    caller = house.caller()
    caller.say(m.Open(1, "lstm", "s", desk.token, 4))
    house.keep()
    (opened,) = caller.heard()
    assert (opened.resumed, opened.next_seq) == (True, 5)
    caller.say(frame(1, 5, OTHERS[2:]))
    expected = offline("lstm", np.concatenate([XS[:3], OTHERS]))
    np.testing.assert_array_equal(values(caller.ticked(), 1, 2, first_seq=5), expected[5:])


def test_a_save_that_fails_after_it_renewed_the_epoch_is_made_good(desk):
    desk.caller.say(m.Rollback(1, desk.early))
    desk.house.hub.advance(10**9)
    save = desk.house.take()
    for _ in range(2):
        desk.store.save, save_it = (lambda records, now_s: (_ for _ in ()).throw(DOWN)), desk.store.save
        result = desk.house.run(save)
        desk.store.save = save_it
        assert result == (None, DOWN)
        save.then(*result, 10**9)
        save = desk.house.hub.checkpoints.collect(10**9, is_last=True)
    save.then(*desk.house.run(save), 10**9)
    assert desk.stored()[1] == 3 and desk.house.hub.tally.n_fenced == 0
    assert desk.caller.heard() == [m.Ack(1, "checkpoint", 2, 2)]
    desk.caller.say(frame(1, 3, XS[3:8]))
    desk.caller.ticked()
    desk.house.save()
    assert desk.stored()[1] == 8 and desk.house.hub.tally.n_fenced == 0


def test_a_rollback_does_not_take_the_session_from_one_who_has_claimed_it_since(desk):
    there = House(desk.store, key=desk.house.key)
    other = there.caller()
    other.say(m.Open(1, "lstm", "s", desk.token, 7))
    there.keep()
    other.heard()
    desk.caller.say(m.Rollback(1, desk.early))
    desk.house.save()
    assert desk.caller.heard() == [m.Closed(1, "taken_over", 3)]
    other.say(frame(1, 8, XS[8:9]))
    other.ticked()
    there.save()
    assert desk.stored() == (1, 9) and there.hub.tally.n_fenced == 0


def test_two_rollbacks_with_a_save_between_them_under_way(desk):
    desk.caller.say(m.Rollback(1, desk.early), frame(1, 3, XS[3:5]))
    desk.caller.ticked()
    desk.house.hub.advance(10**9)
    save = desk.house.take()
    result = desk.house.run(save)
    desk.caller.say(m.Rollback(1, desk.early))
    save.then(*result, 10**9)
    assert desk.caller.heard() == [], "what was saved is of the history before the last"
    desk.house.save()
    assert desk.stored() == (2, 3) and desk.house.hub.tally.n_fenced == 0
    assert desk.caller.heard() == [m.Ack(1, "checkpoint", 2, 2)]


@pytest.mark.parametrize("is_under_way", [False, True])
def test_one_that_is_closed_right_after_it_is_forgotten_in_the_store_too(desk, is_under_way):
    desk.caller.say(m.Rollback(1, desk.early))
    if is_under_way:
        desk.house.hub.advance(10**9)
    desk.caller.say(m.Close(1))
    desk.house.keep()
    assert desk.store.session_ids() == []


@pytest.mark.parametrize("is_under_way", [False, True])
def test_one_that_is_closed_right_after_it_does_not_take_what_another_has_claimed(desk, is_under_way):
    desk.caller.say(m.Rollback(1, desk.early))
    if is_under_way:
        desk.house.hub.advance(10**9)
    desk.store.claim("s", 0.0)
    desk.caller.say(m.Close(1))
    desk.house.keep()
    assert desk.stored() == (1, 8)


def test_a_session_that_was_never_saved_needs_no_new_epoch():
    store = MemoryStore()
    house = House(store)
    caller = house.caller()
    caller.open(1)
    early = caller.say(frame(1, 0, XS[:2]), m.Snapshot(1))[-1].payload
    caller.say(frame(1, 2, XS[2:6]), m.Rollback(1, early))
    house.save()
    (name,) = store.session_ids()
    stored = store.load(name)
    assert (stored.epoch, stored.next_seq) == (0, 2)


def test_a_parked_session_is_taken_back_too(desk):
    desk.house.wait(60_000)
    desk.caller.heard()
    assert desk.caller.say(m.Rollback(1, desk.early)) == [m.Event(1, "live", 8), m.Ack(1, "rollback", 2, -1)]


def bad_snapshots():
    other = House().caller()
    other.open(1, session_id="t")
    other.open(2, "gru", "s")
    return {
        "none": b"",
        "cut": None,
        "of another session": other.say(m.Snapshot(1))[-1].payload,
        "of another model": other.say(m.Snapshot(2))[-1].payload,
    }


@pytest.mark.parametrize("name", ["none", "cut", "of another session", "of another model"])
def test_a_snapshot_that_is_not_its_own_changes_nothing(name):
    assert len({model.digest for model in MODELS.values()}) > 1
    desk = Desk()
    bad = bad_snapshots()[name]
    (reply,) = desk.caller.say(m.Rollback(1, desk.early[:-1] if bad is None else bad))
    assert (reply.code, reply.scope, reply.of, reply.handle) == ("bad_snapshot", "session", "rollback", 1)
    desk.caller.say(frame(1, 8, XS[8:10]))
    np.testing.assert_array_equal(values(desk.caller.ticked(), 1, 2, first_seq=8), YS[8:10])
    desk.house.save()
    assert desk.stored() == (0, 10)


def test_of_a_draining_server_a_session_can_be_taken_back():
    desk = Desk()
    desk.house.hub.drain(500)
    assert desk.caller.say(m.Rollback(1, desk.early)) == [m.GoAway(500), m.Ack(1, "rollback", 2, -1)]
    desk.house.hub.settle(0)
    desk.house.keep()
    assert desk.house.hub.is_settled and desk.stored() == (1, 3)
