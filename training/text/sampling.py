"""Sampling: a language model goes on by itself, each token drawn from its output and fed back as the next frame."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import streamrnn
from training.streamed import session_of


def draw(
    session: streamrnn.Session,
    start: Sequence[int],
    n_tokens: int,
    rng: np.random.Generator,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    stop: int | None = None,
) -> list[int]:
    """Feed the tokens of `start` to a session, and let it go on.

    Args:
        session: of a model that answers a token with the log-probabilities of the next one; it goes on from the state
            that it has.
        start: at least one token.
        n_tokens: most tokens to draw.
        rng: draws them.
        temperature: > 0; below 1 the likely ones become more likely.
        top_k: only so many of the most likely tokens may be drawn; 0: all of them.
        stop: token that ends it, itself drawn, but not fed back.

    Returns:
        The tokens drawn, `stop` with them.
    """
    y = session.run(np.array(start, dtype=np.float32)[:, None])[-1]
    tokens: list[int] = []
    while True:
        tokens.append(int(rng.choice(y.size, p=probabilities(y, temperature, top_k))))
        if len(tokens) == n_tokens or tokens[-1] == stop:
            return tokens
        y = session.step(np.array(tokens[-1:], dtype=np.float32))


def probabilities(y: NDArray[np.float32], temperature: float = 1.0, top_k: int = 0) -> NDArray[np.float64]:
    """Give the distribution that a token is drawn from: (n,) log-probabilities y, sharpened and cut, sum 1."""
    scaled = y.astype(np.float64) / temperature
    if 0 < top_k < y.size:
        scaled[np.argsort(-scaled, kind="stable")[top_k:]] = -np.inf
    p = np.exp(scaled - scaled.max())
    return np.asarray(p / p.sum(), dtype=np.float64)


def write_on(model: streamrnn.Model, symbols: str, start: str, n_chars: int, seed: int) -> str:
    """Give `start` and the `n_chars` characters with which a model of characters goes on from it."""
    tokens = draw(session_of(model), [symbols.index(symbol) for symbol in start], n_chars, np.random.default_rng(seed))
    return start + "".join(symbols[token] for token in tokens)
