"""ONNX' own backend cases for RNN, GRU and LSTM: every one that goes forward in time, streamed, one session a row."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

import streamrnn  # noqa: E402
from streamrnn.errors import UnsupportedError  # noqa: E402

CELLS = ("RNN", "GRU", "LSTM")
BATCHED = {"initial_h", "initial_c"}


def load_cases():
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases of other operations overflow on purpose
        tests = load_model_tests(kind="node")
    return {case.name: case for case in tests if [node.op_type for node in case.model.graph.node][-1] in CELLS}


CASES = load_cases()


def attribute(node, name, default):
    return next((onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def one_row(case, row):
    """The case as a model with weights, for one row of its batch; and the frames of that row."""
    proto = onnx.ModelProto()
    proto.CopyFrom(case.model)
    node = proto.graph.node[0]
    batch = 0 if attribute(node, "layout", 0) else 1
    given = dict(zip([name for name in node.input if name], case.data_sets[0][0], strict=True))
    x = given.pop("X").take([row], axis=batch)
    for name, value in given.items():
        value = value[[row]] if name == "sequence_lens" else value
        value = value.take([row], axis=batch) if name in BATCHED else value
        proto.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    del proto.graph.input[:], proto.graph.output[:]
    proto.graph.input.append(onnx.helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, x.shape))
    for name in node.output:
        if name:
            proto.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return proto, x, batch


def streamed(proto, x, batch, output):
    model = streamrnn.from_onnx(proto, time_axis=1 - batch, outputs=[output])
    assert model.card.certificate["passed"]
    engine = streamrnn.Engine()
    engine.add_model("case", model)
    frames = x.take(0, axis=batch)
    session = engine.open("case")
    return np.array([session.step(frame) for frame in frames])


def outcome(name):
    """The direction for which a case is refused; None where all its outputs are right."""
    case = CASES[name]
    node = case.model.graph.node[0]
    batch = 0 if attribute(node, "layout", 0) else 1
    direction = attribute(node, "direction", b"forward").decode()
    if direction != "forward":
        with pytest.raises(UnsupportedError, match=f"{node.op_type} .*direction is '{direction}': each output needs"):
            streamrnn.from_onnx(one_row(case, 0)[0], time_axis=1 - batch)
        return direction
    expected = dict(zip([name for name in node.output if name], case.data_sets[0][1], strict=True))
    for row in range(case.data_sets[0][0][0].shape[batch]):
        proto, x, _ = one_row(case, row)
        for output, values in expected.items():
            ys = streamed(proto, x, batch, output)
            if output == "Y":  # (time, directions, batch, size), or (batch, time, directions, size)
                np.testing.assert_allclose(ys, values[row, :, 0] if batch == 0 else values[:, 0, row], 1e-5, 1e-6)
            else:  # (directions, batch, size), or (batch, directions, size)
                assert output == "Y_h"
                np.testing.assert_allclose(ys[-1], values[row, 0] if batch == 0 else values[0, row], 1e-5, 1e-6)
    return None


@pytest.mark.parametrize("name", CASES)
def test_a_backend_case(name):
    assert outcome(name) == (None if "reverse" not in name and "bidirectional" not in name else name.split("_")[-1])


def test_all_cases_pass_or_are_refused_by_name(record_property):
    assert len(CASES) > 0
    outcomes = {name: outcome(name) for name in CASES}
    refused = sorted(f"{name} ({why})" for name, why in outcomes.items() if why)
    n_passed = len(CASES) - len(refused)
    text = f"{n_passed} of {len(CASES)} pass; refused: {', '.join(refused)}"
    record_property("figure", f"ONNX backend cases of RNN, GRU and LSTM: {text}")
