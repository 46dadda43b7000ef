"""Many sessions captured at once: copies that are encoded later, and the epoch of what is restored."""

from __future__ import annotations

import pytest

from streamrnn import Gaps
from streamrnn.engine.snapshot import decode, encode
from streamrnn.errors import OptionError, SessionClosedError
from tests.laws.nets import random_frames, random_model, same_bits
from tests.laws.test_laws import engine_of


@pytest.fixture
def engine():
    engine = engine_of(random_model("lstm", 3, 5))
    engine.add_model("n", random_model("gru", 3, 5))
    return engine


def test_records_are_those_of_snapshots_in_order(engine):
    sessions = [engine.open("mn"[i % 2], gaps=Gaps("hold", 10) if i == 3 else None) for i in range(6)]
    for i, session in enumerate(sessions):
        session.run(random_frames(session.model, i + 1), time_us=0 if session.gaps else None)
        session.epoch = i
    sessions[4].reset(warm_frames=3)
    sessions[4].run(random_frames(sessions[4].model, 2))
    before = [session.snapshot() for session in sessions]
    records = engine.capture(sessions)
    for session in sessions:
        session.run(random_frames(session.model, 3), time_us=500 if session.gaps else None)
    assert [encode(record) for record in records] == before
    assert engine.capture([]) == []


def test_frames_that_wait_are_not_in_it(engine):
    session = engine.open("m")
    session.run(random_frames(session.model, 2))
    before = session.snapshot()
    engine.push(session, 2, random_frames(session.model, 3))
    (record,) = engine.capture([session])
    assert (record.next_seq, encode(record)) == (2, before)


def test_not_once_closed(engine):
    sessions = [engine.open("m") for _ in range(2)]
    sessions[1].close()
    with pytest.raises(SessionClosedError):
        engine.capture(sessions)


def test_the_epoch_is_the_callers_to_say(engine):
    session = engine.open("m")
    session.epoch = 2**62
    blob = session.snapshot()
    assert engine.restore(blob, epoch=7).epoch == 7
    assert engine.restore(blob, epoch=0).epoch == 0
    for epoch in (-1, 2**62 + 1):
        n = engine.n_sessions
        with pytest.raises(OptionError, match="epoch: expected 0 to"):
            engine.restore(blob, epoch=epoch)
        assert engine.n_sessions == n
    assert same_bits(decode(blob).state, session.state())
