"""The speaker decoder, by hand: who is nearest, for how long, and when nobody is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamrnn.decode.decoder import Facts
from streamrnn.decode.event import Event
from streamrnn.decode.settings import SpeakerSettings
from streamrnn.decode.speakers import SpeakerDecoder
from streamrnn.errors import OptionError

FACTS = Facts(1, 2, rate_hz=10.0)
ENROLLED: dict[str, tuple[float, ...]] = {"ann": (2.0, 0.0), "bob": (0.0, 0.5)}
ANN, BOB, BOTH, NOBODY, NOISE = (3.0, 0.0), (0.0, 0.1), (1.0, 1.0), (-1.0, -1.0), (math.nan, 0.0)


def hear(*embeddings: tuple[float, float], **changes) -> list[tuple[int, str]]:
    ys = np.array(embeddings, dtype=np.float32)
    decoder = SpeakerDecoder(SpeakerSettings(enrolled=ENROLLED, threshold=0.8, **changes), FACTS)
    return [(event.seq, event.text) for event in decoder.feed(0, ys[:, :1], ys)]


def test_a_change_of_speaker_is_told_and_so_is_nobody():
    assert hear(NOBODY, ANN, ANN, BOB, BOTH, NOBODY, BOB) == [(1, "ann"), (3, "bob"), (4, ""), (6, "bob")]


def test_an_event_has_the_cosine_and_the_place():
    ys = np.array([[3.0, 4.0], [-1.0, -1.0]], dtype=np.float32)
    decoder = SpeakerDecoder(SpeakerSettings(enrolled=ENROLLED, threshold=0.8), FACTS)
    assert decoder.feed(5, ys[:, :1], ys) == [
        Event("speaker", 5, "bob", pytest.approx(0.8), 1),
        Event("speaker", 6, "", 0.0, -1),
    ]


def test_another_speaker_must_be_nearest_for_a_while():
    assert hear(ANN, ANN, ANN, BOB, BOB, ANN, BOB, BOB, BOB, hold_s=0.3) == [(2, "ann"), (8, "bob")]


def test_nothing_is_told_before_enough_was_heard():
    assert hear(BOB, ANN, ANN, ANN, min_s=0.4) == [(3, "ann")]


def test_what_is_no_embedding_is_passed_over():
    assert hear(NOISE, (0.0, 0.0), ANN, NOISE, (0.0, 0.0), (math.inf, 1.0), ANN) == [(2, "ann")]


def test_without_anybody_enrolled_nothing_is_told():
    ys = np.ones((3, 2), dtype=np.float32)
    assert SpeakerDecoder(SpeakerSettings(), FACTS).feed(0, ys[:, :1], ys) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"threshold": 1.5}, "threshold"),
        ({"hold_s": -1.0}, "hold_s"),
        ({"min_s": float("nan")}, "min_s"),
        ({"head": "voice"}, "head"),
        ({"enrolled": {"ann": (1.0,)}}, "enrolled"),
        ({"enrolled": {"ann": (0.0, 0.0)}}, "enrolled"),
        ({"enrolled": {"": (1.0, 0.0)}}, "enrolled"),
        ({"enrolled": {"ann": (math.nan, 0.0)}}, "enrolled"),
    ],
)
def test_a_setting_that_is_wrong_is_named(changes, field):
    with pytest.raises(OptionError, match=field):
        SpeakerDecoder(SpeakerSettings(**changes), FACTS)
