"""Sampling: a language model goes on by itself, each token drawn from its output and fed back as the next frame."""

import numpy as np

import streamrnn
from streamrnn.decode import SamplerSettings
from training.streamed import session_of

SAMPLER = SamplerSettings()


def write_on(model: streamrnn.Model, symbols: str, start: str, n_chars: int, seed: int) -> str:
    """Give `start` and the `n_chars` characters with which a model of characters goes on from it."""
    session = session_of(model, SAMPLER)
    session.run(np.array([[symbols.index(symbol)] for symbol in start], dtype=np.float32))
    return start + "".join(symbols[token] for token in session.generate(n_chars, seed=seed))
