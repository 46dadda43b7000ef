"""The roster counts every session once, in the state that it is in, through any life."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from streamrnn.limits import Limits
from streamrnn.stores import MemoryStore
from streamrnn.wire import messages as m
from tests.serving.house import House, frame, random_frames

LIMITS = Limits(
    max_sessions=3, max_queue_frames=8, max_parked_sessions=3, park_ms=100, expire_ms=300, expire_stored_ms=300
)
moves = st.lists(
    st.tuples(
        st.sampled_from(["open", "frame", "tick", "wait", "cut", "done", "resume", "close", "flush", "save", "keep"]),
        st.integers(0, 5),
        st.integers(1, 150),
    ),
    max_size=40,
)


def check(house, told):
    hub = house.hub
    roster = hub.roster
    listed = list(roster)
    lives = Counter(hosted.life for hosted in listed)
    assert {life: n for life, n in roster.lives().items() if n} == dict(lives)
    assert set(lives) <= {"open", "live", "parked"}
    assert roster.n_parked == lives["parked"] <= LIMITS.max_parked_sessions
    assert roster._parked_bytes == sum(roster._parked.values()) > -1
    assert set(roster._parked) == {hosted for hosted in listed if hosted.life == "parked"}
    assert len(roster) == len({hosted.id for hosted in listed}) == hub.n_sessions
    assert hub.engine.n_sessions == len(roster.by_session) == lives["open"] + lives["live"]
    held = {hosted for peer in hub.peers for hosted in peer.sessions.values()}
    assert held == {hosted for hosted in listed if hosted.peer is not None}
    for hosted in listed:
        assert roster.find(hosted.id) is hosted
        assert (hosted.session is None) == (hosted.life == "parked") == bool(hosted.parked)
        if hosted.peer is not None:
            assert hosted.peer.sessions[hosted.handle] is hosted
    for session_id, (life, is_over) in told.items():
        hosted = roster.find(session_id)
        assert (hosted is None) == is_over and (hosted is None or hosted.life == life)


@given(moves=moves, has_store=st.booleans())
def test_sessions_are_counted_once_through_any_life(moves, has_store):
    told = {}

    def on_turn(session_id, before, after):
        life, is_over = told.get(session_id, ("open", True))
        assert before == ("open" if is_over else life)
        told[session_id] = (after, after in ("closed", "expired"))

    house = House(MemoryStore() if has_store else None, LIMITS, on_turn=on_turn)
    callers = [house.caller() for _ in range(2)]
    tokens: dict[str, str] = {}
    seqs: dict[str, int] = {}

    for move, which, n in moves:
        caller, name = callers[which % 2], f"s{which}"
        heard = []
        match move:
            case "open":
                heard = caller.say(m.Open(which, "lstm", name))
            case "frame":
                heard = caller.say(frame(which, seqs.get(name, 0), random_frames(1)))
            case "tick":
                house.hub.tick(house.now_ns)
            case "wait":
                house.now_ns += n * 1_000_000
                house.hub.advance(house.now_ns)
            case "cut":
                caller.vanish()
                callers[which % 2] = house.caller()
            case "done":
                caller.leave()
                callers[which % 2] = house.caller()
            case "resume":
                heard = caller.say(m.Open(which, "lstm", name, tokens.get(name, "x")))
            case "close":
                heard = caller.say(m.Close(which))
            case "flush":
                heard = caller.say(m.Flush(which))
            case "save" if has_store:
                house.save()
            case "keep":
                house.keep()
        for reply in heard + callers[0].heard() + callers[1].heard():
            if isinstance(reply, m.Opened):
                tokens[reply.session_id] = reply.resume_token
            assert not (isinstance(reply, m.Error) and reply.code == "internal"), reply
        for hosted in house.hub.roster:
            seqs[hosted.id] = hosted.next_seq
            if told.get(hosted.id, (None, True))[1]:
                told[hosted.id] = (hosted.life, False)  # of its opening nobody is told
        check(house, told)
    house.hub.end(house.now_ns)
    assert house.hub.n_sessions == house.hub.engine.n_sessions == house.hub.roster.n_parked == 0
