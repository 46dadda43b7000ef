"""Vosk's messages as its recogniser lays them out, and what is none."""

from __future__ import annotations

import json

import pytest

from streamrnn.decode.event import Event, Word
from streamrnn.errors import MalformedError, OptionError
from streamrnn.serving.speech.clock import Clock
from streamrnn.serving.speech.vosk import Vosk

ONE = Word("one", 10, 19, 0.75)
TWO = Word("two", 30, 34, 1.0)
FINAL = Event("final", 60, "one two", 0.875, words=(ONE, TWO))


def vosk(config=None, frames_hz=100.0, **clock):
    """A dialect amid a recording."""
    dialect = Vosk()
    if config is not None:
        assert dialect.read(json.dumps({"config": config}).encode(), True) == "nothing"
    dialect.begin(Clock(frames_hz, **clock))
    return dialect


def test_a_partial_result_as_vosk_writes_it():
    dialect = vosk()
    assert dialect.answer() == ['{\n  "partial" : ""\n}']
    assert dialect.hear(Event("partial", 3, "one")) == dialect.hear(Event("partial", 5, 'one "two"')) == []
    assert dialect.answer() == ['{\n  "partial" : "one \\"two\\""\n}']


def test_a_result_as_vosk_writes_it():
    dialect = vosk()
    dialect.hear(Event("final", 60, "one", 0.75, words=(ONE,)))
    assert dialect.answer() == [
        "{\n"
        '  "result" : [{\n'
        '      "conf" : 0.750000,\n'
        '      "end" : 0.200000,\n'
        '      "start" : 0.100000,\n'
        '      "word" : "one"\n'
        "    }],\n"
        '  "text" : "one"\n'
        "}"
    ]
    assert dialect.answer() == ['{\n  "partial" : ""\n}']


def test_a_result_without_words():
    dialect = vosk({"words": False})
    dialect.hear(FINAL)
    assert dialect.answer() == ['{\n  "text" : "one two"\n}']


def test_a_result_with_alternatives():
    dialect = vosk({"max_alternatives": 3})
    dialect.hear(FINAL)
    (reply,) = dialect.answer()
    (found,) = json.loads(reply)["alternatives"]
    assert found["confidence"] == 0.875
    assert found["text"] == "one two"
    assert found["result"] == [
        {"word": "one", "start": 0.1, "end": 0.2},
        {"word": "two", "start": 0.3, "end": 0.35},
    ]


def test_utterances_that_end_in_one_chunk_are_one_reply():
    dialect = vosk()
    dialect.hear(Event("final", 20, "one", 0.5, words=(ONE,)))
    dialect.hear(Event("partial", 32, "two"))
    dialect.hear(Event("final", 60, "two", 1.0, words=(TWO,)))
    dialect.hear(Event("partial", 70, "three"))
    (reply,) = dialect.answer()
    assert json.loads(reply)["text"] == "one two"
    assert [word["word"] for word in json.loads(reply)["result"]] == ["one", "two"]
    assert json.loads(dialect.answer()[0]) == {"partial": "three"}


def test_the_end_tells_what_was_not_told():
    dialect = vosk()
    dialect.hear(Event("final", 20, "one", 0.5, words=(ONE,)))
    (reply,) = dialect.end([Event("final", 60, "two", 1.0, words=(TWO,))])
    assert json.loads(reply)["text"] == "one two"


def test_the_end_of_a_recording_without_a_word():
    dialect = vosk()
    dialect.hear(Event("partial", 3, "one"))
    assert dialect.end([]) == ['{\n  "text" : ""\n}']
    assert Vosk().end([]) == ['{"text": ""}']
    dialect = Vosk()
    dialect.read(b'{"config": {"max_alternatives": 1}}', True)
    assert json.loads(dialect.end([])[0]) == {"alternatives": [{"text": "", "confidence": 1.0}]}


def test_times_are_those_of_the_sound_that_was_sent():
    dialect = vosk(delay_s=0.02, begun_s=3.0, delay=5)
    dialect.hear(Event("final", 60, "one", 0.75, words=(ONE,)))
    (word,) = json.loads(dialect.answer()[0])["result"]
    assert (word["start"], word["end"]) == (3.08, 3.18)  # a decoder has taken the model's delay off already


def test_the_settings_of_a_client():
    dialect = Vosk()
    assert dialect.rate_hz == 8000
    for rate in (16000, "16000", 16000.0):
        assert dialect.read(json.dumps({"config": {"sample_rate": rate}}).encode(), True) == "nothing"
        assert dialect.rate_hz == 16000
    assert dialect.read(b'{"config": {"phrase_list": ["one two", "[unk]"], "other": 3}}', True) == "nothing"
    assert dialect.phrases == ("one two", "[unk]")
    assert dialect.rate_hz == 16000


@pytest.mark.parametrize("text", ['{"eof" : 1}', '{"eof":1}', '{"eof": true}'])
def test_the_end(text):
    assert Vosk().read(text.encode(), True) == "end"


def test_a_new_recording():
    assert Vosk().read(b'{"reset" : 1}', True) == "restart"


def test_samples():
    assert Vosk().read(b'{"eof" : 1}', False) == b'{"eof" : 1}'


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "{}", "1", '"eof"', '{"eof" : 0}', '{"words": true}', '{"config": 1}', "[" * 100_000, "\ud800"],
)
def test_text_that_is_none_of_these(text):
    with pytest.raises(MalformedError, match="expected"):
        Vosk().read(text.encode(errors="surrogatepass"), True)


@pytest.mark.parametrize(
    "config",
    [
        {"sample_rate": 0},
        {"sample_rate": -8000},
        {"sample_rate": "fast"},
        {"sample_rate": None},
        {"sample_rate": float("nan")},
        {"sample_rate": float("inf")},
        {"sample_rate": [8000]},
        {"max_alternatives": -1},
        {"max_alternatives": {}},
        {"phrase_list": "one"},
        {"phrase_list": [1]},
        {"phrase_list": ["x"] * 10_001},
    ],
)
def test_settings_out_of_range_change_nothing(config):
    dialect = Vosk()
    with pytest.raises(OptionError, match="expected"):
        dialect.read(json.dumps({"config": {"words": False} | config}).encode(), True)
    dialect.begin(Clock(100.0))
    dialect.hear(FINAL)
    assert dialect.rate_hz == 8000
    assert "result" in dialect.answer()[0]
