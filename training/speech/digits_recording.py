"""The bundled recording of digits: a synthetic voice that no training hears, made here and by nobody spoken.

    python -m training.speech.digits_recording

writes streamrnn/bundled/digits_recording.wav, and beside it the words, one utterance a line, in digits_recording.txt.
"""

from __future__ import annotations

import argparse
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.data import PROJECT_ROOT
from training.sets.fsdd import RATE_HZ, WORDS
from training.speech.connected import Floats
from training.speech.digit_voices import RECORDING_VOICE, in_a_row

DEFAULT_PATH = PROJECT_ROOT / "streamrnn" / "bundled" / "digits_recording.wav"
UTTERANCES = ((4, 1, 7), (9, 0, 2, 6, 8), (3, 5, 5, 1))
BEFORE_S, PAUSE_S = 0.6, 1.3
PEAK, FLOOR = 0.5, 1e-3
"""Of the speech, and root mean square of the noise under it, of full scale."""
SEED = 20260105


def record() -> Floats:
    """Say the utterances with pauses between: samples (n,) float32, 8 kHz.

    Raises:
        SynthesiserMissing: espeak-ng is not installed.
    """
    parts = [np.zeros(int(BEFORE_S * RATE_HZ), np.float32)]
    for digits in UTTERANCES:
        speech, _ = in_a_row(digits, RECORDING_VOICE)
        parts += [PEAK / np.abs(speech).max() * speech, np.zeros(int(PAUSE_S * RATE_HZ), np.float32)]
    whole = np.concatenate(parts)
    return (whole + FLOOR * np.random.default_rng(SEED).standard_normal(len(whole))).astype(np.float32)


def words_text() -> str:
    """What is said, one utterance a line."""
    return "".join(" ".join(WORDS[digit] for digit in digits) + "\n" for digits in UTTERANCES)


def write_wav(path: Path, samples: Floats) -> None:
    """Write samples (n,) in [-1, 1] as a 16-bit mono file of 8 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the recording to the path given on the command line, its words beside it."""
    parser = argparse.ArgumentParser(
        prog="python -m training.speech.digits_recording", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_PATH, help="wav file to write (default: the bundled one)")
    path: Path = parser.parse_args(arguments).out
    samples = record()
    write_wav(path, samples)
    path.with_suffix(".txt").write_text(words_text(), encoding="ascii", newline="\n")
    print(f"{path.name}: {len(samples) / RATE_HZ:.1f} s, {sum(map(len, UTTERANCES))} words")


if __name__ == "__main__":
    main()
