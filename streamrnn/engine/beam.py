"""Beam search: the likeliest sequences that a model of tokens goes on with; a hypothesis is a fork of the session."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.engine.engine import Engine
from streamrnn.engine.session import Session
from streamrnn.errors import OptionError
from streamrnn.kernels.packing import FloatArray


class Hypothesis(NamedTuple):
    """One sequence of tokens that was found."""

    tokens: tuple[int, ...]
    """Without the first token, which was given, and without the stop token."""
    log_probability: float
    """Sum of the natural logarithms of all its tokens' probabilities, the stop token's among them; float64."""
    score: float
    """That, over the number of those tokens to the power of the length penalty."""
    is_ended: bool
    """Whether the stop token came, rather than the last of `max_tokens`."""


class _Live(NamedTuple):
    """A hypothesis that goes on."""

    tokens: tuple[int, ...]
    total: float
    session: Session


def beam_search(
    engine: Engine,
    session: Session,
    first_token: int,
    width: int,
    max_tokens: int,
    stop_token: int,
    length_penalty: float = 0.0,
) -> list[Hypothesis]:
    """Search for the likeliest tokens behind `first_token`, one kernel call a token for all hypotheses.

    At each step the best `width` continuations of all hypotheses are kept, less those that have ended: so the search
    narrows, and `width` 1 is greedy. Equally good ones go by the rank of what they continue, then by the lower token.
    What other sessions do changes no bit of it.

    Args:
        engine: of the session; up to `width` more sessions of its model are open meanwhile.
        session: of a model of tokens, whose outputs are log-probabilities of the next token, each at that token's
            place; no frame waits. It stays as it is.
        first_token: the frame that is answered by the first choice, 0 .. n_tokens - 1.
        width: hypotheses kept, at least 1.
        max_tokens: most tokens of one, the stop token among them, at least 1.
        stop_token: ends a hypothesis.
        length_penalty: 0 or more; above 0, longer ones are ranked higher at the end.

    Returns:
        Those that ended or reached `max_tokens`, 1 .. `width`, the best first; none where no token has a probability.

    Raises:
        OptionError: a number out of range, or a model of something else than tokens.
        FrameError: `first_token` is none.
        CapacityError: too few slots are free; what was forked is closed.
        SessionClosedError, UsageError: as `Session.fork`.

    Source: Sutskever, Vinyals and Le, "Sequence to sequence learning with neural networks", NeurIPS 2014, section 3.2;
    the penalty as a power of the length, Wu et al., "Google's neural machine translation system", 2016, section 7.
    """
    _check(session, width, max_tokens, stop_token, length_penalty)
    live = [_Live((), 0.0, session.fork())]
    ended: list[Hypothesis] = []
    try:
        frames: FloatArray = np.array([[first_token]], np.float32)
        for n in range(1, max_tokens + 1):
            outputs = engine.step_many([one.session for one in live], frames)
            chosen = _best(outputs, [one.total for one in live], width - len(ended))
            ended += [
                Hypothesis(live[i].tokens, total, total / n**length_penalty, True)
                for i, token, total in chosen
                if token == stop_token
            ]
            live = _continued(live, [choice for choice in chosen if choice[1] != stop_token])
            if not live:
                break
            frames = np.array([[one.tokens[-1]] for one in live], np.float32)
        ended += [Hypothesis(tokens, total, total / max_tokens**length_penalty, False) for tokens, total, _ in live]
    finally:
        for one in live:
            one.session.close()
    return sorted(ended, key=lambda one: (-one.score, one.tokens))


def _check(session: Session, width: int, max_tokens: int, stop_token: int, length_penalty: float) -> None:
    n_tokens, n_outputs = session.model.n_tokens, session.model.output_size
    if not 0 < n_outputs <= n_tokens:
        expected = "a model of tokens, with an output for each or the first of them"
        raise OptionError(f"beam_search: expected {expected}, got {n_tokens} tokens and {n_outputs} outputs")
    if not 0 <= stop_token < n_outputs:
        raise OptionError(f"stop_token: expected 0 to {n_outputs - 1}, got {stop_token}")
    for name, value in (("width", width), ("max_tokens", max_tokens)):
        if value < 1:
            raise OptionError(f"{name}: expected at least 1, got {value}")
    if not 0.0 <= length_penalty < float("inf"):
        raise OptionError(f"length_penalty: expected 0 or more, got {length_penalty}")


def _best(outputs: FloatArray, totals: list[float], n: int) -> list[tuple[int, int, float]]:
    """The `n` best continuations, the best first: which hypothesis, the token, its total. What is NaN never is one."""
    sums: NDArray[np.float64] = (outputs.astype(np.float64) + np.array(totals)[:, None]).ravel()
    sums = np.where(sums > -np.inf, sums, -np.inf)
    n = min(n, len(sums))
    least = np.partition(sums, len(sums) - n)[len(sums) - n]
    places = np.flatnonzero((sums >= least) & (sums > -np.inf))  # more than n where some are equal
    places = places[np.argsort(-sums[places], kind="stable")][:n]
    return [(*divmod(int(place), outputs.shape[1]), float(sums[place])) for place in places]


def _continued(live: list[_Live], chosen: list[tuple[int, int, float]]) -> list[_Live]:
    """The hypotheses that go on: the last continuation of each takes its session, the others fork it."""
    last = {i: place for place, (i, _, _) in enumerate(chosen)}
    for i, one in enumerate(live):
        if i not in last:
            one.session.close()  # before any fork: there are never more than `width`
    found: list[_Live] = []
    try:
        for place, (i, token, total) in enumerate(chosen):
            session = live[i].session if last[i] == place else live[i].session.fork()
            found.append(_Live((*live[i].tokens, token), total, session))
    except BaseException:
        for one in found:
            one.session.close()
        raise
    return found
