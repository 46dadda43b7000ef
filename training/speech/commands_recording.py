"""The bundled recording of commands: synthetic speech of a voice that no training word was spoken in.

`python -m training.speech.commands_recording` writes streamrnn/bundled/commands_recording.wav and its times, the .txt
beside it, again: the same bytes with the same version of espeak-ng (1.51).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from training.data import PROJECT_ROOT
from training.sets.speech_commands import RATE_HZ, UNKNOWN
from training.speech.soundfiles import write_sound
from training.speech.soundtrack import Soundtrack, Spoken, bounds, noise
from training.speech.synthesis import Voice, speak

DEFAULT_PATH = PROJECT_ROOT / "streamrnn" / "bundled" / "commands_recording.wav"
SEED = 20260105
VOICE = Voice("en-us+m3", pitch=50, words_a_minute=140)
LENGTH_S = 8.0
WORDS = (("yes", "yes", 0.6), ("music", UNKNOWN, 2.0), ("no", "no", 3.4), ("stop", "stop", 6.4))
"""Text, label, and when its recording begins, in seconds."""
NOISE_S = (4.6, 5.6)
"""When there is a burst of noise."""


def record() -> Soundtrack:
    """Make the recording and the times of its words.

    Raises:
        SynthesiserMissing: espeak-ng is not installed.
    """
    rng = np.random.default_rng(SEED)
    samples = 0.001 * noise(round(LENGTH_S * RATE_HZ), rng)
    first, last = (round(at * RATE_HZ) for at in NOISE_S)
    samples[first:last] += 0.05 * noise(last - first, rng) * np.hanning(last - first).astype(np.float32)
    spoken = []
    for text, label, at_s in WORDS:
        word, at = speak(text, VOICE, RATE_HZ, is_trimmed=False), round(at_s * RATE_HZ)
        samples[at : at + len(word)] += 0.6 * word
        start, end = bounds(word, RATE_HZ)
        spoken.append(Spoken(label, at + start, at + end))
    return Soundtrack(np.clip(samples, -1.0, 1.0).astype(np.float32), tuple(spoken))


def to_text(spoken: tuple[Spoken, ...]) -> str:
    """One line a word: start, end in seconds, label."""
    return "".join(f"{one.start / RATE_HZ:.2f} {one.end / RATE_HZ:.2f} {one.label}\n" for one in spoken)


def read_text(text: str) -> tuple[Spoken, ...]:
    """The words of such lines."""
    rows = [line.split() for line in text.splitlines()]
    return tuple(Spoken(label, round(float(a) * RATE_HZ), round(float(b) * RATE_HZ)) for a, b, label in rows)


def main() -> None:
    """Write the recording to the path given on the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.speech.commands_recording", description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT_PATH, help="wav file to write (default: the bundled one)")
    out: Path = parser.parse_args().out
    track = record()
    write_sound(out, track.samples, RATE_HZ)
    out.with_suffix(".txt").write_text(to_text(track.spoken), encoding="ascii", newline="\n")
    print(f"{out.name}: {len(track.samples) / RATE_HZ:.1f} s, {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
