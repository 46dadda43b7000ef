"""An interpreter: one session that reads a sentence token by token and then says its translation, and so on."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

import streamrnn
from training.translation.translator import END, GO
from training.translation.vocabulary import Vocabulary

MAX_WIDTH = 16


def frames_of(tokens: Sequence[int]) -> NDArray[np.float32]:
    """Tokens as frames (n, 1) float32."""
    return np.array(tokens, dtype=np.float32).reshape(-1, 1)


class Interpreter:
    """A session of the engine. Read a sentence, then ask for it: by `beam` as often as is liked, last by `greedy`.

    Attributes:
        session: goes on from sentence to sentence; the token that begins one makes it forget the last.
    """

    def __init__(self, model: streamrnn.Model, vocabulary: Vocabulary, max_tokens: int) -> None:
        """Serve `model`, a `TranslatorStep` of that vocabulary; it says at most `max_tokens`, END among them."""
        self.vocabulary, self.max_tokens = vocabulary, max_tokens
        self.engine = streamrnn.Engine(limits=streamrnn.Limits(max_sessions=1 + MAX_WIDTH))
        self.engine.add_model("translator", model)
        self.session = self.engine.open("translator")

    def read(self, source: str) -> None:
        """Take in a sentence, one frame a token."""
        self.session.run(frames_of(self.vocabulary.source_tokens(source)))

    def beam(self, width: int, length_penalty: float) -> str:
        """The best translation of what was read, by forks of the session, which stays as it is."""
        found = streamrnn.beam_search(self.engine, self.session, GO, width, self.max_tokens, END, length_penalty)
        return self.vocabulary.text(found[0].tokens)

    def greedy(self) -> str:
        """Say the likeliest token, feed it back, and so on. The session goes on."""
        said = [GO]
        while len(said) <= self.max_tokens and said[-1] != END:
            said.append(int(self.session.step(frames_of(said[-1:])[0]).argmax()))
        return self.vocabulary.text(said)

    def translations(self, sources: Iterable[str], width: int, length_penalty: float) -> tuple[list[str], list[str]]:
        """Of sentence after sentence: those of a beam, and the greedy ones."""
        beamed, greedily = [], []
        for source in sources:
            self.read(source)
            beamed.append(self.beam(width, length_penalty))
            greedily.append(self.greedy())
        return beamed, greedily

    def outputs(self, source: str, target: str) -> NDArray[np.float32]:
        """Log-probabilities (1 + n, n_targets) of each next token while `target` (n tokens) is said, whatever is."""
        self.read(source)
        return self.session.run(frames_of([GO, *self.vocabulary.target_tokens(target)]))
