"""Sound files as samples: mono float32 in [-1, 1] at the rate that was asked for."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

Floats = NDArray[np.float32]


def read_sound(path: Path, rate_hz: int) -> Floats:
    """The samples of a mono WAV or FLAC file: (n,) float32.

    Raises:
        ValueError: the file has another rate, or more than one channel.
    """
    samples, found_hz = soundfile.read(path, dtype="float32")
    if found_hz != rate_hz or samples.ndim != 1:
        raise ValueError(f"{path.name}: expected one channel of {rate_hz} Hz, got {samples.shape} at {found_hz} Hz")
    return np.asarray(samples, dtype=np.float32)


def write_sound(path: Path, samples: Floats, rate_hz: int) -> None:
    """Write samples (n,) in [-1, 1] as a mono WAV file of 16 bits, the same bytes each time."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.round(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes())


def resampled(samples: Floats, from_hz: int, to_hz: int) -> Floats:
    """The same sound at another rate, by a polyphase filter: (n,) to about (n * to_hz / from_hz,) float32."""
    if from_hz == to_hz:
        return samples
    common = math.gcd(from_hz, to_hz)
    return np.asarray(resample_poly(samples, to_hz // common, from_hz // common), dtype=np.float32)
