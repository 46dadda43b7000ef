"""Samples become frames of one session, never more than it takes, and what it hears comes out in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.decode.event import Event
from streamrnn.errors import FrameError
from streamrnn.serving.hosted import Terms
from streamrnn.serving.piece import Piece
from streamrnn.serving.speech.clock import Clock
from streamrnn.serving.speech.recording import Recording
from tests.serving.speech.talk import EOF, LIMITS, Talk, speech_hub, texts
from tests.serving.speech.tones import speech

HOP_BYTES = 160
SCRIPT = ("one", 0.1, "two", 0.6, "three", "four")
PCM = speech(SCRIPT).tobytes()


def words_of(replies):
    """Words with their times."""
    told = [word for reply in replies for word in reply.get("result", ())]
    return [(word["word"], word["start"], word["end"]) for word in told]


WORDS = words_of(Talk(speech_hub()).ask(PCM, EOF))


def recording(model="tones", rate_hz=8000.0, encoding="int16", begun_s=0.0):
    """A recording over a hub of its own, and the session's engine end."""
    hub = speech_hub()
    session = hub.engine.open(model, decoder="model")
    hosted = hub.host(session, Terms(None, "reject", 10**6, 10**6), 0)
    return Recording(hub, hosted, rate_hz, encoding, begun_s), session


def step(made, session):
    """Step all that is queued and let the recording hear of it, without its events."""
    for output in session._engine.finish(session):
        made.hear(Piece(output.seq, len(output.ys), b"x"))


def test_no_more_is_queued_than_two_runs():
    made, session = recording()
    made.take(bytes(HOP_BYTES * 40), 0)
    assert session.n_pending == 2 * LIMITS.max_run_frames
    assert made.is_full
    made.queue(0)
    assert session.n_pending == 2 * LIMITS.max_run_frames
    while session.n_pending:
        step(made, session)
        made.queue(0)
    assert session.n_applied == 40
    assert not made.is_full


def test_a_mark_waits_for_the_frames_before_it():
    made, session = recording()
    made.mark("chunk")
    assert list(made.due()) == ["chunk"]
    made.take(bytes(HOP_BYTES * 2 + 10), 0)
    made.mark("chunk")
    assert list(made.due()) == []
    step(made, session)
    assert list(made.due()) == ["chunk"]
    made.take(b"", 0)
    made.mark("chunk")
    assert list(made.due()) == ["chunk"]


def test_events_stand_between_the_marks_of_their_frames():
    made, _ = recording()
    for n in (3, 2):
        made.take(bytes(HOP_BYTES * n), 0)
        made.mark("chunk")
    events = [Event("partial", seq, str(seq)) for seq in (1, 2, 3, 5)]
    made.hear(Piece(0, 4, b"x", events=tuple(events[:3])))
    assert list(made.due()) == [events[0], events[1], "chunk", events[2]]
    made.hear(Piece(4, 1, b"x"))
    assert list(made.due()) == ["chunk"]
    made.hear(Piece(5, 1, b"x", events=(events[3],)))
    assert list(made.due()) == [events[3]]


@pytest.mark.parametrize(("model", "n_silent"), [("tones", 0), ("late", 2)])
def test_the_end_is_followed_by_as_much_silence_as_the_model_comes_late(model, n_silent):
    made, session = recording(model, 16000.0 if n_silent else 8000.0)
    hop_bytes = 2 * session.model.input_steps
    made.take(bytes(3 * hop_bytes + 2), 0)
    made.finish(0)
    assert session.n_pending == 3 + 1 + n_silent
    step(made, session)
    assert list(made.due()) == ["end"]


def test_nothing_ends_at_once():
    made, session = recording("late")
    made.finish(0)
    assert session.n_pending == 0
    assert list(made.due()) == ["end"]


def test_samples_that_are_not_finite_are_not_taken():
    made, session = recording("late", 16000.0, "float32")
    with pytest.raises(FrameError, match="finite"):
        made.take(np.full(160, np.nan, "<f4").tobytes(), 0)
    assert (session.n_pending, made.sent_s) == (0, 0.0)


def test_how_much_was_sent():
    made, _ = recording(rate_hz=16000.0, begun_s=2.0)
    made.take(bytes(16000), 0)
    assert made.sent_s == 2.5
    assert made.clock.delay_s > 0


def test_times():
    clock = Clock(100.0, delay=3, delay_s=0.01, begun_s=5.0)
    assert clock.of_frame(0) == 5.0  # sound that is not there yet has no time before the first
    assert clock.of_frame(11) == pytest.approx(5.1)
    assert clock.of_output(14) == pytest.approx(5.1)


@given(
    st.lists(st.tuples(st.integers(0, len(PCM)), st.integers(0, 2), st.booleans()), max_size=12),
)
def test_no_cut_and_no_interleaving_changes_a_transcript(cuts):
    hub = speech_hub()
    talk, other = Talk(hub), Talk(hub, "sherpa", "late")
    replies, start = [], 0
    for n, (end, n_ticks, is_other) in enumerate(sorted(cuts), start=1):
        replies += talk.say(PCM[start:end])
        start = end
        if is_other:
            other.say(bytes(n * 500))
        for _ in range(n_ticks):
            hub.tick(0)
        assert len(replies) <= n
    replies += talk.ask(PCM[start:], EOF)
    assert len(replies) == len(cuts) + 2
    assert " ".join(texts(replies)) == "one two three four"
    assert words_of(replies) == WORDS
