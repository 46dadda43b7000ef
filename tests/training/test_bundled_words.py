"""The bundled commands: small, with its origin, equal to PyTorch, and right about the recording beside it."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
import torch

import streamrnn
from streamrnn import Frontend, bundled
from streamrnn.decode import LabelSettings, settings_of
from training.data import PROJECT_ROOT
from training.sets.speech_commands import LABELS, RATE_HZ
from training.speech.commands_recording import read_text, record, to_text
from training.speech.keywords import hear
from training.speech.soundfiles import read_sound, resampled, write_sound
from training.speech.spotter import OfflineSpotter, Spotter, frames_of
from training.speech.synthesis import is_installed
from training.streamed import outputs_of

KEYWORDS = ("yes", "no", "stop")


@pytest.fixture(scope="module")
def model():
    return streamrnn.load_model(bundled.path("commands"))


@pytest.fixture(scope="module")
def samples():
    return read_sound(bundled.path("commands_recording"), RATE_HZ)


@pytest.fixture(scope="module")
def spoken():
    return read_text(bundled.path("commands_times").read_text("ascii"))


def test_it_is_small_and_says_where_it_comes_from(model):
    assert bundled.path("commands").stat().st_size < 1_000_000
    assert bundled.path("commands_recording").stat().st_size < 270_000
    card = model.card
    assert card.name == "commands" and card.labels == LABELS and card.rate_hz == 50.0
    assert "CC BY 4.0" in card.attribution and "--quick" not in str(card.provenance["command"])
    assert card.certificate["max_abs_error"] < 1e-5
    attribution = (bundled.path("commands").parent / "ATTRIBUTION.md").read_text()
    assert "commands.safetensors" in attribution and "Pete Warden" in attribution
    results = json.loads((PROJECT_ROOT / "training" / "results" / "commands.json").read_text())
    assert (results["seed"], results["command"]) == (card.provenance["seed"], card.provenance["command"])


def test_a_session_answers_what_pytorch_answers(model, samples):
    frontend = msgspec.json.decode(str(model.card.provenance["frontend"]), type=Frontend)
    tensors = {name.removeprefix("net."): torch.tensor(tensor) for name, tensor in model.tensors.items()}
    net = Spotter(frontend.size, len(LABELS), *tensors["conv.weight"].shape[:1], tensors["fc.weight"].shape[1], 0.0)
    own = {name: tensors[_served(name)] for name in net.state_dict()}
    net.load_state_dict(own)
    streamed, offline = outputs_of(model, frames_of(samples)), OfflineSpotter(net, frontend)(samples)
    assert streamed.shape == offline.shape == (400, len(LABELS))
    assert np.abs(streamed - offline).max() < 1e-5


def _served(name):
    """A PyTorch name of a layer's tensor as the model has it: the layers of a GRU are nodes of their own."""
    layer, short = name.rsplit(".", 1)
    if layer != "gru":
        return name
    short, number = short.rsplit("_l", 1)
    return f"gru.l{number}.{short}"


def test_the_recording_brings_its_events_and_no_other(model, samples, spoken):
    settings = settings_of(model.card.decoder)
    assert isinstance(settings, LabelSettings) and settings.ignored == LABELS[:2]
    heard = hear(outputs_of(model, frames_of(samples)), spoken, LABELS, KEYWORDS, settings)
    assert (heard.n_words, heard.n_found, heard.n_false) == (3, 3, 0)


def test_silence_and_noise_bring_no_keyword(model):
    noise = np.random.default_rng(0).normal(0, 0.05, 5 * RATE_HZ).astype(np.float32)
    for sound in (np.zeros(5 * RATE_HZ, np.float32), noise):
        assert outputs_of(model, frames_of(sound))[:, 2:].max() < 0.5


def test_the_recording_is_made_again(samples, spoken):
    if not is_installed():
        pytest.skip("espeak-ng is not installed")
    track = record()
    assert [one.label for one in track.spoken] == [one.label for one in spoken]
    assert len(track.samples) == len(samples) == 8 * RATE_HZ
    if to_text(track.spoken) == to_text(spoken):  # the same version of espeak-ng
        np.testing.assert_allclose(track.samples, samples, atol=1e-3)


def test_sound_files_keep_what_is_written(tmp_path):
    x = np.linspace(-1, 1, 500, dtype=np.float32)
    write_sound(tmp_path / "x.wav", x, 8000)
    np.testing.assert_allclose(read_sound(tmp_path / "x.wav", 8000), x, atol=1e-4)
    with pytest.raises(ValueError, match="expected one channel of 16000 Hz"):
        read_sound(tmp_path / "x.wav", 16000)


def test_resampling_keeps_a_tone():
    x = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000).astype(np.float32)
    y = resampled(x, 8000, 16000)
    assert y.shape == (16000,) and y.dtype == np.float32
    np.testing.assert_allclose(y[1000:15000], np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)[1000:15000], atol=2e-3)
