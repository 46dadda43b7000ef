"""ONNX' recurrent operations with any of their attributes, against onnxruntime, or ONNX' own reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import streamrnn
from streamrnn.errors import UnsupportedError
from tests.model.onnx_graphs import graph, node, weights

N_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
N_ACTIVATIONS = {"RNN": 1, "GRU": 2, "LSTM": 3}
ALPHAS = {"Affine": (0.5, 1.0), "LeakyRelu": (0.01, 0.5), "ThresholdedRelu": (0.1, 1.0), "HardSigmoid": (0.1, 0.4),
          "Elu": (0.5, 1.5), "ScaledTanh": (0.5, 1.2)}  # fmt: skip
BETAS = {"Affine": (-0.2, 0.2), "HardSigmoid": (0.3, 0.6), "ScaledTanh": (0.5, 1.2)}
BETWEEN_0_AND_1 = ("Sigmoid", "HardSigmoid")
BOUNDED = (*BETWEEN_0_AND_1, "Tanh", "Softsign", "ScaledTanh")
NAMES = ("Tanh", "Sigmoid", "Relu", "Softsign", "Softplus", *ALPHAS)


@st.composite
def activations(draw, kind, clip, is_coupled):
    """The attributes of a random choice of activations with which no state grows without bound."""
    free = NAMES if clip else BOUNDED
    gates = BETWEEN_0_AND_1 if is_coupled else NAMES if 0 < clip <= 0.5 else BOUNDED
    names = [draw(st.sampled_from(free if kind == "RNN" or i else gates)) for i in range(N_ACTIVATIONS[kind])]
    found = {"activations": names}
    if {"Affine", "ScaledTanh", "ThresholdedRelu"} & {*names} or draw(st.booleans()):
        alphas = [draw(st.floats(*ALPHAS[name])) for name in names if name in ALPHAS]
        betas = [draw(st.floats(*BETAS[name])) for name in names if name in BETAS]
        found |= ({"activation_alpha": alphas} if alphas else {}) | ({"activation_beta": betas} if betas else {})
    return found


@st.composite
def cells(draw):
    """A graph with one cell: its attributes and optional inputs at random."""
    kind = draw(st.sampled_from(sorted(N_GATES)))
    n_in, n = draw(st.sampled_from([1, 2, 3, 8])), draw(st.sampled_from([1, 2, 5, 16]))
    seed, rows = draw(st.integers(0, 999)), N_GATES[kind] * n
    attributes = {"hidden_size": n}
    clip = draw(st.one_of(st.just(0.0), st.floats(0.2, 0.5), st.floats(0.5, 3.0)))
    if clip:
        attributes["clip"] = clip
    if kind == "GRU":
        attributes["linear_before_reset"] = draw(st.integers(0, 1))
    if kind == "LSTM":
        attributes["input_forget"] = draw(st.integers(0, 1))
    if draw(st.booleans()):
        attributes |= draw(activations(kind, clip, attributes.get("input_forget", 0)))
    tensors = {"w": 0.5 * weights(1, rows, n_in, seed=seed), "r": 0.5 * weights(1, rows, n, seed=seed)}
    optional = {"b": (1, 2 * rows), "h": (1, 1, n)} | ({"c": (1, 1, n), "p": (1, 3 * n)} if kind == "LSTM" else {})
    chosen = {name: shape for name, shape in optional.items() if draw(st.booleans())}
    tensors |= {name: 0.3 * weights(*shape, seed=seed) for name, shape in chosen.items()}
    names = ["x", "w", "r", *(name if name in chosen else "_" for name in ("b", "lengths", "h", "c", "p"))]
    names = names[: 8 if kind == "LSTM" else 6]
    cell = node(kind, " ".join(names), "y", **attributes)
    return graph([cell], ("time", 1, n_in), **tensors), n_in


@given(cells())
def test_a_cell_with_random_attributes(cell):
    proto, n_in = cell
    example = np.random.default_rng(1).standard_normal((7, 1, n_in)) * 0.4
    certificate = streamrnn.from_onnx(proto, example=example).card.certificate
    assert certificate["framework"].startswith("onnxruntime")
    assert certificate["max_rel_error"] < 2e-5
    assert certificate["n_compared"] == 256


@pytest.mark.parametrize("kind", N_GATES)
@pytest.mark.parametrize("with_states", [False, True])
def test_layout_1_has_the_batch_first(kind, with_states):
    rows = N_GATES[kind] * 5
    tensors = {"w": weights(1, rows, 3), "r": weights(1, rows, 5), "b": weights(1, 2 * rows)}
    names = "x w r b"
    if with_states:
        tensors |= {"h": weights(1, 1, 5)} | ({"c": weights(1, 1, 5, seed=1)} if kind == "LSTM" else {})
        names += " _ h" + (" c" if kind == "LSTM" else "")
    options = {"linear_before_reset": 1} if kind == "GRU" else {}
    cell = node(kind, names, "y", hidden_size=5, layout=1, **options)
    certificate = streamrnn.from_onnx(graph([cell], (1, "time", 3), **tensors)).card.certificate
    assert certificate["framework"].startswith("onnx.reference") and certificate["max_rel_error"] < 1e-5


def lstm(names="x w r", outputs="y", x=("time", 1, 3), tensors=(), **attributes):
    given = {"w": weights(1, 20, 3), "r": weights(1, 20, 5), **dict(tensors)}
    return graph(
        [node("LSTM", names, outputs, **{"hidden_size": 5, **attributes})], x, outputs=outputs.split()[-1:], **given
    )


REFUSED = {
    "reverse": (lstm(direction="reverse"), "direction is 'reverse'"),
    "bidirectional": (lstm(direction="bidirectional"), "direction is 'bidirectional'"),
    "batch": (lstm(x=("time", 3, 3)), "a session is one sequence"),
    "lengths": (lstm("x w r _ n", tensors={"n": np.array([9], np.int32)}), "sequence_lens"),
    "scaled tanh without alpha": (
        lstm(activations=["Sigmoid", "ScaledTanh", "Tanh"]), "'scaledtanh' has no activation_alpha"
    ),
    "unknown activation": (lstm(activations=["Sigmoid", "Sine", "Tanh"]), "'sine' is not known"),
    "affine without alpha": (lstm(activations=["Sigmoid", "Affine", "Tanh"]), "'affine' has no activation_alpha"),
    "thresholded without alpha": (
        lstm(activations=["Sigmoid", "ThresholdedRelu", "Tanh"]), "default of ONNX is 1, that of onnxruntime 0"
    ),
    "hidden size": (lstm(hidden_size=4), "hidden_size 4"),
    "cell state": (lstm(outputs="_ _ y"), "output 'y' is .* \\(cell state\\)"),
    "weights computed": (
        graph([node("Tanh", "x", "w"), node("RNN", "x w r", "y", hidden_size=3)], ("time", 1, 3), r=weights(1, 3, 3)),
        "its W is computed from the input",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_cell_cannot_is_refused_by_name(name):
    proto, reason = REFUSED[name]
    with pytest.raises(UnsupportedError, match=reason) as info:
        streamrnn.from_onnx(proto)
    if name != "cell state":
        assert "LSTM 'LSTM_y'" in str(info.value) or "RNN 'RNN_y'" in str(info.value)


def test_lengths_that_are_the_whole_sequence_do_nothing():
    proto = lstm("x w r _ n", x=(9, 1, 3), tensors={"n": np.array([9], np.int32)})
    assert streamrnn.from_onnx(proto).card.certificate["n_compared"] == 9


@pytest.mark.parametrize("kind", N_GATES)
def test_the_last_state_stands_for_the_whole_sequence(kind):
    rows = N_GATES[kind] * 5
    cell = node(kind, "x w r", "_ y", hidden_size=5)
    model = streamrnn.from_onnx(graph([cell], ("time", 1, 3), w=weights(1, rows, 3), r=weights(1, rows, 5)))
    assert model.card.certificate["passed"] and model.output_size == 5
