"""A model that hears tones as words, made by hand: a front end, and a linear layer that looks at one band a word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn import Card, Model, Node, Spec, with_frontend
from streamrnn.decode.settings import CtcSettings, EndpointSettings, Rule, plain_of

WORDS = {"one": 500.0, "two": 900.0, "three": 1500.0, "four": 2400.0}
"""Frequencies in Hz."""
ENDPOINT = EndpointSettings(rule2=Rule(True, 0.5, 0.0))
SLOPE = 3.0
WORD_S = 0.1
GAP_S = 0.05

Ear = tuple[str, int, tuple[int, ...], float]
AT_8000: Ear = ("logmel16@8000", 16, (3, 5, 9, 12), -3.0)
"""Front end, its size, the band of each word, and the log energy from which it is heard. No delay."""
AT_16000: Ear = ("fbank20@16000", 20, (3, 6, 8, 11), 21.0)
"""The same at another rate, two frames late."""


def tone_model(ear: Ear = AT_8000, settings: CtcSettings | None = None) -> Model:
    """The model; its outputs are logits of a blank, which is 0, and of the words."""
    frontend, n_bands, bands, threshold = ear
    weight = np.zeros((1 + len(WORDS), n_bands), np.float32)
    bias = np.zeros(1 + len(WORDS), np.float32)
    for row, band in enumerate(bands, start=1):
        weight[row, band], bias[row] = SLOPE, -SLOPE * threshold
    settings = settings or CtcSettings(input="logit", endpoint=ENDPOINT)
    card = Card(name="tones", labels=("-", *WORDS), decoder=plain_of(settings))
    spec = Spec((Node("x", "input", n_bands), Node("out", "linear", 1 + len(WORDS), ("x",))), "out")
    return with_frontend(Model(spec, {"out.weight": weight, "out.bias": bias}, card), frontend)


def tone(word: str, rate_hz: float, seconds: float = WORD_S) -> NDArray[np.float64]:
    """The sound of a word, which swells and fades within 10 ms."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    swell = np.clip(np.minimum(t, t[::-1]) / 0.01, 0, 1)
    return np.asarray(0.5 * swell * np.sin(2 * np.pi * WORDS[word] * t))


def speech(script: Sequence[str | float], rate_hz: float = 8000) -> NDArray[np.int16]:
    """Words, each followed by a short gap, and silences in seconds."""
    parts: list[Any] = []
    for part in script:
        if isinstance(part, str):
            parts += [tone(part, rate_hz), np.zeros(round(GAP_S * rate_hz))]
        else:
            parts.append(np.zeros(round(part * rate_hz)))
    return np.round(32767 * np.concatenate(parts)).astype("<i2")


def floats(samples: NDArray[np.int16]) -> bytes:
    """Samples as sherpa-onnx's clients send them."""
    return (samples.astype("<f4") / np.float32(32768)).tobytes()


def chunks_of(payload: bytes, n_bytes: int) -> list[bytes]:
    """Cut bytes into chunks."""
    return [payload[start : start + n_bytes] for start in range(0, len(payload), n_bytes)]
