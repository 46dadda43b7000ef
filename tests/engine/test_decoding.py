"""A session's decoder is part of its state: the same events however it is stepped, parked, forked or restored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamrnn import Card, Engine, Gaps
from streamrnn.decode.settings import AnomalyDecoding, CtcSettings, LabelSettings
from streamrnn.engine import side_form
from streamrnn.errors import OptionError, SnapshotError, UsageError
from tests.laws.nets import random_frames
from tests.laws.test_laws import cuts_of, engine_of
from tests.serving.small_models import lstm_model

LABELS = LabelSettings(mode="label", input="logit", threshold=0.5, release=0.5)
CTC = CtcSettings(input="logit", endpoint=None)
N = 60


@pytest.fixture(scope="module")
def model():
    return lstm_model(output_size=3, seed=4).with_card(Card(labels=("", "one", "two")))


@pytest.fixture(scope="module")
def xs(model):
    return 3 * random_frames(model, N)


def stepped(session, xs):
    """The events of stepping frame by frame."""
    events = []
    for x in xs:
        session.step(x)
        events += session.last_events
    return events


def ticked(engine, pushes):
    """The events of pushed frames, by session."""
    found = {session: [] for session, _ in pushes}
    for session, xs in pushes:
        engine.push(session, session.next_seq, xs)
    while engine.n_pending:
        for output in engine.tick():
            found[output.session] += output.events
    return found


def everything(model, xs, decoder):
    return stepped(engine_of(model).open("m", decoder=decoder), xs)


@pytest.mark.parametrize("decoder", [LABELS, CTC])
@settings(max_examples=25)
@given(data=st.data())
def test_any_chunking_finds_the_same(model, xs, decoder, data):
    session = engine_of(model).open("m", decoder=decoder)
    found = []
    for cut in cuts_of(data, N):
        session.run(xs[cut])
        found += session.last_events
    expected = everything(model, xs, decoder)
    assert found == expected and len(expected) > 3


@pytest.mark.parametrize("decoder", [LABELS, CTC])
def test_ticks_and_batches_find_the_same(model, xs, decoder):
    engine = engine_of(model)
    sessions = [engine.open("m", decoder=decoder) for _ in range(3)]
    plain = engine.open("m")
    found = ticked(engine, [(session, xs) for session in sessions] + [(plain, xs)])
    expected = everything(model, xs, decoder)
    assert all(found[session] == expected for session in sessions) and found[plain] == []
    assert ticked(engine, [(sessions[0], xs)])[sessions[0]][-1].seq < 2 * N, "alone, as a run of frames"


def test_step_many_finds_the_same(model, xs):
    engine = engine_of(model)
    sessions = [engine.open("m", decoder=LABELS), engine.open("m"), engine.open("m", decoder=LABELS)]
    found = {session: [] for session in sessions}
    for x in xs:
        engine.step_many(sessions, np.array([x, x, x]))
        for session in sessions:
            found[session] += session.last_events
    expected = everything(model, xs, LABELS)
    assert [found[session] for session in sessions] == [expected, [], expected]


@pytest.mark.parametrize("decoder", [LABELS, CTC])
@pytest.mark.parametrize("at", [1, 17, N - 1])
def test_copies_go_on_with_the_same_events(model, xs, decoder, at):
    expected = [event for event in everything(model, xs, decoder) if event.seq >= at]
    engine = engine_of(model)
    session = engine.open("m", "s", decoder=decoder)
    stepped(session, xs[:at])
    blob = session.snapshot()
    assert engine.restore(blob).snapshot() != blob, "the epoch rises"
    copies = [engine.restore(blob), session.fork(), engine_of(model).restore(blob)]
    for copy in [*copies, engine.wake(engine.park(session))]:
        assert stepped(copy, xs[at:]) == expected


def test_a_rollback_takes_the_decoder_back(model, xs):
    session = engine_of(model).open("m", decoder=LABELS)
    stepped(session, xs[:20])
    blob = session.snapshot()
    first = stepped(session, xs[20:])
    session.rollback(blob)
    assert stepped(session, xs[20:]) == first


def test_a_reset_resets_it_and_a_warm_one_does_not(model, xs):
    session = engine_of(model).open("m", decoder=LABELS)
    first = stepped(session, xs)
    session.reset()
    again = stepped(session, xs)
    assert [(event.kind, event.text, event.seq - N) for event in again] == [(e.kind, e.text, e.seq) for e in first]
    twin = session.fork()
    session.reset(20)
    assert stepped(session, xs[:20]) == stepped(twin, xs[:20]), "the old state answers, and its decoder goes on"


def test_a_gap_that_resets_the_state_resets_the_decoder(model, xs):
    engine = engine_of(model)
    session = engine.open("m", gaps=Gaps("reset_after", 10, 50), decoder=LABELS)
    session.run(xs, 0)
    first = session.last_events
    session.run(xs, 10_000)
    assert session.last_was_reset
    assert [(event.text, event.seq - N) for event in session.last_events] == [(e.text, e.seq) for e in first]


def test_finish_tells_what_is_open(model, xs):
    session = engine_of(model).open("m", decoder=CTC)
    partials = stepped(session, xs)
    assert {event.kind for event in partials} == {"partial"}
    (final,) = session.finish_decoding()
    assert (final.kind, final.text, final.cause) == ("final", partials[-1].text, "finish")
    assert session.last_events == (final,) and session.finish_decoding() == ()
    assert engine_of(model).open("m").finish_decoding() == ()


def test_finish_waits_for_no_frame(model, xs):
    engine = engine_of(model)
    session = engine.open("m", decoder=CTC)
    engine.push(session, 0, xs)
    with pytest.raises(UsageError, match="frames waiting"):
        session.finish_decoding()


def test_the_card_tells_the_decoder(model, xs):
    carded = model.with_card(Card(labels=tuple("abc"), decoder={"kind": "labels", "mode": "label", "input": "logit"}))
    engine = Engine()
    engine.add_model("m", carded)
    session = engine.open("m", decoder="model")
    events = stepped(session, xs)
    assert {event.text for event in events} <= set("abc") and events
    bare = engine_of(model.with_card(Card())).open("m", decoder="model")
    assert bare.side is None, "a card without one: no decoder"


def test_what_does_not_fit_is_refused_and_nothing_is_opened(model):
    engine = engine_of(model)
    for decoder in (CtcSettings(blank=7), AnomalyDecoding(input_column=9), LabelSettings(head="none"), "other"):
        with pytest.raises(OptionError, match="decoder"):
            engine.open("m", decoder=decoder)
    assert engine.n_sessions == 0


def test_the_side_of_a_damaged_snapshot_is_refused(model, xs):
    engine = engine_of(model)
    session = engine.open("m", decoder=CTC)
    stepped(session, xs[:9])
    form = side_form.encode(session.side)
    assert side_form.encode(side_form.decode(form, session.lane)) == form
    for end in range(1, len(form)):
        with pytest.raises(SnapshotError):
            side_form.decode(form[:end], session.lane)
    with pytest.raises(SnapshotError):
        side_form.decode(form + b"\0", session.lane)


def test_a_newer_version_goes_on_with_the_decoder(model, xs):
    engine = engine_of(model)
    session = engine.open("m", decoder=LABELS)
    stepped(session, xs[:20])
    labelled = model.with_card(Card(labels=("x", "y", "z")))
    engine.replace_model("m", labelled, live="carry")
    expected = [event for event in everything(model, xs, LABELS) if event.seq >= 20]
    found = stepped(session, xs[20:])
    assert [(event.seq, event.token) for event in found] == [(event.seq, event.token) for event in expected]


def test_a_tick_takes_fewer_frames_where_decoding_is_much_work():
    wide = lstm_model(output_size=12, seed=4).with_card(Card(labels=tuple("-abcdefghijk")))
    xs = 3 * random_frames(wide, 20)
    beam = CtcSettings(input="logit", endpoint=None, beam=100)
    engine = engine_of(wide, max_sessions=12, max_run_frames=8)
    sessions = [engine.open("m", decoder=beam) for _ in range(10)]
    plain = engine.open("m")
    assert sessions[0].side.decoding.decoder.effort == 3
    found, n_sessions = {session: [] for session in sessions}, []
    for session in (*sessions, plain):
        engine.push(session, 0, xs)
    while engine.n_pending:
        outputs = engine.tick()
        n_sessions.append(sum(output.session is not plain for output in outputs))
        if len(outputs) == 1:
            assert len(outputs[0].ys) <= 2 or outputs[0].session is plain
        for output in outputs:
            if output.session is not plain:
                found[output.session] += output.events
    assert max(n_sessions) == 2
    alone = everything(wide, xs, beam)
    assert alone and all(events == alone for events in found.values())


def test_a_lone_session_has_shorter_runs_where_decoding_is_much_work():
    wide = lstm_model(output_size=12, seed=4).with_card(Card(labels=tuple("-abcdefghijk")))
    xs = 3 * random_frames(wide, 20)
    engine = engine_of(wide, max_run_frames=8)
    session = engine.open("m", decoder=CtcSettings(input="logit", endpoint=None, beam=100))
    engine.push(session, 0, xs)
    n_frames = []
    while engine.n_pending:
        (output,) = engine.tick()
        n_frames.append(len(output.ys))
    assert n_frames == [2] * 10
