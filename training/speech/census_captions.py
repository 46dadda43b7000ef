"""Captions: the words of a live session of the recogniser of AN4, printed as they are read."""

from __future__ import annotations

import streamrnn_client

from training.sets.an4 import RATE_HZ
from training.speech.census_net import STRIDE
from training.speech.soundtrack import Floats


class Captions:
    """Prints each change of the transcript as it comes, and keeps the words of what has ended."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.open = ""

    def show(self, seq: int, frame: Floats, output: streamrnn_client.Output) -> None:
        """Take the output of a frame."""
        for event in output.events:
            print(f"  {(seq + 1) * STRIDE / RATE_HZ:5.2f} s  {event.kind:<7} {event.text}", flush=True)
            self.open = event.text if event.kind == "partial" else ""
            if event.kind == "final":
                self.words += event.text.split()

    @property
    def heard(self) -> list[str]:
        """All words, of what is still open too."""
        return self.words + self.open.split()
