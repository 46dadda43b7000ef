"""Posteriors: the same distribution however the model puts it, and unknown rows told as such."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamrnn.decode.decoder import Facts
from streamrnn.decode.posteriors import INPUTS, Posteriors
from streamrnn.errors import OptionError

SIZES = (3, 150)


def outputs(size: int, kind: str, n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of a kind, (n, size) float32, and their probabilities in float64."""
    logits = np.random.default_rng(size).standard_normal((n, size)) * 3.0
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    given = {"log": np.log(probabilities), "probability": probabilities, "logit": logits}[kind]
    return given.astype(np.float32), probabilities


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", INPUTS)
def test_every_kind_gives_the_same_distribution(kind, size):
    ys, probabilities = outputs(size, kind)
    posteriors = Posteriors("", kind, Facts(1, size))
    np.testing.assert_allclose(posteriors.probabilities(ys), probabilities, rtol=1e-5)
    np.testing.assert_allclose(posteriors.logs(ys), np.log(probabilities), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_row_with_a_value_that_is_no_number_is_unknown(kind, size, bad):
    ys, _ = outputs(size, kind)
    ys[1, size // 2] = bad
    for rows in (Posteriors("", kind, Facts(1, size)).probabilities(ys), Posteriors("", kind, Facts(1, size)).logs(ys)):
        assert [row is None for row in rows] == [False, True, False, False]


def test_a_row_without_any_value_is_unknown():
    nothing = np.full((1, 3), -np.inf, dtype=np.float32)
    assert Posteriors("", "log", Facts(1, 3)).logs(nothing) == [None]
    assert Posteriors("", "logit", Facts(1, 3)).probabilities(nothing) == [None]
    assert Posteriors("", "probability", Facts(1, 3)).logs(np.zeros((1, 3), np.float32)) == [None]


def test_what_is_a_little_out_of_range_is_clipped():
    ys = np.array([[0.25, -0.1, 1.5]], dtype=np.float32)
    facts = Facts(1, 3)
    assert Posteriors("", "probability", facts).probabilities(ys) == [[0.25, 0.0, 1.0]]
    assert Posteriors("", "probability", facts).logs(ys) == [[math.log(0.25), -math.inf, 0.0]]
    assert Posteriors("", "log", facts).logs(ys) == [[0.0, float(np.float32(-0.1)), 0.0]]
    assert Posteriors("", "log", facts).probabilities(ys)[0][0] == 1.0


def test_only_the_head_is_read():
    facts = Facts(1, 4, heads={"class": (1, 3)})
    ys = np.array([[np.nan, 0.0, 0.0, np.nan]], dtype=np.float32)
    posteriors = Posteriors("class", "logit", facts)
    assert posteriors.size == 2
    assert posteriors.probabilities(ys) == [[0.5, 0.5]]


def test_an_unknown_head_or_kind_is_refused():
    with pytest.raises(OptionError, match="head"):
        Posteriors("word", "log", Facts(1, 3, heads={"class": (0, 3)}))
    with pytest.raises(OptionError, match="input"):
        Posteriors("", "odds", Facts(1, 3))
