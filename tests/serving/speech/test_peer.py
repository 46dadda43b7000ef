"""A client of another speech server is answered as there: whatever its chunks, whatever happens to others."""

from __future__ import annotations

import pytest

from streamrnn.decode.settings import CtcSettings
from tests.serving.house import Caller, frame, random_frames
from tests.serving.small_models import lstm_model
from tests.serving.speech.talk import CONFIG, DONE, EOF, LIMITS, MODELS, Talk, speech_hub, texts
from tests.serving.speech.tones import GAP_S, WORD_S, chunks_of, floats, speech, tone_model

SCRIPT = (0.1, "one", "two", 0.8, "three", 0.2, "four", "one", 0.1)
"""Two utterances; the second is open at the end."""
PCM = speech(SCRIPT).tobytes()
FIRST, SECOND = "one two", "three four one"
MS = 1_000_000


def vosk(hub=None, payload=PCM, n_bytes=3200, model="tones", config=None):
    """All replies to a recording that comes in chunks."""
    talk = Talk(hub or speech_hub(), "vosk", model)
    return talk.ask(*([config] if config else []), *chunks_of(payload, n_bytes), EOF)


def test_one_reply_to_each_chunk():
    talk = Talk(speech_hub())
    replies = []
    for n, chunk in enumerate(chunks_of(PCM, 3200), start=1):
        replies += talk.ask(chunk)
        assert len(replies) == n
    assert talk.peer.close_code is None
    assert len(last := talk.ask(EOF)) == 1
    assert talk.peer.close_code == 1000
    assert texts(replies + last) == [FIRST, SECOND]
    partials = [reply["partial"] for reply in replies if "partial" in reply]
    assert [text for i, text in enumerate(partials) if text and text != partials[i - 1]][:2] == ["one", "one two"]
    assert talk.hub.n_sessions == 0


def test_times_of_words():
    words = [word for reply in vosk() for word in reply.get("result", ())]
    starts_s = [0.1, 0.1 + WORD_S + GAP_S, 1.2, 1.2 + WORD_S + GAP_S + 0.2, 1.2 + 2 * (WORD_S + GAP_S) + 0.2]
    assert [word["word"] for word in words] == ["one", "two", "three", "four", "one"]
    for word, start_s in zip(words, starts_s, strict=True):
        assert word["start"] == pytest.approx(start_s, abs=0.03)
        assert word["end"] == pytest.approx(start_s + WORD_S, abs=0.05)
        assert 0.9 < word["conf"] <= 1


