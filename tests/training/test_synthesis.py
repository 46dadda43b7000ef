"""Synthetic speech is the same each time, at the rate asked for, and its absence is told; so is the recording."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from streamrnn import bundled
from training.sets.fsdd import RATE_HZ, WORDS, read_wav
from training.speech import digit_voices, digits_recording, synthesis
from training.speech.synthesis import SynthesiserMissing, Voice, speak, trimmed

needs_espeak = pytest.mark.skipif(not synthesis.is_installed(), reason="espeak-ng is not installed")


def test_silence_around_a_word_is_cut_off():
    samples = np.array([0, 0.001, 0.5, 0, -1.0, 0.01, 0.002, 0], np.float32)
    assert trimmed(samples).tolist() == pytest.approx([0.5, 0, -1.0, 0.01])
    assert trimmed(np.zeros(5, np.float32)).size == trimmed(np.zeros(0, np.float32)).size == 0


def test_a_missing_program_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(synthesis.shutil, "which", lambda name: None)
    with pytest.raises(SynthesiserMissing, match="apt-get install espeak-ng"):
        speak("one", Voice("en-us"), RATE_HZ)


@needs_espeak
def test_the_same_voice_says_the_same():
    one, again = (speak("seven", Voice("en-us+f2"), RATE_HZ) for _ in range(2))
    assert one.dtype == np.float32 and np.array_equal(one, again)
    assert 0.2 < len(one) / RATE_HZ < 0.9 and 0.05 < np.abs(one).max() <= 1.0
    slow = speak("seven", Voice("en-us+f2", words_a_minute=100), RATE_HZ)
    assert len(slow) > 1.2 * len(one)
    assert len(speak("seven", Voice("en-us+f2"), 2 * RATE_HZ)) == pytest.approx(2 * len(one), rel=0.05)


@needs_espeak
def test_an_unknown_voice_is_an_error():
    with pytest.raises(subprocess.CalledProcessError):
        speak("one", Voice("nobody"), RATE_HZ)


@needs_espeak
def test_training_speech_is_of_training_voices(monkeypatch):
    heard: list[Voice] = []

    def listened(text: str, voice: Voice, rate_hz: int) -> np.ndarray:
        heard.append(voice)
        return np.ones(10, np.float32)

    monkeypatch.setattr(digit_voices, "speak", listened)
    speech = digit_voices.training_speech(0, n_voices=20, n_phrases=30, n_other=10)
    assert len(heard) == 20 * 10 + 30 + 10
    assert not {voice.name.split("+")[1] for voice in heard} & set(digit_voices.TEST_VARIANTS)
    assert all(2 <= len(labels) <= 4 for _, labels in speech.phrases)
    assert all(labels == () for _, labels in speech.other)
    assert not set(" ".join(digit_voices.OTHER_WORDS).split()) & set(WORDS)


def test_the_recording_is_of_a_voice_that_training_does_not_know():
    assert digit_voices.RECORDING_VOICE.name.split("+")[1] in digit_voices.TEST_VARIANTS
    samples = read_wav(bundled.path("digits_recording"))
    assert 8.0 < len(samples) / RATE_HZ < 12.0 and bundled.path("digits_recording").stat().st_size < 200_000
    assert 0.3 < np.abs(samples).max() < 0.7
    assert bundled.path("digits_words").read_text("ascii") == digits_recording.words_text()
    quiet = np.abs(samples[: len(samples) // 80 * 80]).reshape(-1, 80).max(1) < 0.02
    runs = np.diff(np.flatnonzero(np.diff(np.r_[False, quiet, False].astype(int))))[::2]
    assert sum(run > 100 for run in runs) >= len(digits_recording.UTTERANCES), "a pause follows each utterance"


@needs_espeak
def test_the_recording_is_made_again(tmp_path, capsys):
    """Another version of espeak-ng may say it a little otherwise: length and words are compared, not bytes."""
    digits_recording.main(["--out", str(tmp_path / "again.wav")])
    made, committed = read_wav(tmp_path / "again.wav"), read_wav(bundled.path("digits_recording"))
    assert len(made) == pytest.approx(len(committed), rel=0.05)
    assert (tmp_path / "again.txt").read_text() == bundled.path("digits_words").read_text()
    assert "12 words" in capsys.readouterr().out
