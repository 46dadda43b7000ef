"""Reading and writing, live: a demo's language model reads a text through a websocket, and goes on by itself."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import streamrnn_client

from training.live import Floats

TEMPERATURE = 0.8
"""Of what is written: a little more likely than the text that was learnt from."""


class Reading:
    """A text as frames, and each line of it shown with the bits per character that it took the model to expect it.

    Attributes:
        n: characters read so far, but for the first one, which nothing foretells.
        total_bits: that they took.
    """

    def __init__(self, symbols: str, text: str) -> None:
        """Take the model's symbols, and a text of them."""
        self.text = text
        self.ids = [symbols.index(symbol) for symbol in text]
        self.n, self.total_bits = 0, 0.0
        self._line, self._line_bits = text[:1], 0.0

    @property
    def frames(self) -> Floats:
        """(n_chars, 1) float32: a token id each."""
        return np.array(self.ids, dtype=np.float32)[:, None]

    @property
    def bits_per_char(self) -> float:
        """Over all that was read."""
        return self.total_bits / max(1, self.n)

    def show(self, seq: int, frame: Floats, output: streamrnn_client.Output) -> None:
        """Take the output for a frame, which foretells the next character; print the line that this one ends."""
        if seq + 1 == len(self.ids):
            return
        found = -float(output.y[self.ids[seq + 1]]) / math.log(2.0)
        self.n, self.total_bits = self.n + 1, self.total_bits + found
        self._line, self._line_bits = self._line + self.text[seq + 1], self._line_bits + found
        if self._line.endswith("\n"):
            print(f"{self._line_bits / len(self._line):5.2f} bits a character  {self._line.rstrip()}")
            self._line, self._line_bits = "", 0.0


@dataclass(frozen=True)
class Written:
    """What a model wrote, and how fast it came."""

    text: str
    tokens_per_s: float

    @property
    def summary(self) -> str:
        """In half a line."""
        return f"wrote on at {self.tokens_per_s:,.0f} characters a second"


async def write_live(session: streamrnn_client.Session, start: str, n_chars: int, seed: int = 0) -> Written:
    """Let a served model, its session opened with a sampler, go on from `start` (at least one character)."""
    text, began_s = start, time.perf_counter()
    async for token in session.generate(n_chars, start, temperature=TEMPERATURE, seed=seed):
        text += token.text
    return Written(text, n_chars / (time.perf_counter() - began_s))
