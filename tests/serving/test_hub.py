"""Peers and engine together: routing, law 6 under interleaving, draining, and ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamrnn.wire import messages as m
from streamrnn.wire.codec import JSON, MSGPACK
from tests.serving.house import MODELS, Caller, frame, make_hub, offline, random_frames, values


def test_a_client_that_is_done_takes_its_sessions_with_it():
    hub = make_hub()
    one, two = Caller(hub), Caller(hub, JSON)
    one.open(1)
    two.open(1)
    xs = random_frames(3)
    one.say(frame(1, 0, xs))
    two.say(frame(1, 0, xs))
    one.leave()
    assert (hub.n_sessions, len(hub.peers), hub.n_pending) == (1, 1, 3)
    np.testing.assert_array_equal(values(two.ticked(), 1, 2), offline("lstm", xs))
    two.leave()
    assert (hub.n_sessions, len(hub.peers), hub.engine.n_sessions) == (0, 0, 0)


def test_a_connection_that_is_lost_leaves_its_sessions_parked_once_all_is_stepped():
    hub = make_hub()
    one, two = Caller(hub), Caller(hub, JSON)
    one.open(1, session_id="idle")
    one.open(2, session_id="busy")
    two.open(1)
    xs = random_frames(3)
    one.say(frame(2, 0, xs))
    two.say(frame(1, 0, xs))
    one.vanish()
    assert (hub.n_sessions, len(hub.peers), hub.n_pending, hub.roster.n_parked) == (3, 1, 6, 1)
    np.testing.assert_array_equal(values(two.ticked(), 1, 2), offline("lstm", xs))
    assert (hub.n_sessions, hub.engine.n_sessions, hub.roster.n_parked) == (3, 1, 2)
    busy = hub.roster.find("busy")
    assert busy is not None and (busy.life, busy.next_seq, busy.n_applied) == ("parked", 3, 3)


def test_a_connection_that_is_lost_twice_is_lost_once():
    hub = make_hub()
    caller = Caller(hub)
    caller.open(1)
    caller.vanish()
    caller.vanish()
    caller.leave()
    assert (hub.n_sessions, hub.roster.n_parked, len(hub.peers)) == (1, 1, 0)


def test_a_tick_marks_the_peers_that_have_something_to_write():
    hub = make_hub()
    callers = [Caller(hub) for _ in range(3)]
    for caller in callers:
        caller.open(1)
    callers[2].say(frame(1, 0, random_frames(1)))
    callers[0].say(frame(1, 0, random_frames(1)))
    assert not hub.dirty
    assert hub.tick(0) == 2
    assert set(hub.dirty) == {callers[0].peer, callers[2].peer}
    assert hub.tick(0) == 0


def test_frames_are_counted():
    hub = make_hub()
    caller = Caller(hub)
    for handle in range(6):
        caller.open(handle)
        caller.say(frame(handle, 0, random_frames(2)))
    assert [hub.tick(0) for _ in range(3)] == [4, 2, 0]  # two frames of each at once
    assert (hub.tally.n_frames, hub.tally.n_outputs) == (12, 12)


def test_a_failed_tick_ends_the_sessions_that_waited(monkeypatch, caplog):
    hub = make_hub()
    caller = Caller(hub)
    caller.open(1)
    caller.open(2)
    caller.say(frame(1, 0, random_frames(1)))
    with monkeypatch.context() as patch:
        patch.setattr(hub.engine, "begin_tick", lambda: 1 / 0)
        assert hub.tick(0) == 0
    error, closed = caller.heard()
    assert (error.code, error.scope, error.handle) == ("internal", "session", 1)
    assert closed == m.Closed(1, "error", 0)
    assert "ZeroDivisionError" in caplog.text
    assert hub.n_pending == 0
    caller.say(frame(2, 0, random_frames(1)))
    assert [reply.handle for reply in caller.ticked()] == [2]


def test_draining_takes_no_new_session_and_finishes_the_old():
    hub = make_hub()
    caller, idle = Caller(hub), Caller(hub)
    caller.open(1)
    taken = caller.say(m.Snapshot(1))[-1]
    xs = random_frames(7)
    caller.say(frame(1, 0, xs[:3]))
    hub.drain(500)
    assert idle.heard() == [m.GoAway(500)]
    assert idle.peer.close_code == 1001
    (go_away,) = caller.heard()
    assert go_away == m.GoAway(500)
    for message in (m.Open(2, "lstm"), m.Restore(2, taken.payload), m.Fork(1, 2)):
        (reply,) = caller.say(message)
        assert (reply.code, reply.scope, reply.retryable) == ("draining", "session", True)
    caller.say(frame(1, 3, xs[3:]))
    hub.end(0)
    replies = caller.heard()
    np.testing.assert_array_equal(values(replies, 1, 2), offline("lstm", xs))
    assert replies[-1] == m.Closed(1, "draining", 7)
    assert caller.peer.close_code == 1012
    assert caller.say(m.Flush(1)) == []


def test_a_draining_connection_ends_with_its_last_session():
    hub = make_hub()
    caller = Caller(hub)
    caller.open(1)
    caller.open(2)
    hub.drain(500)
    caller.say(m.Close(1))
    assert caller.peer.close_code is None
    assert caller.say(frame(2, 0, random_frames(2)), m.Close(2))[-1] == m.Closed(2, "closed", 2)
    assert caller.peer.close_code == 1001


def test_draining_twice_says_so_once():
    hub = make_hub()
    caller = Caller(hub)
    caller.open(1)
    hub.drain(500)
    hub.drain(400)
    assert caller.heard() == [m.GoAway(500)]


def test_the_end_without_a_drain():
    hub = make_hub()
    caller, idle = Caller(hub), Caller(hub)
    caller.open(1)
    hub.end(0)
    assert caller.heard() == [m.Closed(1, "draining", 0)]
    assert (caller.peer.close_code, idle.peer.close_code) == (1012, 1001)
    assert hub.engine.n_sessions == 0


SIZES = {"lstm": 2, "gru": 5}
moves = st.lists(
    st.tuples(
        st.integers(0, 5),  # which session
        st.sampled_from(["one", "chunk", "columns", "tick", "bad", "gap", "flush"]),
        st.integers(1, 6),
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize("protocol", [MSGPACK, JSON])
@settings(max_examples=60, deadline=None)
@given(moves=moves)
def test_law_6_one_output_per_accepted_frame_in_order_under_any_interleaving(protocol, moves):
    hub = make_hub()
    callers = [Caller(hub, protocol) for _ in range(3)]
    homes = [(callers[i % 3], i, "gru" if i % 2 else "lstm") for i in range(6)]
    for caller, handle, model in homes:
        caller.open(handle, model)
    frames = [random_frames(400, seed=i) for i in range(6)]
    n_accepted = [0] * 6
    heard: list[list[object]] = [[], [], []]
    for i, move, n in moves:
        caller, handle, _ = homes[i]
        seq = n_accepted[i]
        xs = frames[i][seq : seq + n]
        replies = []
        if move == "tick":
            hub.tick(0)
        elif move == "bad":
            replies = caller.say(frame(handle, seq, xs * np.float32("inf")))
        elif move == "gap":
            replies = caller.say(frame(handle, seq + n, xs))
        elif move == "flush":
            replies = caller.say(m.Flush(handle))
            assert replies[-1] == m.Ack(handle, "flush", seq - 1)
        elif move == "columns":
            mates = [j for j in range(6) if homes[j][0] is caller]
            rows = np.stack([frames[j][n_accepted[j]] for j in mates])
            seqs = [n_accepted[j] for j in mates]
            replies = caller.say(m.Frames([homes[j][1] for j in mates], seqs, rows.tobytes()))
            refused = {(r.handle, r.seq) for r in replies if isinstance(r, m.Error)}
            for j, sent in zip(mates, seqs, strict=True):
                n_accepted[j] += (homes[j][1], sent) not in refused
        else:
            rows = xs[:1] if move == "one" else xs
            replies = caller.say(frame(handle, seq, rows))
            n_accepted[i] += 0 if any(isinstance(r, m.Error) for r in replies) else len(rows)
        if move in ("bad", "gap"):
            assert sum(isinstance(r, m.Error) for r in replies) == 1
        heard[callers.index(caller)] += replies
    for i, caller in enumerate(callers):
        heard[i] += caller.ticked()
    for i, (caller, handle, model) in enumerate(homes):
        got = values(about(heard[callers.index(caller)], handle), handle, SIZES[model])
        np.testing.assert_array_equal(got, offline(model, frames[i][: n_accepted[i]]))


def about(replies, handle):
    """The outputs that hold `handle`; those of other sizes would not reshape."""
    return [
        reply
        for reply in replies
        if (isinstance(reply, m.Output) and reply.handle == handle)
        or (isinstance(reply, m.Outputs) and handle in reply.handles)
    ]


def test_the_models_of_this_room_differ():
    assert len({model.digest for model in MODELS.values()}) == len(MODELS)
