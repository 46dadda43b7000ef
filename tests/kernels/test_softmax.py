"""Softmax and its logarithm: against float64, over every width, with extreme logits."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn import Model, Node, Spec
from streamrnn.model.trial import play
from tests.reference import log_softmax, softmax


def run(kind, logits):
    """`kind` of each row of logits (n, size)."""
    size = logits.shape[1]
    model = Model(Spec((Node("input", "input", size), Node("y", kind, size, ("input",))), "y"), {})
    return play(model, logits.astype(np.float32), len(logits))


@pytest.mark.parametrize("size", [1, 2, 7, 15, 16, 17, 31, 32, 33, 48, 100, 1000])
def test_against_float64(size):
    logits = (np.random.default_rng(size).standard_normal((20, size)) * 4).astype(np.float32)
    exact = np.array([softmax(row.astype(np.float64)) for row in logits])
    probabilities = run("softmax", logits)
    np.testing.assert_allclose(probabilities, exact, rtol=3e-6)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    logs = np.array([log_softmax(row.astype(np.float64)) for row in logits])
    np.testing.assert_allclose(run("log_softmax", logits), logs, rtol=1e-6, atol=1e-6)


def test_only_differences_count():
    logits = np.float32([[1, 2, 3, 4]])
    for shift in (-30000, 512, 60000):
        np.testing.assert_array_equal(run("softmax", logits + shift), run("softmax", logits))


def test_extreme_logits_stay_finite():
    logits = np.float32([[3e38, -3e38, 0], [-3e38, -3e38, -3e38], [100, 0, -100]])
    probabilities, logs = run("softmax", logits), run("log_softmax", logits)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities[:2], [[1, 0, 0], [1 / 3] * 3], atol=1e-6)
    np.testing.assert_allclose(logs[2], [0, -100, -200], atol=1e-5)
    assert not np.isnan(logs).any()


def test_the_largest_logit_may_stand_anywhere():
    size = 37
    logits = np.zeros((size, size), np.float32)
    np.fill_diagonal(logits, 50)
    np.testing.assert_allclose(run("softmax", logits), np.eye(size), atol=1e-6)


def test_its_input_is_left_for_other_nodes():
    """Whatever reads the same values finds them as they were."""
    nodes = (
        Node("input", "input", 5),
        Node("a", "softmax", 5, ("input",)),
        Node("b", "log_softmax", 5, ("input",)),
        Node("c", "tanh", 5, ("input",)),
        Node("y", "concat", 15, ("a", "b", "c")),
    )
    x = np.float32([[1, -2, 3, 0.5, 0]])
    y = play(Model(Spec(nodes, "y"), {}), x, 1)[0]
    exact = np.concatenate([softmax(x[0].astype(np.float64)), log_softmax(x[0].astype(np.float64)), np.tanh(x[0])])
    np.testing.assert_allclose(y, exact, atol=1e-6)
