"""Which path speaks what, and which model hears."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streamrnn.decode.settings import CtcSettings, LabelSettings, plain_of
from streamrnn.errors import UnknownModelError
from streamrnn.model.model import Model
from streamrnn.serving.speech.choice import Speech, can_hear, hearing, limited_to, samples_hz, speech_of
from tests.serving.small_models import lstm_model, token_model
from tests.serving.speech.tones import AT_16000, tone_model

TONES = tone_model()
ONE = {"lstm": lstm_model(), "tones": TONES}
TWO = ONE | {"other": tone_model(AT_16000)}


@pytest.mark.parametrize(
    ("path", "own", "speech"),
    [
        ("/", None, None),
        ("/", "vosk", Speech("vosk", "tones")),
        ("/", "sherpa", Speech("sherpa", "tones")),
        ("/vosk", None, Speech("vosk", "tones")),
        ("/vosk/", None, Speech("vosk", "tones")),
        ("/sherpa/tones", None, Speech("sherpa", "tones")),
        ("/sherpa/t%6Fnes", "vosk", Speech("sherpa", "tones")),
        ("/voskx", None, None),
        ("/tones", "vosk", None),
        ("//vosk", None, None),
        ("", "vosk", None),
    ],
)
def test_paths(path, own, speech):
    assert speech_of(path, own, ONE, None) == speech


def test_of_two_models_one_must_be_chosen():
    with pytest.raises(UnknownModelError, match="there are other, tones"):
        speech_of("/vosk", None, TWO, None)
    assert speech_of("/vosk", None, TWO, "other") == Speech("vosk", "other")
    assert speech_of("/vosk/tones", None, TWO, "other") == Speech("vosk", "tones")


@pytest.mark.parametrize("name", ["lstm", "none", "x" * 500])
def test_a_model_that_cannot_hear(name):
    with pytest.raises(UnknownModelError, match="there are tones") as caught:
        hearing(ONE, name)
    assert len(caught.value.message) < 300


def test_no_model_hears():
    with pytest.raises(UnknownModelError, match="there is none"):
        hearing({"lstm": lstm_model(), "token": token_model()}, None)


@pytest.mark.parametrize("change", [{"rate_hz": None}, {"decoder": {}}, {"decoder": plain_of(LabelSettings())}])
def test_what_a_card_must_have(change):
    assert can_hear(TONES)
    assert not can_hear(Model(TONES.spec, TONES.tensors, replace(TONES.card, **change)))


def test_sample_rates():
    assert samples_hz(TONES) == 8000
    assert samples_hz(TWO["other"]) == 16000


def test_a_phrase_list_limits_the_words_of_letters():
    letters = CtcSettings(beam=8, word_separator="_")
    limited = limited_to(letters, ("turn left", "[unk]", "turn right"))
    assert isinstance(limited, CtcSettings)
    assert limited.words == ("left", "right", "turn")
    assert limited_to(letters, ("[unk]",)) is None
    assert limited_to(CtcSettings(), ("one",)) is None
    assert limited_to(CtcSettings(word_separator="_"), ("one",)) is None
    assert limited_to(LabelSettings(), ("one",)) is None
