"""The recogniser of digits: streamed as offline, states carried in training, and what the bundled model hears."""

from __future__ import annotations

import json

import numpy as np
import pytest
import streamrnn_client
import torch

import streamrnn
from streamrnn import bundled
from tests.training.conftest import folder_or_skip
from training.data import PROJECT_ROOT
from training.recipes import digits_asr
from training.sets.fsdd import FSDD, RATE_HZ, WORDS, Clip, fsdd_clips
from training.speech import digits_demo
from training.speech.connected import Utterance
from training.speech.ctc import greedy
from training.speech.digits_demo import Captions
from training.speech.digits_drill import N_BATCH, Drill, Examination, speakers_of
from training.speech.digits_net import FRAME, LABELS, LOGMEL, Recogniser, measured
from training.speech.digits_trial import SEED, Trial, noisy, percent_by_length, percent_by_speaker
from training.speech.disturbance import Disturbance
from training.speech.mixture import Mixture, Source
from training.speech.noises import KINDS, no_speech
from training.speech.transcription import error_percent, transcribe
from training.streamed import outputs_of

SOUND = (0.1 * np.random.default_rng(0).standard_normal(FRAME * 60)).astype(np.float32)


def small() -> Recogniser:
    torch.manual_seed(0)
    return Recogniser(*measured(torch.from_numpy(SOUND)[None]), channels=(8, 12), hidden=(16, 10)).eval()


@pytest.fixture(scope="module")
def digits() -> streamrnn.Model:
    return streamrnn.load_model(bundled.path("digits"))


def heard(model: streamrnn.Model, samples: np.ndarray) -> list[int]:
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return [emission.label for emission in greedy(outputs_of(model, frames))]


def test_streams_give_what_whole_recordings_give():
    recogniser = small()
    model = recogniser.as_model(streamrnn.Card())
    assert (model.input_size, model.output_size, model.spec.delay) == (FRAME, len(LABELS), 0)
    assert model.card.rate_hz == 50.0 and model.card.certificate["max_abs_error"] < 1e-5
    offline = digits_asr.offline_outputs(recogniser, SOUND)
    assert offline.shape == (60, 11)
    np.testing.assert_allclose(digits_asr.streamed_outputs(model, SOUND), offline, atol=1e-4)
    assert np.abs(np.diff(offline, axis=0)).max() > 1e-3, "outputs that do not move would agree by themselves"


def test_measured_features_are_normalised():
    features = small().features(torch.from_numpy(SOUND)[None])
    assert features.shape == (1, 120, LOGMEL.size)
    assert features.mean((0, 1)).abs().max() < 1e-3 and (features.std((0, 1)) - 1).abs().max() < 1e-2


def test_states_go_on_in_half_of_a_batch():
    recogniser = small()
    mixture = Mixture([], 8 * FRAME, 0, Disturbance())
    drill = Drill(mixture, recogniser, torch.Generator().manual_seed(0), n_told=2)
    assert drill._before() is None
    first = drill(recogniser.net)
    assert first.requires_grad and torch.isfinite(first)
    h1, h2 = drill._before() or pytest.fail("there is a state")
    assert h1.shape == (1, N_BATCH, 16) and h2.shape == (1, N_BATCH, 10) and not h1.requires_grad
    fresh = (h1[0] == 0).all(1)
    assert 6 < int(fresh.sum()) < 26 and torch.equal(fresh, (h2[0] == 0).all(1))
    known = {tuple(row) for row in (drill.states or pytest.fail("there is a state"))[0][0].tolist()}
    assert all(tuple(row) in known for row in h1[0][~fresh].tolist())


def test_an_examination_stays_the_same():
    recogniser = small()
    mixture = Mixture([Source(0.5, phrases=[(SOUND[:400], (1,))])], 8 * FRAME, 0, Disturbance())
    one, again, other = (Examination(mixture, recogniser, 1, seed) for seed in (1, 1, 2))
    assert one(recogniser.net) == again(recogniser.net) != other(recogniser.net)


def test_speakers_have_their_clips_by_digit():
    clips = [Clip(d, s, i, np.full(3, i, np.float32)) for s in ("b", "a") for d in range(10) for i in (1, 0)]
    speakers = speakers_of(clips)
    assert list(speakers) == ["a", "b"]
    assert [[int(clip[0]) for clip in word] for word in speakers["a"]] == [[0, 1]] * 10


