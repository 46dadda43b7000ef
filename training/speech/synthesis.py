"""Speech made by espeak-ng: any words, in voices that can be counted, without a recording of anybody.

The same text and voice give the same samples from one version of espeak-ng. It is a program, not a library, and its
speech is free of its licence (GPL-3.0-or-later).
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

Floats = NDArray[np.float32]

PROGRAM = "espeak-ng"
HEADER_BYTES = 44
"""Of the wav file; its sizes are not filled in where it goes to a pipe."""
MADE_HZ = 22050
SILENCE = 10 ** (-50 / 20)
"""What is left of the ends of a word: from the first to the last sample above this share of its peak."""


class SynthesiserMissing(RuntimeError):
    """espeak-ng is not installed; the text says how to get it."""

    def __init__(self) -> None:
        super().__init__(f"{PROGRAM} not found: install it (apt-get install {PROGRAM}, brew install {PROGRAM})")


@dataclass(frozen=True)
class Voice:
    """One way of speaking.

    Attributes:
        name: of espeak-ng: an accent and a variant, such as `en-us+f2`.
        pitch: 0 to 99, 50 is the variant's own.
        words_a_minute: 80 to 450.
    """

    name: str
    pitch: int = 50
    words_a_minute: int = 160


def is_installed() -> bool:
    """Whether espeak-ng can be run."""
    return shutil.which(PROGRAM) is not None


def speak(text: str, voice: Voice, rate_hz: int, *, is_trimmed: bool = True) -> Floats:
    """Say `text`: samples (n,) float32 in [-1, 1] at `rate_hz`, without the silence around them if it is trimmed.

    Raises:
        SynthesiserMissing: espeak-ng is not installed.
        CalledProcessError: it knows no such voice.
    """
    if not is_installed():
        raise SynthesiserMissing
    command = (PROGRAM, "-v", voice.name, "-p", str(voice.pitch), "-s", str(voice.words_a_minute), "--stdout", text)
    made = subprocess.run(command, check=True, capture_output=True).stdout[HEADER_BYTES:]
    samples = np.frombuffer(made[: len(made) // 2 * 2], "<i2").astype(np.float64) / 32768.0
    divisor = int(np.gcd(rate_hz, MADE_HZ))
    made_at_rate = resample_poly(samples, rate_hz // divisor, MADE_HZ // divisor).astype(np.float32)
    return trimmed(made_at_rate) if is_trimmed else made_at_rate


def trimmed(samples: Floats) -> Floats:
    """The part of samples (n,) from the first to the last one above -50 dB of the peak; nothing of nothing."""
    loud = np.flatnonzero(np.abs(samples) > SILENCE * np.abs(samples).max(initial=0.0))
    return samples[loud[0] : loud[-1] + 1] if loud.size else samples[:0]
