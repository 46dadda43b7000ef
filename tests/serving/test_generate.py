"""`generate` on the wire: its outputs, what is refused, and a session that goes on when its client is gone."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn import Generation
from streamrnn.engine.engine import Engine
from streamrnn.stores import MemoryStore
from streamrnn.wire import messages as m
from tests.serving.house import LIMITS, MODELS, House, f32_frames, make_hub, token_session

SAMPLER = '{"kind":"sampler","input":"logit"}'
PROMPT = [3.0, 1.0, 4.0]
SEED = 5


@pytest.fixture(scope="module")
def expected():
    """Tokens of 12 draws behind the prompt, and the session that drew them."""
    session = token_session(PROMPT)
    return session.generate(12, seed=SEED)


@pytest.fixture
def house():
    return House(MemoryStore())


@pytest.fixture
def caller(house):
    return opened(house)


def opened(house, **options):
    """A caller whose session has seen the prompt."""
    caller = house.caller()
    replies = caller.say(m.Open(1, "token", "s", decoder=SAMPLER, **options))
    house.keep()
    caller.token = (replies + caller.heard())[0].resume_token
    caller.say(m.Frame(1, 0, f32_frames(PROMPT), 3))
    caller.ticked()
    return caller


def events_in(replies):
    """The token events of replies, in order, each with an output of its own seq."""
    events = []
    for reply in replies:
        if isinstance(reply, m.Output):
            assert all(reply.seq <= event.seq < reply.seq + reply.n for event in reply.events)
            events += reply.events
    return events


def tokens_in(replies):
    return [event.token for event in events_in(replies)]


def test_each_frame_has_an_output_and_its_token(caller, expected):
    replies = caller.say(m.Generate(1, 3, 12, seed=SEED)) + caller.ticked()
    events = events_in(replies)
    assert [event.token for event in events] == expected
    assert [event.seq for event in events] == list(range(3, 15))
    assert [event.cause for event in events] == [""] * 11 + ["length"]
    outputs = b"".join(reply.payload for reply in replies)
    session = token_session(PROMPT)
    assert outputs == session.run(np.array(expected, np.float32)[:, None]).tobytes()
    assert caller.hub.tally.n_frames == caller.hub.tally.n_outputs == 15


def test_the_stop_token_ends_it(caller, expected):
    n = expected.index(expected[4]) + 1
    replies = caller.say(m.Generate(1, 3, 12, seed=SEED, stop=expected[4])) + caller.ticked()
    assert tokens_in(replies) == expected[:n]
    assert events_in(replies)[-1].cause == "stop"
    assert caller.say(m.Flush(1)) == [m.Ack(1, "flush", 2 + n, -1)]


def test_it_applies_after_the_frames_sent_before_and_before_all_else(caller, expected):
    session = token_session([*PROMPT, 2.0, 2.0])
    tokens = session.generate(4, seed=SEED)
    y = session.step(np.array([6.0], np.float32))
    replies = caller.say(
        m.Frame(1, 3, f32_frames([2.0, 2.0]), 2), m.Generate(1, 5, 4, seed=SEED), m.Frame(1, 9, f32_frames([6.0]))
    )
    assert tokens_in(replies) == tokens
    replies = caller.ticked()
    assert (replies[-1].seq, replies[-1].payload) == (9, y.tobytes())


@pytest.mark.parametrize(
    "ask", [m.Reset(1), m.Flush(1), m.Snapshot(1), m.Fork(1, 2, "twin"), m.Close(1)], ids=lambda ask: type(ask).__name__
)
def test_what_comes_behind_it_waits_for_its_end(house, caller, expected, ask):
    replies = caller.say(m.Generate(1, 3, 12, seed=SEED), ask)
    house.keep()
    replies += caller.heard()
    assert tokens_in(replies) == expected
    assert not isinstance(replies[-1], m.Output | m.Error)
    assert caller.hub.n_pending == 0


def test_a_duplicate_is_answered_again_and_changes_nothing(caller, expected):
    ask = m.Generate(1, 3, 12, seed=SEED)
    assert tokens_in(caller.say(ask, ask) + caller.ticked()) == expected
    assert tokens_in(caller.say(ask)) == expected
    assert caller.hub.n_pending == 0


def test_a_duplicate_amid_it(caller, expected):
    ask = m.Generate(1, 3, 12, seed=SEED)
    caller.say(ask)
    for _ in range(5):
        caller.hub.tick(0)
    assert tokens_in(caller.heard()) == expected[:5]
    assert tokens_in(caller.say(ask)) == expected[:5]
    assert tokens_in(caller.ticked()) == expected[5:]


@pytest.mark.parametrize(
    ("ask", "code", "scope", "expected_seq"),
    [
        (m.Generate(1, 4, 3), "bad_seq", "frame", 3),
        (m.Generate(1, 3, 33), "bad_option", "session", None),
        (m.Generate(9, 0, 3), "unknown_session", "session", None),
        (m.Generate(2, 0, 3), "bad_option", "session", None),
        (m.Generate(3, 0, 3), "bad_option", "session", None),
    ],
    ids=["gap", "beyond the window", "no session", "no sampler", "no frame yet"],
)
def test_refusals(house, caller, ask, code, scope, expected_seq):
    caller.say(m.Open(2, "token"), m.Open(3, "token", decoder=SAMPLER))
    house.keep()
    caller.heard()
    (error,) = caller.say(ask)
    assert (error.code, error.scope, error.of, error.handle) == (code, scope, "generate", ask.handle)
    assert (error.seq, error.expected_seq) == (ask.seq, expected_seq)
    assert caller.hub.n_pending == 0


def test_a_model_without_tokens_has_no_sampler(house):
    (error,) = house.caller().say(m.Open(1, "lstm", decoder=SAMPLER))
    assert error.code == "bad_option"


def resumed(house, caller, answered_seq):
    """Come back on another connection; the replies so far, `opened` first."""
    back = house.caller()
    replies = back.say(m.Open(1, "token", "s", caller.token, answered_seq, decoder=SAMPLER))
    house.keep()
    return back, replies + back.heard()


def test_it_goes_on_while_nobody_is_there_and_is_told_later(house, caller, expected):
    caller.say(m.Generate(1, 3, 12, seed=SEED))
    for _ in range(4):
        caller.hub.tick(0)
    heard = caller.heard()
    caller.vanish()
    for _ in range(3):
        caller.hub.tick(0)
    back, replies = resumed(house, caller, 6)
    assert replies[0].next_seq == 11
    assert tokens_in(heard) + tokens_in(replies) + tokens_in(back.ticked()) == expected


def test_it_is_parked_when_it_has_ended(house, caller, expected):
    caller.say(m.Generate(1, 3, 12, seed=SEED))
    caller.vanish()
    while caller.hub.n_pending:
        caller.hub.tick(0)
    assert caller.hub.roster.n_parked == 1
    _, replies = resumed(house, caller, 2)
    assert replies[0].next_seq == 15
    assert tokens_in(replies) == expected


@pytest.mark.parametrize("n_ticks", [0, 1, 5, 11, 12])
def test_another_server_goes_on_from_what_the_store_has(house, caller, expected, n_ticks):
    caller.say(m.Generate(1, 3, 12, seed=SEED))
    for _ in range(n_ticks):
        caller.hub.tick(0)
    caller.heard()
    caller.hub.note_change(caller.hub.roster.find("s"))
    house.save()
    later = House(house.store)
    back, replies = resumed(later, caller, 2)
    assert replies[0].next_seq == 3 + n_ticks + (n_ticks < 12)
    assert tokens_in(replies) + tokens_in(back.ticked()) == expected
    assert back.say(m.Flush(1))[-1].applied_seq == 14


def test_bytes_of_a_client_start_nothing(house, caller):
    engine = Engine(limits=LIMITS)
    engine.add_model("token", MODELS["token"])
    session = token_session(PROMPT, engine, "s")
    engine.generate(session, Generation(12, seed=SEED))
    engine.tick()
    blob = session.snapshot()
    replies = caller.say(m.Restore(2, blob, "copy"), m.Rollback(1, blob))
    house.keep()
    replies += caller.heard()
    assert {type(reply) for reply in replies} == {m.Opened, m.Ack}
    assert caller.hub.n_pending == 0


def test_a_stop_in_order_steps_it_to_its_end(house, caller, expected):
    caller.say(m.Generate(1, 3, 12, seed=SEED))
    caller.hub.drain(100)
    caller.hub.settle(0)
    replies = caller.heard()
    assert tokens_in(replies) == expected
    house.keep()
    assert caller.hub.is_settled


def test_many_sessions_share_the_ticks():
    hub = make_hub()
    house = House()
    house.hub = hub
    caller = house.caller()
    for handle in range(4):
        caller.say(m.Open(handle, "token", decoder=SAMPLER), m.Frame(handle, 0, f32_frames(PROMPT), 3))
    caller.ticked()
    caller.say(*(m.Generate(handle, 3, 12, seed=handle) for handle in range(4)))
    n_ticks = 0
    while hub.n_pending:
        assert hub.tick(0) == 4
        n_ticks += 1
    assert n_ticks == 12
    replies = caller.heard()
    for handle in range(4):
        mine = [reply for reply in replies if reply.handle == handle]
        assert tokens_in(mine) == token_session(PROMPT).generate(12, seed=handle)