@pytest.mark.parametrize(
    ("model", "rate_hz"), [("tones", 8000), ("tones", 16000), ("tones", 44100), ("late", 16000), ("late", 8000)]
)
def test_times_stay_true_behind_a_resampler_and_a_model_that_is_late(model, rate_hz):
    replies = vosk(None, speech(SCRIPT, rate_hz).tobytes(), rate_hz // 5 * 2, model, CONFIG % rate_hz)
    words = [word for reply in replies for word in reply.get("result", ())]
    assert texts(replies) == [FIRST, SECOND]
    assert words[0]["start"] == pytest.approx(0.1, abs=0.03)
    assert words[-1]["start"] == pytest.approx(1.2 + 2 * (WORD_S + GAP_S) + 0.2, abs=0.03)


def test_a_word_at_the_very_end_is_heard():
    for model, rate_hz in (("tones", 8000), ("late", 8000), ("late", 16000)):
        payload = speech(["one"], rate_hz)[: -round(GAP_S * rate_hz)].tobytes()
        assert texts(vosk(None, payload, 1000, model, CONFIG % rate_hz)) == ["one"]


@pytest.mark.parametrize("n_bytes", [2, 3, 7, 160, 1601, 100_000])
@pytest.mark.parametrize("model", ["tones", "late"])
def test_chunks_change_no_transcript(n_bytes, model):
    expected = [word for reply in vosk(model=model) for word in reply.get("result", ())]
    chunks = chunks_of(PCM, n_bytes)
    replies = vosk(n_bytes=n_bytes, model=model)
    assert len(replies) == len(chunks) + 1
    assert [word for reply in replies for word in reply.get("result", ())] == expected
    assert " ".join(texts(replies)) == f"{FIRST} {SECOND}"


@pytest.mark.parametrize("n_bytes", [4, 7, 640, 1_000_000])
def test_chunks_change_no_result_of_sherpa(n_bytes):
    payload = floats(speech(SCRIPT, 16000))
    expected = Talk(speech_hub(), "sherpa", "late").ask(payload, DONE)
    talk = Talk(speech_hub(), "sherpa", "late")
    assert talk.ask(*chunks_of(payload, n_bytes), DONE) == expected
    assert expected[-1] == "Done!"
    assert [found["text"] for found in expected[:-1]] == [
        *("one", FIRST, FIRST, "three", "three four", SECOND, SECOND),
    ]
    assert [found["segment"] for found in expected[:-1]] == [0, 0, 0, 1, 1, 1, 1]
    assert [found["is_final"] for found in expected[:-1]] == [False, False, True, False, False, False, True]
    assert [found["is_eof"] for found in expected[:-1]] == [False] * 6 + [True]
    assert talk.peer.close_code is None


def test_sherpa_hears_a_second_recording_on_one_connection():
    payload = floats(speech(SCRIPT, 16000))
    talk = Talk(speech_hub(), "sherpa", "late")
    first = talk.ask(payload, DONE)
    assert talk.hub.n_sessions == 0
    assert talk.ask(payload, DONE) == first
    assert talk.ask(payload, DONE, payload, DONE) == first * 2


def test_a_long_chunk_waits_for_room_and_is_not_lost():
    hub = speech_hub()
    talk = Talk(hub)
    assert talk.say(PCM * 10) == []
    assert hub.n_pending <= 2 * LIMITS.max_run_frames
    most = 0
    while hub.n_pending:
        hub.tick(0)
        most = max(most, hub.n_pending)
    assert most <= 2 * LIMITS.max_run_frames
    assert hub.tally.n_frames == hub.tally.n_outputs == len(PCM) * 10 // 160
    assert " ".join(texts(talk.heard() + talk.ask(EOF))).split() == f"{FIRST} {SECOND}".split() * 10


def test_other_connections_change_nothing():
    alone = vosk()
    hub = speech_hub(models=MODELS | {"lstm": lstm_model()})
    caller = Caller(hub)
    caller.open(1)
    talks = [Talk(hub), Talk(hub), Talk(hub, "sherpa", "late")]
    chunks, wide = chunks_of(PCM, 3200), chunks_of(floats(speech(SCRIPT, 16000)), 6400)
    replies = [[], [], []]
    xs = random_frames(len(chunks))
    for i, chunk in enumerate(chunks):
        replies[0] += talks[0].say(chunk)
        replies[1] += talks[1].say(chunks[(i * 7) % len(chunks)])
        replies[2] += talks[2].say(*wide[2 * i : 2 * i + 2])
        caller.say(frame(1, i, xs[i : i + 1]))
        if i % 3 == 0:
            hub.tick(0)
    replies[0] += talks[0].ask(EOF)
    assert replies[0] + talks[0].heard() == alone


def test_a_restart_answers_and_hears_anew():
    talk = Talk(speech_hub())
    first = talk.ask(PCM[:6400], '{"reset" : 1}')
    assert texts(first) == ["one two"]
    assert talk.peer.close_code is None
    second = talk.ask(PCM, EOF)
    assert texts(second) == [FIRST, SECOND]
    (word, *_) = [word for reply in second for word in reply.get("result", ())]
    assert word["start"] == pytest.approx(0.1 + 0.4, abs=0.03)  # times go on
    assert talk.peer.close_code == 1000


def test_no_samples_at_all():
    hub = speech_hub()
    assert Talk(hub).ask(EOF) == [{"text": ""}]
    assert Talk(hub).ask(b"", EOF) == [{"partial": ""}, {"text": ""}]
    (told, farewell) = Talk(hub, "sherpa", "late").ask(DONE)
    assert (told["text"], told["is_eof"], farewell) == ("", True, "Done!")
    assert hub.n_sessions == 0


def test_half_a_sample_at_the_end_is_dropped():
    assert texts(vosk(payload=PCM[:6401])) == ["one two"]


def test_settings_behind_the_first_samples_change_no_rate():
    assert texts(Talk(speech_hub()).ask(PCM[:3200], CONFIG % 44100, PCM[3200:], EOF)) == [FIRST, SECOND]


def test_nothing_of_it_goes_to_a_store():
    hub = speech_hub(has_store=True)
    talk = Talk(hub)
    talk.ask(PCM)
    hub.advance(10**12)
    assert not hub.errands
    talk.ask(EOF)
    hub.settle(0)
    assert not hub.errands
    assert hub.is_settled


def test_a_silent_client_is_parked_and_woken():
    hub = speech_hub()
    talk = Talk(hub)
    first = talk.ask(PCM[:4000])
    hub.advance(LIMITS.park_ms * MS + 1)
    assert hub.roster.n_parked == 1
    talk.now_ns = LIMITS.park_ms * MS + 2
    assert texts(first + talk.ask(PCM[4000:], EOF)) == [FIRST, SECOND]


def test_the_end_of_a_parked_session():
    hub = speech_hub()
    talk = Talk(hub)
    talk.ask(PCM[:6400])
    hub.advance(LIMITS.park_ms * MS + 1)
    assert texts(talk.ask(EOF)) == ["one two"]


def test_a_phrase_list_that_the_decoder_cannot_use_is_passed_over(caplog):
    config = '{"config": {"phrase_list": ["one", "two"]}}'
    with caplog.at_level("INFO", logger="streamrnn.serving"):
        assert texts(vosk(config=config)) == [FIRST, SECOND]
    assert "phrase list" in caplog.text


def test_a_phrase_list_limits_a_decoder_of_letters():
    letters = CtcSettings(input="logit", beam=4, separator="", word_separator="four", endpoint=None)
    models = {"tones": tone_model(settings=letters)}
    script = ("one", "two", "four", "three", 0.1)
    payload = speech(script).tobytes()
    assert texts(vosk(speech_hub(models=models), payload)) == ["onetwo three"]
    config = '{"config": {"phrase_list": ["three onethree", "[unk]"]}}'
    heard = texts(vosk(speech_hub(models=models), payload, config=config))
    assert heard
    assert set(heard[0].split()) <= {"three", "onethree"}
    talk = Talk(speech_hub(models=models))
    talk.ask('{"config": {"phrase_list": ["five"]}}', payload)
    assert talk.peer.close_code == 1008


def test_a_model_without_endpoints_tells_all_at_the_end():
    models = {"tones": tone_model(settings=CtcSettings(input="logit", endpoint=None))}
    assert texts(vosk(speech_hub(models=models))) == [f"{FIRST} {SECOND}"]


def test_a_model_without_partials():
    models = {"tones": tone_model(settings=CtcSettings(input="logit", partials=False))}
    assert texts(vosk(speech_hub(models=models))) == [FIRST, SECOND]
