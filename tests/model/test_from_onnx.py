"""`from_onnx`: how a graph is called and what a frame is; branches; what is refused; both exporters of PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

import streamrnn  # noqa: E402
from streamrnn.errors import ModelFileError, OptionError, UnsupportedError  # noqa: E402
from streamrnn.model.importers.onnx import original  # noqa: E402
from streamrnn.model.importers.onnx.states import stem  # noqa: E402
from streamrnn.model.trial import play  # noqa: E402
from tests.laws.nets import random_frames, same_bits  # noqa: E402
from tests.model.onnx_graphs import TIME, graph, node, weights  # noqa: E402

ONE_STATE = {"h": (1, 1, 5)}
GRU = {"w": weights(1, 15, 3), "r": weights(1, 15, 5)}


def ints(*values):
    return np.array(values, np.int64)


def stateful(x, names=("h", "hn"), **options):
    """A GRU (time, batch, features) whose state comes in and goes out."""
    cell = node("GRU", f"x w r _ _ {names[0]}", f"y {names[1]}", hidden_size=5)
    return graph([cell], x, inputs={names[0]: (1, 1, 5)}, outputs=("y", names[1]), **GRU, **options)


def call_of(model):
    return model.card.certificate["call"]


@pytest.mark.parametrize(
    ("shape", "in_frame"),
    [((1, 1, 3), 3), ((7, 1, 3), 21), ((TIME, 1, 3), 3), ((TIME, "batch", 3), 3), (("", "", 3), 3)],
)
@pytest.mark.parametrize("names", [("h", "hn"), ("h0", "hn"), ("state_in", "state_out"), ("5", "9")])
def test_a_state_that_is_handed_back_makes_each_call_a_frame(shape, in_frame, names):
    model = streamrnn.from_onnx(stateful(shape, names))
    assert "call by call" in call_of(model) and f"{names[0]!r} comes back as {names[1]!r}" in call_of(model)
    assert model.input_size == in_frame and model.card.certificate["n_compared"] == 256
    assert [n.kind for n in model.spec.nodes][-1] == "gru"


def test_an_open_chunk_may_be_as_long_as_the_user_says():
    model = streamrnn.from_onnx(stateful((TIME, 1, 3)), frame_steps=4)
    assert (model.input_size, model.output_size) == (12, 20)


def test_two_states_of_one_cell_and_of_stacked_ones():
    tensors = {"w": weights(1, 20, 3), "r": weights(1, 20, 5), "v": weights(1, 20, 5), "q": weights(1, 20, 5, seed=1)}
    nodes = [
        node("Split", "h two", "h1 h2", axis=0), node("Split", "c two", "c1 c2", axis=0),
        node("LSTM", "x w r _ _ h1 c1", "a ha ca", hidden_size=5), node("Squeeze", "a one", "b"),
        node("LSTM", "b v q _ _ h2 c2", "d hd cd", hidden_size=5), node("Squeeze", "d one", "y"),
        node("Concat", "ha hd", "h_n", axis=0), node("Concat", "ca cd", "c_n", axis=0),
    ]  # fmt: skip
    states = {"h": (2, 1, 5), "c": (2, 1, 5)}
    proto = graph(nodes, (1, 1, 3), inputs=states, outputs=("y", "h_n", "c_n"), two=ints(1, 1), one=ints(1), **tensors)
    model = streamrnn.from_onnx(proto)
    assert [n.kind for n in model.spec.nodes] == ["input", "lstm", "lstm"]


def test_a_state_kept_by_arithmetic():
    nodes = [
        node("Concat", "x h", "joined", axis=1), node("MatMul", "joined w", "a"), node("Tanh", "a", "new_h"),
        node("MatMul", "new_h v", "y"),
    ]  # fmt: skip
    proto = graph(nodes, (1, 3), inputs={"h": (1, 5)}, outputs=("y", "new_h"), w=weights(8, 5), v=weights(5, 2))
    model = streamrnn.from_onnx(proto)
    assert "previous" in [n.kind for n in model.spec.nodes]


def test_the_cache_of_a_causal_convolution():
    nodes = [
        node("Concat", "cache x", "joined", axis=2), node("Conv", "joined w", "y"),
        node("Slice", "joined b e d", "cache_out"),
    ]  # fmt: skip
    options = {"inputs": {"cache": (1, 3, 4)}, "outputs": ("y", "cache_out")}
    tensors = {"w": weights(2, 3, 5), "b": ints(-4), "e": ints(2**40), "d": ints(2)}
    for length in (1, 3, TIME):
        model = streamrnn.from_onnx(graph(nodes, (1, 3, length), **options, **tensors))
        assert model.card.certificate["passed"]


def test_a_first_state_that_never_comes_back_is_zeros():
    cell = node("GRU", "x w r _ _ h", "y", hidden_size=5)
    model = streamrnn.from_onnx(graph([cell], (TIME, 1, 3), inputs=ONE_STATE, **GRU))
    assert "time in dimension 0" in call_of(model)


def test_padding_within_an_open_chunk_is_padding_of_the_whole():
    """A frame of one step would be padded on both sides."""
    nodes = [
        node("Conv", "x k", "a", pads=[1, 1]), node("Transpose", "a", "b", perm=[2, 0, 1]),
        node("GRU", "b w r _ _ h", "y hn", hidden_size=5),
    ]  # fmt: skip
    proto = graph(nodes, (1, 3, TIME), inputs=ONE_STATE, outputs=("y", "hn"), k=weights(3, 3, 3), **GRU)
    model = streamrnn.from_onnx(proto)
    assert "time in dimension 2" in call_of(model) and model.spec.delay == 1


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((TIME, 1, 3), 0), (("seq_len", "N", 3), 0), ((50, 1, 3), 0), (("x_dim_0", 1, 3), 0), (("", 1, 3), 0)],
)
def test_the_time_is_found(shape, axis):
    cell = node("GRU", "x w r", "y", hidden_size=5)
    model = streamrnn.from_onnx(graph([cell], shape, **GRU))
    assert f"time in dimension {axis}" in call_of(model)


def test_a_fixed_length_is_compared_at_that_length():
    nodes = [node("GRU", "x w r", "y", hidden_size=5), node("Squeeze", "y one", "z")]
    certificate = streamrnn.from_onnx(graph(nodes, (50, 1, 3), outputs="z", one=ints(1), **GRU)).card.certificate
    assert certificate["n_compared"] == 50 and "T = 50" in certificate["call"]
    mean = [*nodes, node("ReduceMean", "z zero", "m")]
    proto = graph(mean, (50, 1, 3), outputs="m", one=ints(1), zero=ints(0), **GRU)
    assert streamrnn.from_onnx(proto).card.certificate["n_compared"] == 1


def test_the_length_of_an_exporters_example_may_be_written_in():
    nodes = [
        node("Conv", "x k", "a", strides=[2]), node("Reshape", "a s", "b"), node("Tanh", "b", "y"),
    ]  # fmt: skip
    proto = graph(nodes, (1, 3, TIME), k=weights(4, 3, 3), s=ints(4, 24))
    model = streamrnn.from_onnx(proto)
    assert "T = 49" in call_of(model) or "T = 50" in call_of(model)


def test_raw_audio_is_one_channel_before_a_long_kernel():
    nodes = [
        node("Unsqueeze", "x one", "a"), node("Conv", "a w", "b", strides=[160]), node("Relu", "b", "c"),
        node("Conv", "c v", "y", strides=[2]),
    ]  # fmt: skip
    model = streamrnn.from_onnx(graph(nodes, (1, "samples"), one=ints(1), w=weights(8, 1, 400), v=weights(4, 8, 3)))
    assert model.input_size == 320 and "time in dimension 1" in call_of(model)


def test_a_frame_may_hold_several_outputs():
    proto = graph([node("Conv", "x w", "y", strides=[2])], (1, 3, TIME), w=weights(4, 3, 2))
    assert streamrnn.from_onnx(proto, frame_steps=6).output_size == 12
    with pytest.raises(UnsupportedError, match="needs 2 steps"):
        streamrnn.from_onnx(proto, frame_steps=3)


def test_no_time_at_all():
    proto = graph([node("Gemm", "x w", "a"), node("Softmax", "a", "y")], (1, 6), w=weights(6, 3))
    model = streamrnn.from_onnx(proto)
    assert "call by call" in call_of(model) and model.input_size == 6
    whole = graph([node("Conv", "x w", "y")], (1, 3, 8), w=weights(4, 3, 3))
    assert streamrnn.from_onnx(whole, time_axis="call").input_size == 24
    assert streamrnn.from_onnx(whole).input_size == 3


def test_outputs_by_name_and_last_states_beside_them():
    cell = node("GRU", "x w r", "a hn", hidden_size=5)
    nodes = [cell, node("Squeeze", "a one", "y"), node("Tanh", "y", "z")]
    proto = graph(nodes, (TIME, 1, 3), outputs=("y", "z", "hn"), one=ints(1), **GRU)
    assert [head.name for head in streamrnn.from_onnx(proto).spec.heads] == ["y", "z"]
    assert streamrnn.from_onnx(proto, outputs=["z"]).spec.heads == ()
    assert streamrnn.from_onnx(proto, outputs=["hn"]).output_size == 5


def branching(condition):
    """An If: on a constant, on another input, or on the frames."""
    from onnx import helper

    branches = {
        name: helper.make_graph(
            [node(kind, "x", f"{name}_y")], name, [], [helper.make_empty_tensor_value_info(f"{name}_y")]
        )
        for name, kind in (("then", "Tanh"), ("else", "Relu"))
    }
    choice = helper.make_node("If", ["c"], ["y"], "choice", then_branch=branches["then"], else_branch=branches["else"])
    return graph([*condition, choice], (1, TIME, 3), inputs={"rate": ()}, limit=np.float32(16000))


@pytest.mark.parametrize(("rate", "kind"), [(16000, "tanh"), (8000, "relu")])
def test_a_branch_on_a_constant(rate, kind):
    proto = branching([node("Equal", "rate limit", "c")])
    with pytest.raises(OptionError, match=r"'rate' float32 \(\).*constants="):
        streamrnn.from_onnx(proto)
    model = streamrnn.from_onnx(proto, constants={"rate": rate})
    assert [n.kind for n in model.spec.nodes] == ["input", kind]


def test_a_branch_on_the_frames_is_refused():
    proto = branching([node("ReduceMax", "x", "m", keepdims=0), node("Greater", "m limit", "c")])
    with pytest.raises(UnsupportedError, match=r"(If 'choice'|over the time)"):
        streamrnn.from_onnx(proto, constants={"rate": 1}, time_axis=1)


def test_local_functions_are_written_out():
    from onnx import helper

    body = [node("Mul", "a b", "c"), node("Tanh", "c", "d")]
    opsets = [helper.make_opsetid("", 21)]
    function = helper.make_function("own", "Gated", ["a", "b"], ["d"], body, opsets)
    call = helper.make_node("Gated", ["x", "w"], ["y"], "gate", domain="own")
    proto = onnx.load_from_string(graph([call], (1, TIME, 3), w=weights(3)))
    proto.functions.append(function)
    proto.opset_import.append(helper.make_opsetid("own", 1))
    assert [n.kind for n in streamrnn.from_onnx(proto).spec.nodes] == ["input", "affine", "tanh"]


def test_a_file_and_the_model_itself(tmp_path):
    data = stateful((1, 1, 3))
    path = tmp_path / "gru.onnx"
    path.write_bytes(data)
    models = [streamrnn.from_onnx(source) for source in (data, path, str(path), onnx.load_from_string(data))]
    assert len({model.digest for model in models}) == 1
    with pytest.raises(FileNotFoundError):
        streamrnn.from_onnx(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ModelFileError, match="no ONNX model"):
        streamrnn.from_onnx(tmp_path / "bad.onnx")


def test_the_example_says_of_which_size_frames_are():
    cell = node("GRU", "x w r", "y", hidden_size=5)
    proto = graph([cell], (TIME, 1, 3), **GRU)
    example = np.random.default_rng(0).standard_normal((9, 1, 3)) * 100 + 7
    assert streamrnn.from_onnx(proto, example=example).card.certificate["passed"]
    with pytest.raises(OptionError, match=r"the shape \(9, 1, 4\), expected 'x' float32"):
        streamrnn.from_onnx(proto, example=np.zeros((9, 1, 4)))


def test_without_onnxruntime_onnx_own_reference_is_the_original(monkeypatch):
    monkeypatch.setattr(original, "onnxruntime_of", lambda *_: None)
    certificate = streamrnn.from_onnx(stateful((1, 1, 3))).card.certificate
    assert certificate["framework"].startswith("onnx.reference ") and certificate["passed"]
    clipped = node("GRU", "x w r", "y", hidden_size=5, clip=0.5)
    model = streamrnn.from_onnx(graph([clipped], (TIME, 1, 3), **GRU))
    assert model.card.certificate["passed"] is None  # which knows nothing of clip


REFUSED = {
    "attention": (
        [node("Transpose", "x", "t", perm=[0, 2, 1]), node("MatMul", "x t", "y")], {}, "MatMul .*attention"
    ),
    "softmax over the time": ([node("Softmax", "x", "y", axis=1)], {}, "Softmax .*over the time"),
    "ConvTranspose": ([node("ConvTranspose", "x w", "y")], {"w": weights(3, 2, 3)}, "ConvTranspose .*later frames"),
    "CumSum": ([node("CumSum", "x one", "y")], {"one": ints(1)}, "CumSum .*without end"),
    "an operation not known": ([node("Floor", "x", "y")], {}, "Floor 'Floor_y': this operation is not known"),
    "a foreign domain": ([node("Tanh", "x", "y", domain="com.microsoft")], {}, "domain 'com.microsoft'"),
    "sum over the time": ([node("ReduceSum", "x one", "y")], {"one": ints(1)}, "ReduceSum .*sum over the time"),
    "padding that reflects": (
        [node("Pad", "x p", "y", mode="reflect")], {"p": ints(0, 2, 0, 0, 0, 0)}, "Pad .*padded with reflect"
    ),
    "padding that wraps": ([node("Pad", "x p", "y", mode="wrap")], {"p": ints(0, 0, 2, 0, 0, 0)}, "mode is 'wrap'"),
    "time into channels": ([node("Reshape", "x s", "y")], {"s": ints(1, 3, -1)}, "Reshape .*mixes the time"),
    "rounded": ([node("Cast", "x", "a", to=7), node("Cast", "a", "y", to=1)], {}, "Cast .*rounded to int64"),
    "random": ([node("RandomNormal", "", "r", shape=[3]), node("Add", "x r", "y")], {}, "RandomNormal .*at every call"),
    "a loop written out": (
        [node("Split", "x n", "a b", axis=1), node("Tanh", "a", "y")], {"n": ints(1, 210)}, "Split"
    ),
    "some steps": ([node("Gather", "x i", "y", axis=1)], {"i": ints(3, 1, 7)}, "Gather .*chosen steps of the time"),
    "an output that is constant": ([node("Tanh", "w", "y")], {"w": weights(3)}, "output 'y' does not depend"),
    "mean without its padding": (
        [node("AveragePool", "x", "y", kernel_shape=[2], pads=[1, 0])], {}, "count_include_pad"
    ),
    "convolution over two dimensions": (
        [node("Unsqueeze", "x one", "a"), node("Conv", "a w", "y")], {"one": ints(1), "w": weights(2, 1, 3, 3)},
        "over 2 dimensions",
    ),
    "instance norm over the time": (
        [node("Transpose", "x", "t", perm=[0, 2, 1]), node("InstanceNormalization", "t s s", "y")], {"s": weights(3)},
        "InstanceNormalization .*over the time",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_streamed_is_refused_by_name(name):
    nodes, tensors, reason = REFUSED[name]
    with pytest.raises(UnsupportedError, match=reason):
        streamrnn.from_onnx(graph(nodes, (1, TIME, 3), **tensors), time_axis=1)


def test_old_operators_are_refused():
    with pytest.raises(UnsupportedError, match="of version 6 are too old, expected at least 7"):
        streamrnn.from_onnx(graph([node("Tanh", "x", "y")], (1, TIME, 3), opset=6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input": "z"}, "no input is named 'z'"), ({"outputs": ["z"]}, "no output is named 'z'"),
        ({"states": {"h": "z"}}, "no output is named 'z'"), ({"states": {"x": "hn"}, "input": "x"}, "what the inputs"),
        ({"constants": {"z": 1}}, "no input is named 'z'"), ({"time_axis": 3}, "time_axis must be"),
        ({"states": {}, "input": "h"}, "cannot tell what the inputs"),
    ],
)  # fmt: skip
def test_options_that_fit_nothing(options, message):
    with pytest.raises(OptionError, match=message):
        streamrnn.from_onnx(stateful((TIME, 1, 3)), **options)


@pytest.mark.parametrize(
    ("a", "b"),
    [("h", "hn"), ("h0", "hn"), ("c", "c_n"), ("state", "stateN"), ("h_in", "h_out"),
     ("enc.hidden_in", "enc.hidden_out"),
     ("prev_state", "next_state"), ("cache_1", "new_cache_1"), ("hx", "hx_out")],
)  # fmt: skip
def test_names_of_states_that_belong_together(a, b):
    assert stem(a) == stem(b)
    assert stem(a) != stem("x")


def test_chunks_give_the_same_bits():
    model = streamrnn.from_onnx(stateful((7, 1, 3)))
    frames = random_frames(model, 50, seed=2)
    whole = play(model, frames, 50)
    assert all(same_bits(whole, play(model, frames, chunk)) for chunk in (1, 3, 7))
