"""Sound and text through a real server: resampled, cut to hops, and what the decoder found printed."""

import io
import json
import wave

import numpy as np
import pytest
from streamrnn_client import OutputEvent, Word

import streamrnn
from streamrnn.commands.json_lines import event_json
from streamrnn.commands.latency import Latency
from streamrnn.commands.listening import Listening, line_of, loudness_of, most_likely
from streamrnn.commands.sound import Recording
from streamrnn.commands.sparkline import bar_of
from streamrnn.commands.text_feed import tokens_of
from streamrnn.errors import OptionError

RATE_HZ = 8000


def write_wav(path, samples, rate_hz=RATE_HZ, n_channels=1, width=2):
    """A WAV file of samples (n, n_channels) in [-1, 1]."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(n_channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes((np.asarray(samples) * 32767).astype("<i2").tobytes())
    return path


def made_sound(seconds=1.0):
    """A hum that is loud in the second half."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return np.sin(2 * np.pi * 200 * t) * np.where(t < seconds / 2, 0.001, 0.5)


def test_a_recording_is_read_as_it_is(tmp_path):
    samples = np.array([0.0, 0.5, -0.5, 0.25])
    read = Recording.read(write_wav(tmp_path / "a.wav", samples, 16000))
    assert read.rate_hz == 16000 and read.samples.dtype == np.float32
    np.testing.assert_allclose(read.samples, samples, atol=1e-4)


def test_channels_are_averaged(tmp_path):
    both = np.stack([np.full(5, 0.5), np.full(5, -0.25)], axis=1)
    read = Recording.read(write_wav(tmp_path / "a.wav", both, n_channels=2))
    np.testing.assert_allclose(read.samples, np.full(5, 0.125), atol=1e-4)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "no.wav").write_bytes(b"RIFF but nothing else")
    with pytest.raises(OptionError, match=r"no\.wav is none"):
        Recording.read(tmp_path / "no.wav")
    with pytest.raises(OptionError, match="have 8"):
        Recording.read(write_wav(tmp_path / "eight.wav", np.zeros(10), width=1))