def test_trials_are_of_test_clips_and_the_same_each_time(monkeypatch):
    monkeypatch.setattr("training.speech.synthesis.is_installed", lambda: False)
    clips = [Clip(digit, "a", 5, SOUND[: 2000 + 10 * digit]) for digit in range(10)]
    one, again = Trial.of(clips, 3, quiet_s=0.5), Trial.of(clips, 3, quiet_s=0.5)
    assert list(one.sounds) == ["silence", *KINDS] and set(one.others) == {
        "noise at 20 dB",
        "noise at 10 dB",
        "noise at 5 dB",
    }
    for mine, theirs in zip(one.others["noise at 5 dB"], again.others["noise at 5 dB"], strict=True):
        assert np.array_equal(mine.samples, theirs.samples)
    for clean, loud in zip(one.clean, one.others["noise at 5 dB"], strict=True):
        assert clean.words == loud.words and not np.array_equal(clean.samples, loud.samples)


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_noise_has_its_distance(snr_db):
    speech = np.where(np.arange(8000) % 2 == 0, 0.2, -0.2).astype(np.float32)
    got = noisy(Utterance(speech, (1,), (8000,)), snr_db, seed=0).samples - speech
    assert 20 * np.log10(0.2 / got.std()) == pytest.approx(snr_db, abs=0.5)


def test_rates_by_length_and_speaker():
    said = [Utterance(SOUND[:400], words, (1,) * len(words), name) for words, name in (((1,), "a"), ((1, 2), "b"))]
    outputs = np.full((2, 11), -5.0, np.float32)
    outputs[:, 2] = 0.0  # label 1
    transcripts = transcribe(said, lambda samples: outputs)
    assert percent_by_length(transcripts) == {"1": 0.0, "2": 50.0}
    assert percent_by_speaker(transcripts) == {"a": 0.0, "b": 50.0}


def test_captions_print_each_change_and_keep_what_is_final(capsys):
    captions = Captions()
    for seq, kind, text in ((10, "partial", "four"), (20, "partial", "four one"), (60, "final", "four one")):
        event = streamrnn_client.OutputEvent(kind, seq, text)
        captions.show(seq, SOUND[:FRAME], streamrnn_client.Output(seq, np.zeros(11), events=(event,)))
    captions.show(61, SOUND[:FRAME], streamrnn_client.Output(61, np.zeros(11)))
    assert captions.words == [4, 1]
    lines = [line.split("s  ")[1] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["four", "four one", "four one."]


def test_the_card_keeps_the_terms_of_the_recordings(digits):
    card = digits.card
    assert card.name == "digits" and card.labels == LABELS and card.rate_hz == 50.0
    assert card.licence == "CC BY-SA 4.0" and "Free Spoken Digit Dataset" in card.attribution
    assert "frontend" in card.provenance and "--quick" not in str(card.provenance["command"])
    assert bundled.path("digits").stat().st_size < 1_000_000


def test_the_bundled_model_hears_the_bundled_recording(digits):
    recording = digits_demo.recording()[0]
    assert heard(digits, recording.samples) == list(recording.words)


@pytest.mark.parametrize("kind", ["silence", *KINDS])
def test_the_bundled_model_reads_nothing_where_nobody_speaks(digits, kind):
    """Twenty seconds each; a knock may now and then sound like a word, a silence never."""
    rng, n = np.random.default_rng(SEED + 1), 20 * RATE_HZ
    sound = np.zeros(n, np.float32) if kind == "silence" else 0.05 * no_speech(n, RATE_HZ, rng, kind)
    assert len(heard(digits, sound)) <= (1 if kind in ("clicks", "chords") else 0)


def test_a_long_silence_after_words_reads_nothing_and_loses_nothing(digits):
    samples = digits_demo.recording()[0].samples
    words = [WORDS.index(word) for word in bundled.path("digits_words").read_text("ascii").split()]
    quiet = (1e-3 * np.random.default_rng(0).standard_normal(60 * RATE_HZ)).astype(np.float32)
    assert heard(digits, np.concatenate([samples, quiet, samples])) == words * 2


def test_the_bundled_model_reaches_its_results_file_on_test_digits(digits):
    clips = fsdd_clips(folder_or_skip(FSDD), "test")
    results = json.loads((PROJECT_ROOT / "training" / "results" / "digits_asr.json").read_text("ascii"))
    trial = Trial.of(clips, results["split"]["test utterances"], quiet_s=0.1)
    transcripts = transcribe(trial.clean, lambda samples: digits_asr.streamed_outputs(digits, samples))
    assert error_percent(transcripts) == pytest.approx(results["headlines"][0]["streaming"], abs=0.11)
    assert (results["seed"], results["command"]) == (digits.card.provenance["seed"], digits.card.provenance["command"])
