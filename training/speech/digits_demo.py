"""The demo of the recogniser of digits: recordings through a server in real time, words printed as they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamrnn_client

from streamrnn import bundled
from training.data import DataMissing, data_folder
from training.live import play_frames, serve_and_play
from training.sets.fsdd import FSDD, RATE_HZ, WORDS, fsdd_clips, read_wav
from training.speech.connected import Floats, Plan, Utterance
from training.speech.digits_drill import speakers_of
from training.speech.digits_net import FRAME
from training.speech.transcription import word_error_percent

SILENCE = 3 * RATE_HZ // 2
"""Samples behind an utterance: it is over when nothing was said for a second."""


def recording() -> list[Utterance]:
    """The bundled recording, as one utterance; where its words end is not known."""
    samples = read_wav(bundled.path("digits_recording"))
    words = tuple(WORDS.index(word) for word in bundled.path("digits_words").read_text("ascii").split())
    return [Utterance(samples, words, (len(samples),) * len(words), "the bundled recording")]


def test_utterance(data: Path | None) -> list[Utterance]:
    """One utterance of test clips, or none where there is no data."""
    try:
        clips = fsdd_clips(data_folder(FSDD, data), "test")
    except DataMissing as error:
        print(f"without test data: {error}")
        return []
    return Plan(n_words=(5, 7)).utterances(speakers_of(clips), 1, seed=7)


class Captions:
    """Prints the words of an utterance as they come, a change a line, and keeps those of utterances that ended."""

    def __init__(self) -> None:
        self.words: list[int] = []

    def show(self, seq: int, frame: Floats, output: streamrnn_client.Output) -> None:
        """Take what the session's decoder found with the output of a frame."""
        for event in output.events:
            mark = "" if event.kind == "partial" else "."
            print(f"  {(seq + 1) * FRAME / RATE_HZ:5.2f} s  {event.text}{mark}", flush=True)
            if event.kind == "final":
                self.words += [WORDS.index(word) for word in event.text.split()]


def play(model: str, path: Path, utterances: list[Utterance], hz: float) -> None:
    """Serve a model file and stream utterances through it, `hz` frames a second; ends with one line of what was right.

    Args:
        model: its name on the server.
        path: of the file.
        utterances: each in a session of its own.
        hz: infinite: as fast as it goes.
    """
    pairs: list[tuple[tuple[int, ...], list[int]]] = []

    async def stream(client: streamrnn_client.Client) -> None:
        for utterance in utterances:
            samples = np.concatenate([utterance.samples, np.zeros(SILENCE, np.float32)])
            frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
            print(f"{utterance.speaker}, {len(utterance.samples) / RATE_HZ:.1f} s:")
            captions = Captions()
            await play_frames(client, model, frames, captions.show, hz, decoder="model")
            print(f"  said:    {' '.join(WORDS[word] for word in utterance.words)}")
            pairs.append((utterance.words, captions.words))

    serve_and_play({model: path}, stream)
    n_words = sum(len(said) for said, _ in pairs)
    print(f"{n_words} words said, word error rate {word_error_percent(pairs):.1f} %")
