"""Real recordings for the tests of the audio front end."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import numpy as np
import pytest

from training.data import DataMissing, DataSet, data_folder

FSDD = DataSet(
    name="fsdd",
    source="https://github.com/Jakobovski/free-spoken-digit-dataset at 26eb9aaf76e81b692f806f9140c2d2777410d7a1",
    licence="CC BY-SA 4.0",
    attribution="Free Spoken Digit Dataset, Zohar Jackson and others, CC BY-SA 4.0",
)
N_FILES = 20


def digits() -> list[np.ndarray]:
    """Spoken digits (n,) float32 in [-1, 1], 8 kHz, of all speakers; without them the test is skipped, but fails where
    CI=true.
    """
    try:
        folder = data_folder(FSDD)
    except DataMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have the data: {error}")
        pytest.skip(str(error))
    paths = sorted((folder / "recordings").glob("*.wav"))
    return [read_wav(path) for path in paths[:: len(paths) // N_FILES]]


def read_wav(path: Path) -> np.ndarray:
    """The samples of a 16-bit mono file, over 32768."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def made_sound(n: int) -> np.ndarray:
    """Samples (n,) float32 as loud as speech: hums of a changing pitch, with noise and an offset."""
    rng = np.random.default_rng(5)
    t = np.arange(n) / 8000
    hum = sum(np.sin(2 * np.pi * k * (120 * t + 10 * np.sin(3 * t))) / k for k in range(1, 25))
    loud = np.maximum(0, np.sin(2 * np.pi * 2.1 * t)) ** 2
    return (0.1 * loud * hum + 0.003 * rng.normal(size=n) + 0.002).astype(np.float32)
