"""Synthesised speech: text, voice, speed and pitch to samples, by the command espeak-ng."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.speech.soundfiles import read_sound, resampled

COMMAND = "espeak-ng"
ESPEAK_HZ = 22050


class EspeakMissing(FileNotFoundError):
    """The command is not installed; the text says what to install."""

    def __str__(self) -> str:
        return f"the command {COMMAND} not found; install the package espeak-ng"


def has_espeak() -> bool:
    """Whether the command is there."""
    return shutil.which(COMMAND) is not None


def synthesise(text: str, voice: str, rate_hz: int, speed_wpm: int = 150, pitch: int = 50) -> NDArray[np.float32]:
    """Speak: the same arguments give the same samples.

    Args:
        text: a word or more of English.
        voice: as espeak-ng names them, such as `en-us+m3`.
        rate_hz: of the result.
        speed_wpm: words a minute, 80 to 450.
        pitch: 0 to 99.

    Returns:
        (n,) float32 in [-1, 1].

    Raises:
        EspeakMissing: espeak-ng is not installed.
    """
    if not has_espeak():
        raise EspeakMissing
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        options = ["-v", voice, "-s", str(speed_wpm), "-p", str(pitch), "-w", str(path)]
        subprocess.run([COMMAND, *options, "--", text], check=True, capture_output=True)
        return resampled(read_sound(path, ESPEAK_HZ), ESPEAK_HZ, rate_hz)
