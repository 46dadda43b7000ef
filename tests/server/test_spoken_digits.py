"""The bundled recogniser of digits, spoken to through both protocols with recordings of real speakers."""

from __future__ import annotations

import wave
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamrnn
from streamrnn import bundled
from streamrnn.audio.resampler import Resampler
from streamrnn.errors import OptionError
from streamrnn.server.app import Server
from streamrnn.server.listeners import SpeechOptions
from tests.server.speakers import play
from tests.serving.speech.talk import CONFIG, EOF, LIMITS, Talk, speech_hub, texts
from tests.serving.speech.tones import chunks_of
from training.data import DataMissing, DataSet, data_folder

FSDD = DataSet("fsdd", "https://github.com/Jakobovski/free-spoken-digit-dataset", "CC BY-SA 4.0", "Z. Jackson et al.")
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPOKEN = {"george": (3, 1, 4, 1, 5), "theo": (2, 7, 1, 8), "lucas": (9, 0, 6)}
"""Digits by speaker."""
INDEX = 7
"""Of the recordings: from the part that is not trained on."""
GAP_S = 0.15
TAIL_S = 1.0


@pytest.fixture(scope="module")
def model():
    """The model, or a skip where it is not bundled."""
    try:
        path = bundled.path("digits")
    except OptionError:
        pytest.skip("no recogniser of digits is bundled")
    return streamrnn.load_model(path)


@pytest.fixture(scope="module")
def sounds():
    """Connected digits of each speaker at 8 kHz, int16, or a skip where the recordings are not there."""
    try:
        folder = data_folder(FSDD) / "recordings"
    except DataMissing as missing:
        pytest.skip(str(missing))
    return {speaker: connected(folder, speaker, digits) for speaker, digits in SPOKEN.items()}


def connected(folder: Path, speaker: str, digits: tuple[int, ...]) -> np.ndarray:
    """Digits with gaps between them, and silence behind."""
    parts = []
    for digit in digits:
        with wave.open(str(folder / f"{digit}_{speaker}_{INDEX}.wav")) as recording:
            parts.append(np.frombuffer(recording.readframes(recording.getnframes()), "<i2"))
        parts.append(np.zeros(round(GAP_S * 8000), "<i2"))
    return np.concatenate([*parts, np.zeros(round(TAIL_S * 8000), "<i2")])


def share_heard(replies: list[Any], speaker: str) -> float:
    """The share of the digits spoken that were heard, in order."""
    spoken = [NAMES[digit] for digit in SPOKEN[speaker]]
    heard = " ".join(texts(replies)).split()
    return sum(match.size for match in SequenceMatcher(None, spoken, heard).get_matching_blocks()) / len(spoken)


def wide(samples: np.ndarray) -> bytes:
    """The samples at 16 kHz, as sherpa-onnx's clients send them."""
    resampler = Resampler(8000, 16000)
    return np.concatenate([resampler.push(samples.astype(np.int16)), resampler.flush()]).astype("<f4").tobytes()


def test_chunks_change_no_digit(model, sounds):
    pcm = sounds["george"].tobytes()
    heard = []
    for n_bytes in (len(pcm), 3200, 162):
        replies = Talk(speech_hub(LIMITS, {"digits": model}), "vosk", "digits").ask(
            CONFIG % 8000, *chunks_of(pcm, n_bytes), EOF
        )
        heard.append([word for reply in replies for word in reply.get("result", ())])
    assert heard[0]
    assert heard[1:] == [heard[0]] * 2


@pytest.mark.parametrize("name", ["vosk", "sherpa"])
async def test_published_clients_hear_real_speakers(model, sounds, name):
    options = SpeechOptions(None, 0, 0)
    shares = {}
    async with Server({"digits": model}, port=0, speech=options) as server:
        for speaker, samples in sounds.items():
            payload = samples.tobytes() if name == "vosk" else wide(samples)
            shares[speaker] = share_heard(await play(name, server.speech_ports[name], payload), speaker)
    assert np.mean(list(shares.values())) > 0.75, shares
