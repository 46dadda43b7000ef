"""How a connection of a speech client ends: by a fault, by a stop, by being gone. No other is disturbed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamrnn.errors import InternalError
from streamrnn.serving.speech.recording import Recording
from tests.serving.speech.talk import DONE, EOF, LIMITS, Talk, speech_hub, texts
from tests.serving.speech.tones import chunks_of, floats, speech

SCRIPT = (0.1, "one", "two", 0.8, "three", 0.2, "four", "one", 0.1)
"""Two utterances; the second is open at the end."""
PCM = speech(SCRIPT).tobytes()
FIRST, SECOND = "one two", "three four one"
MS = 1_000_000


def test_samples_that_wait_are_bounded():
    hub = speech_hub(replace(LIMITS, max_waiting_bytes=20_000))
    talk, other = Talk(hub), Talk(hub)
    other.say(PCM[:3200])
    talk.say(PCM)
    assert talk.peer.close_code == 1013
    assert "20000 bytes" in talk.peer.close_reason
    assert hub.tally.errors["queue_full"] == 1
    replies = [reply for chunk in chunks_of(PCM[3200:], 3200) for reply in other.ask(chunk)]
    assert texts(replies + other.ask(EOF)) == [FIRST, SECOND]


def test_behind_the_end_vosk_reads_nothing():
    talk = Talk(speech_hub())
    assert len(talk.ask(PCM[:320], EOF, PCM[:320], EOF, "x")) == 2
    assert talk.peer.close_code == 1000


@pytest.mark.parametrize(
    ("dialect", "message", "code", "error"),
    [
        ("vosk", "hello", 1007, "malformed"),
        ("vosk", '{"config": {"sample_rate": 0}}', 1008, "bad_option"),
        ("vosk", '{"config": []}', 1007, "malformed"),
        ("sherpa", np.array([0, np.nan], "<f4").tobytes(), 1007, "bad_frame"),
        ("sherpa", np.array([0, np.inf], "<f4").tobytes(), 1007, "bad_frame"),
    ],
)
@pytest.mark.parametrize("is_amid", [False, True])
def test_what_is_wrong_ends_the_connection_and_no_other(dialect, message, code, error, is_amid):
    hub = speech_hub()
    talk, other = Talk(hub, dialect), Talk(hub)
    other.say(PCM[:3200])
    if is_amid:
        talk.ask(PCM[:3200] if dialect == "vosk" else floats(speech(["one"], 16000)))
    talk.ask(message)
    assert talk.peer.close_code == code
    assert 10 < len(talk.peer.close_reason.encode()) <= 123
    assert hub.tally.errors[error] == 1
    assert talk.ask(PCM[:3200]) == []
    assert texts(other.ask(PCM[3200:], EOF)) == [FIRST, SECOND]
    assert hub.n_sessions == 0


def test_a_rate_that_cannot_be_converted():
    hub = speech_hub()
    talk = Talk(hub)
    assert talk.ask('{"config": {"sample_rate": 8000.001}}', PCM[:3200]) == []
    assert talk.peer.close_code == 1008
    assert "common rates" in talk.peer.close_reason
    assert hub.n_sessions == 0


def test_messages_that_wait_are_bounded_without_samples_too():
    hub = speech_hub(replace(LIMITS, max_waiting_bytes=20_000))
    talk = Talk(hub)
    talk.say(PCM[:16_000], *['{"reset": 1}', b""] * 150)
    assert talk.peer.close_code == 1013


def test_there_is_no_slot():
    hub = speech_hub()
    for _ in range(LIMITS.max_sessions):
        Talk(hub).say(PCM[:160])
    late = Talk(hub)
    late.say(PCM[:160])
    assert late.peer.close_code == 1013
    assert hub.n_sessions == LIMITS.max_sessions


def test_a_connection_that_is_gone_leaves_no_session():
    hub = speech_hub(has_store=True)
    talk = Talk(hub)
    talk.say(PCM)
    talk.vanish()
    assert hub.n_sessions == 0
    assert not hub.peers


def test_a_session_that_expires_ends_the_connection():
    hub = speech_hub()
    talk = Talk(hub)
    talk.ask(PCM[:6400])
    hub.advance(LIMITS.park_ms * MS + 1)
    hub.advance((LIMITS.park_ms + LIMITS.expire_ms) * MS + 2)
    assert talk.peer.close_code == 1011
    assert hub.n_sessions == 0


@pytest.mark.parametrize(("dialect", "model"), [("vosk", "tones"), ("sherpa", "late")])
def test_a_stop_answers_what_was_sent_and_tells_the_words_so_far(dialect, model):
    hub = speech_hub()
    talk, idle = Talk(hub, dialect, model), Talk(hub, dialect, model)
    payload = PCM if dialect == "vosk" else floats(speech(SCRIPT, 16000))
    talk.say(payload)
    hub.drain(1000)
    assert idle.peer.close_code == 1001
    assert talk.peer.close_code is None
    talk.say(payload)  # is not read any more
    replies = talk.ticked()
    assert texts(replies) == [FIRST, SECOND]
    assert "Done!" not in replies
    assert talk.peer.close_code == 1001
    assert hub.is_settled


def test_a_stop_behind_the_end_ends_as_asked():
    hub = speech_hub()
    talk, other = Talk(hub), Talk(hub, "sherpa", "late")
    talk.say(PCM, EOF)
    other.say(floats(speech(SCRIPT, 16000)), DONE)
    hub.drain(1000)
    assert len(talk.ticked()) == 2
    assert talk.peer.close_code == 1000
    assert other.ticked()[-1] == "Done!"
    assert other.peer.close_code == 1001


def test_the_deadline_of_a_stop():
    hub = speech_hub()
    talk = Talk(hub)
    talk.say(PCM)
    hub.drain(1000)
    hub.end(0)
    assert talk.peer.close_code == 1012  # more waits than one pass takes
    assert hub.n_sessions == 0


def test_a_failed_tick_ends_the_connection(monkeypatch):
    hub = speech_hub()
    talk = Talk(hub)
    talk.say(PCM)
    monkeypatch.setattr(hub.engine, "begin_tick", lambda: 1 / 0)
    hub.tick(0)
    assert talk.peer.close_code == 1011
    assert hub.n_sessions == 0


def test_a_bug_ends_the_connection_without_a_word_of_it(monkeypatch):
    hub = speech_hub()
    talk = Talk(hub)
    monkeypatch.setattr(Recording, "take", lambda *_: 1 / 0)
    talk.say(PCM)
    assert talk.peer.close_code == 1011
    assert "division" not in talk.peer.close_reason
    assert hub.tally.errors[InternalError.code] == 1