@pytest.mark.parametrize("options", [(), ("--chunk", "1"), ("--chunk", "7", "--window", "9")])
def test_outputs_of_sound_are_the_engines_bit_for_bit(run, server, tmp_path, model_files, options):
    path = write_wav(tmp_path / "a.wav", made_sound())
    done = run("stream", server.url, "sound", "--wav", path, "--tail", "0.5", "--decoder", "none", *options)
    assert done.returncode == 0, done.stderr
    outputs = [json.loads(line) for line in done.stdout.splitlines()]
    frames = np.concatenate([Recording.read(path).samples, np.zeros(RATE_HZ // 2, np.float32)]).reshape(-1, 80)
    engine = streamrnn.Engine()
    engine.add_model("sound", streamrnn.load_model(model_files["sound"]))
    np.testing.assert_array_equal(
        np.array([output["y"] for output in outputs], np.float32), engine.open("sound").run(frames)
    )
    assert "150 frames in" in done.stderr


def test_events_stand_in_place_of_outputs(run, server, tmp_path):
    path = write_wav(tmp_path / "a.wav", made_sound())
    done = run("stream", server.url, "sound", "--wav", path, "--tail", "0")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(event["kind"], event["text"], event["seq"]) for event in events] == [
        ("label", "quiet", 0),
        ("label", "loud", 50),
    ]
    both = run("stream", server.url, "sound", "--wav", path, "--tail", "0", "--outputs").stdout.splitlines()
    assert len(both) == 102 and [json.loads(line) for line in both if "kind" in line] == events


def test_another_rate_is_resampled(run, server, tmp_path):
    t = np.arange(44100) / 44100
    path = write_wav(tmp_path / "a.wav", np.sin(2 * np.pi * 200 * t) * np.where(t < 0.5, 0.001, 0.5), 44100)
    done = run("stream", server.url, "sound", "--wav", path, "--tail", "0")
    assert done.returncode == 0, done.stderr
    found = {event["text"]: event["seq"] for event in map(json.loads, done.stdout.splitlines())}
    assert found["quiet"] == 0 and abs(found["loud"] - 50) <= 2


def test_sound_is_shown_live(run, server, tmp_path):
    path = write_wav(tmp_path / "a.wav", made_sound())
    done = run("stream", server.url, "sound", "--wav", path, "--tail", "0", "--live", "--rate", "max")
    assert done.returncode == 0, done.stderr
    assert "   0.50 s  label   loud" in done.stdout


def test_sound_goes_to_models_of_sound_alone(run, server, tmp_path):
    path = write_wav(tmp_path / "a.wav", made_sound(0.1))
    done = run("stream", server.url, "temp", "--wav", path)
    assert done.returncode == 2 and "rate_hz" in done.stderr
    done = run("stream", server.url, "text", "--wav", path)
    assert done.returncode == 2 and "expected a model of sound" in done.stderr


def test_a_microphone_that_is_not_there_is_told(run, server):
    done = run("stream", server.url, "sound", "--mic", "--no-live")
    assert done.returncode == 2 and "--mic" in done.stderr


def test_text_is_sent_by_its_labels(run, server, model_files):
    done = run("stream", server.url, "text", "--text", "abc: a")
    assert done.returncode == 0, done.stderr
    model = streamrnn.load_model(model_files["text"])
    frames = np.array([[model.labels.index(c)] for c in "abc: a"], np.float32)
    engine = streamrnn.Engine()
    engine.add_model("text", model)
    outputs = np.array([json.loads(line)["y"] for line in done.stdout.splitlines()], np.float32)
    np.testing.assert_array_equal(outputs, engine.open("text").run(frames))
    assert run("stream", server.url, "text", "--text", "xyz").returncode == 2
    assert run("stream", server.url, "temp", "--text", "abc").returncode == 2


def test_tokens_are_characters_or_words():
    assert tokens_of("ba", ("a", "b"), 2) == [1, 0]
    assert tokens_of("two one", ("one", "two"), 2) == [1, 0]
    with pytest.raises(OptionError, match="'c' is no token"):
        tokens_of("abc", ("a", "b"), 2)
    with pytest.raises(OptionError, match="a label for each"):
        tokens_of("abc", (), 3)


def test_an_event_as_json_has_what_there_is():
    event = OutputEvent("final", 9, "one two", 0.5, -1, "rule2", (Word("one", 0, 3, 0.25),))
    assert json.loads(event_json(event)) == {
        "seq": 9, "kind": "final", "text": "one two", "score": 0.5, "cause": "rule2", "words": [["one", 0, 3, 0.25]]
    }  # fmt: skip
    assert json.loads(event_json(OutputEvent("token", 3, "é", token=7))) == {
        "seq": 3, "kind": "token", "text": "é", "token": 7
    }  # fmt: skip


def test_a_line_tells_when_in_seconds_or_frames():
    event = OutputEvent("keyword", 150, "yes", 0.875)
    assert line_of(event, 100.0) == "   1.50 s  keyword yes  (0.88)"
    assert line_of(event, 0.0) == "frame    150  keyword yes  (0.88)"


def test_loudness_and_bars():
    assert loudness_of(np.ones(10, np.float32)) == 1.0
    assert loudness_of(np.zeros(10, np.float32)) == 0.0
    assert loudness_of(np.full(10, 10**-1.5, np.float32)) == pytest.approx(0.5)
    assert (bar_of(0.0), bar_of(0.01), bar_of(1.0)) == (" ", "▁", "█")


def test_the_most_likely_label():
    assert most_likely([0.1, 0.7, 0.2], ("a", "b", "c")) == "b"
    assert most_likely([0.1, 0.7], ("a", "b", "c")) == "" == most_likely([], ())


def test_a_log_gets_lines_and_no_redrawing():
    out = io.StringIO()
    view = Listening(out)

    class Open:
        rate_hz, decoder, labels = 100.0, "ctc", ()

    view.begin(Open(), Latency())
    view.take(type("Output", (), {"events": (OutputEvent("partial", 5, "one"),), "y": np.zeros(1)})())
    view.take(type("Output", (), {"events": (OutputEvent("final", 9, "one two"),), "y": np.zeros(1)})())
    view.end()
    assert [line for line in out.getvalue().splitlines() if line.strip()] == ["   0.09 s  final   one two"]
