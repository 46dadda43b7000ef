"""Samples at any rate and in any chunk reach a session as the frames of its model."""

from __future__ import annotations

import numpy as np
import pytest

import streamrnn
from streamrnn import AudioInput, Reframer, Resampler
from streamrnn.errors import FrameError, OptionError, SnapshotError, UsageError
from streamrnn.model.frontend.attach import frontend_model
from tests.model.recordings import made_sound

SOUND = made_sound(6000)
INTEGERS = np.rint(SOUND * 32767).astype("<i2")


def open_session() -> streamrnn.Session:
    """A session of a front end for 16 kHz."""
    engine = streamrnn.Engine()
    engine.add_model("m", frontend_model("fbank23"))
    return engine.open("m")


def expected_of(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """What the session answers to the whole sound at once."""
    return open_session().run(Reframer(160).push(Resampler(rate_hz, 16000).push(x)))


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize("size", [1, 37, 441, 5000])
def test_chunks_and_rates(rate_hz, size):
    audio = AudioInput(open_session(), rate_hz)
    found = [audio.feed(SOUND[n : n + size]) for n in range(0, SOUND.size, size)]
    assert np.array_equal(np.concatenate(found), expected_of(SOUND, rate_hz))
    assert found[0].shape[1] == 23


def test_bytes_and_integers_are_the_same():
    blob = INTEGERS.tobytes()
    by_bytes, by_array = AudioInput(open_session(), 8000), AudioInput(open_session(), 8000)
    found = np.concatenate([by_bytes.feed(blob[:333]), by_bytes.feed(blob[333:])])
    assert np.array_equal(found, by_array.feed(INTEGERS))


def test_a_session_and_its_input_go_on_elsewhere():
    audio = AudioInput(open_session(), 44100)
    head = audio.feed(SOUND[:2345])
    blob, state = audio.session.snapshot(), audio.state()
    engine = streamrnn.Engine()
    engine.add_model("m", frontend_model("fbank23"))
    again = AudioInput(engine.restore(blob), 44100)
    again.restore(state)
    found = np.concatenate([head, again.feed(SOUND[2345:])])
    assert np.array_equal(found, expected_of(SOUND, 44100))


def test_flush_answers_what_waits():
    audio = AudioInput(open_session(), 8000)
    n = len(audio.feed(SOUND)) + len(audio.flush())
    assert n == -(-(2 * SOUND.size + audio.resampler.delay) // 160)
    assert audio.reframer.n_kept == 0 and audio.delay_s == audio.resampler.delay_s > 0


def test_anything_that_answers_frames_will_do():
    class Sums:
        def run(self, xs, /):
            return xs.sum(axis=1, keepdims=True)

    audio = AudioInput(Sums(), 8000, hop=80, model_rate_hz=8000)
    assert audio.feed(np.ones(200, np.float32)).tolist() == [[80.0], [80.0]]
    with pytest.raises(OptionError, match="hop and model_rate_hz"):
        AudioInput(Sums(), 8000, hop=80)
    with pytest.raises(OptionError, match="hop and model_rate_hz"):
        AudioInput(Sums(), 8000, model_rate_hz=8000)


def test_faults_change_nothing():
    audio = AudioInput(open_session(), 8000)
    audio.feed(SOUND[:1000])
    before = audio.state()
    with pytest.raises(FrameError):
        audio.feed(np.array([np.nan], np.float32))
    other = AudioInput(open_session(), 8000, hop=170)
    for bad in (b"", before[:-1], AudioInput(open_session(), 16000).state(), other.state()):
        with pytest.raises(SnapshotError):
            audio.restore(bad)
    assert audio.state() == before


@pytest.mark.parametrize("is_flush", [False, True])
def test_what_a_session_does_not_take_now_goes_back(is_flush):
    """A session with frames waiting refuses to run; once they are stepped, the same sound is answered as ever."""
    engine, other = streamrnn.Engine(), open_session()
    engine.add_model("m", frontend_model("fbank23"))
    session = engine.open("m")
    audio, whole = AudioInput(session, 16000), AudioInput(other, 16000)
    for each in (audio, whole):
        each.feed(SOUND[:1650])
    silence = np.zeros((1, 160), np.float32)
    engine.push(session, 10, silence)
    with pytest.raises(UsageError):
        _ = audio.flush() if is_flush else audio.feed(SOUND[1650:])
    engine.finish(session)
    other.run(silence)
    found, expected = ((each.flush() if is_flush else each.feed(SOUND[1650:])) for each in (audio, whole))
    assert len(found) and np.array_equal(found, expected)
