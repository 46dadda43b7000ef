"""sherpa-onnx's messages as its server writes them."""

from __future__ import annotations

import json

import pytest

from streamrnn.decode.event import Event, Word
from streamrnn.serving.speech.clock import Clock
from streamrnn.serving.speech.sherpa import Sherpa

ONE = Word("one", 10, 19, 0.75)
TWO = Word("two", 130, 134, 1.0)


def sherpa(**clock):
    """A dialect amid a recording of 100 frames a second."""
    dialect = Sherpa()
    dialect.begin(Clock(100.0, **clock))
    return dialect


def test_a_result_as_the_original_writes_it():
    assert sherpa().hear(Event("partial", 12, "one", 0.75, words=(ONE,))) == [
        '{ "text": "one", "tokens": [" one"], "timestamps": [0.10], "ys_probs": [], "lm_probs": [], '
        '"context_scores": [], "segment": 0, "words": [], "start_time": 0.00, "is_final": false, "is_eof": false}'
    ]


def test_segments():
    dialect = sherpa(delay=4, delay_s=0.05)
    (first,) = dialect.hear(Event("final", 99, "one", words=(ONE,)))
    (second,) = dialect.hear(Event("partial", 140, "two", words=(TWO,)))
    (last,) = dialect.end([Event("final", 150, "two", words=(TWO,))])
    told = [json.loads(message) for message in (first, second, last)]
    assert [found["segment"] for found in told] == [0, 1, 1]
    assert [found["is_final"] for found in told] == [True, False, True]
    assert [found["is_eof"] for found in told] == [False, False, True]
    assert [found["start_time"] for found in told] == [0.0, 0.91, 0.91]  # output 100 is of frame 96, 0.05 s before
    assert [found["timestamps"] for found in told] == [[0.05], [0.34], [0.34]]


def test_a_word_that_began_before_its_segment():
    dialect = sherpa()
    dialect.hear(Event("final", 99, "one", words=(ONE,)))
    (told,) = dialect.hear(Event("partial", 100, "two", words=(Word("two", 97, 100, 1.0),)))
    assert json.loads(told)["timestamps"] == [0.0]


def test_the_end_without_a_word():
    (told,) = sherpa().end([])
    assert json.loads(told)["text"] == ""
    assert json.loads(told)["is_final"] is json.loads(told)["is_eof"] is True


def test_several_utterances_at_the_end():
    told = sherpa().end([Event("final", 20, "one", words=(ONE,)), Event("final", 150, "two", words=(TWO,))])
    assert [(found["text"], found["segment"], found["is_eof"]) for found in map(json.loads, told)] == [
        ("one", 0, False),
        ("two", 1, True),
    ]


def test_a_second_recording_begins_with_segment_0():
    dialect = sherpa()
    dialect.hear(Event("final", 99, "one", words=(ONE,)))
    dialect.end([])
    dialect.begin(Clock(100.0))
    (told,) = dialect.hear(Event("partial", 12, "one", words=(ONE,)))
    assert (json.loads(told)["segment"], json.loads(told)["start_time"]) == (0, 0.0)


def test_text_is_quoted():
    (told,) = sherpa().hear(Event("partial", 3, 'a"\\\n', words=(Word('a"\\\n', 1, 2),)))
    assert json.loads(told)["text"] == 'a"\\\n'
    assert json.loads(told)["tokens"] == [' a"\\\n']


def test_other_events_are_no_results():
    assert sherpa().hear(Event("keyword", 3, "one")) == []


@pytest.mark.parametrize(("text", "order"), [("Done", "end"), ("done", "nothing"), ("", "nothing"), ("{}", "nothing")])
def test_text_messages(text, order):
    assert Sherpa().read(text.encode(), True) == order


def test_samples():
    assert Sherpa().read(b"Done", False) == b"Done"
