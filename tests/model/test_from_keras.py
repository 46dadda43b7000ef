"""Keras models of every layer, read from their archives, stream what Keras computes for the whole sequence."""

from __future__ import annotations

import io
import json
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

os.environ.setdefault("KERAS_BACKEND", "torch")

if os.environ.get("CI") == "true":
    import keras
else:
    keras = pytest.importorskip("keras")
h5py = pytest.importorskip("h5py")

from keras import layers as L  # noqa: E402

import streamrnn  # noqa: E402
from streamrnn.errors import ModelFileError, OptionError, UnsupportedError  # noqa: E402
from streamrnn.model.importers import keras_archive  # noqa: E402
from tests.laws.nets import random_frames  # noqa: E402
from tests.model import keras_nets as nets  # noqa: E402
from tests.model.keras_nets import chain, graph, with_weights  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
"""Keras's torch backend turns tensors into arrays in the old way."""


def streamed(model, xs):
    """The outputs of a session to frames, one by one."""
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
    engine.add_model("m", model)
    session = engine.open("m")
    return np.array([session.step(x) for x in xs])


def in_keras(net, model, xs):
    """Keras's outputs (n, values) to the frames as one sequence."""
    shape = net.inputs[0].shape
    x = xs.reshape(1, -1) if model.n_tokens else xs.reshape(1, -1, *shape[2:]) if len(shape) > 2 else xs
    answers = net(x.astype(np.int32 if model.n_tokens else np.float32), training=False)
    answers = [answers[head.name] for head in model.spec.heads] if isinstance(answers, dict) else answers
    answers = answers if isinstance(answers, list | tuple) else [answers]
    arrays = [keras.ops.convert_to_numpy(answer) for answer in answers]
    return [array.reshape(array.shape[1] if array.ndim > 2 else len(array), -1) for array in arrays]


def check(net, late=0, n=30):
    """The imported model, whose outputs were compared with Keras's own."""
    model = streamrnn.from_keras(net)
    certificate = model.card.certificate
    assert certificate["passed"] is True and certificate["n_compared"] >= 9
    assert certificate["max_abs_error"] <= 2e-5 * max(1.0, certificate["max_abs_output"])
    xs = random_frames(model, n, seed=5)
    heads = max(len(model.spec.heads), 1)  # states that Keras answers behind them are left to the session
    expected = np.concatenate(in_keras(net, model, xs)[:heads], axis=1)
    ours = streamed(model, xs).reshape(-1, expected.shape[1])[late:]
    both = min(len(ours), len(expected))
    assert both >= n - late - 3
    np.testing.assert_allclose(ours[:both], expected[:both], rtol=1e-4, atol=5e-5)
    return model


@pytest.mark.parametrize("name", [name for name in nets.CELLS if name not in {"stateful", "of fixed length"}])
def test_cells(name):
    check(nets.CELLS[name]())


@pytest.mark.parametrize("name", ["stateful", "of fixed length"])
def test_a_model_made_for_one_length_streams_any(name):
    model = streamrnn.from_keras(nets.CELLS[name]())
    assert model.card.certificate["passed"] is True and model.card.certificate["n_compared"] == 256


@pytest.mark.parametrize("name", [name for name in nets.STEPS if name not in nets.OTHERWISE])
def test_layers_of_a_step(name):
    check(nets.STEPS[name]())


@pytest.mark.parametrize("name", nets.ACTIVATIONS)
def test_activations(name):
    check(nets.activation(name)())


@pytest.mark.parametrize("name", nets.WINDOWS)
def test_windows_of_steps(name):
    net, late = nets.WINDOWS[name]
    check(net(), late)


@pytest.mark.parametrize("name", nets.WHOLE)
def test_what_answers_once_answers_for_all_so_far(name):
    net = nets.WHOLE[name]()
    model = streamrnn.from_keras(net)
    assert model.card.certificate["passed"] is True
    if name == "tokens of fixed length":
        return
    xs = random_frames(model, 9, seed=2)
    expected = in_keras(net, model, xs)[0]
    np.testing.assert_allclose(streamed(model, xs)[-1], expected[-1], rtol=1e-4, atol=2e-5)


def test_weights_trained_in_half_precision_are_compared_in_float32():
    assert streamrnn.from_keras(nets.STEPS["mixed precision"]()).card.certificate["max_abs_error"] < 1e-6


def test_a_window_of_fixed_size_without_time_is_one_frame():
    net = nets.STEPS["a window as a frame"]()
    model = streamrnn.from_keras(net)
    xs = random_frames(model, 5, seed=2)
    expected = keras.ops.convert_to_numpy(net(xs.reshape(5, 8, 4), training=False))
    np.testing.assert_allclose(streamed(model, xs), expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", nets.REFUSED)
def test_what_cannot_be_streamed_is_refused_with_the_reason(name):
    net, words = nets.REFUSED[name]
    with pytest.raises(UnsupportedError) as caught:
        streamrnn.from_keras(net())
    for word in words:
        assert word in str(caught.value)


@st.composite
def recipes(draw):
    """A random chain of layers along the time: classes and options, for Keras draws random numbers where it builds."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        units, bias = draw(st.integers(1, 9)), draw(st.booleans())
        act = draw(st.sampled_from(["tanh", "relu", "sigmoid", "softsign", "hard_sigmoid"]))
        gates = draw(st.sampled_from(["sigmoid", "hard_sigmoid"]))
        cell = {"units": units, "return_sequences": True, "use_bias": bias, "activation": act}
        conv = {"filters": units, "padding": draw(st.sampled_from(["causal", "valid", "same"])), "use_bias": bias}
        kernel, stride, multiplier = (draw(st.integers(1, n)) for n in (4, 2, 2))
        options = [
            (L.LSTM, cell | {"recurrent_activation": gates}),
            (L.GRU, cell | {"recurrent_activation": gates, "reset_after": draw(st.booleans())}),
            (L.SimpleRNN, cell),
            (L.Dense, {"units": units, "activation": act, "use_bias": bias}),
            (L.Conv1D, conv | {"kernel_size": kernel, "strides": stride}),
            (L.Conv1D, conv | {"kernel_size": kernel, "dilation_rate": 2, "activation": act}),
            (L.DepthwiseConv1D, {"kernel_size": 3, "padding": "same", "depth_multiplier": multiplier}),
            (L.MaxPooling1D, {"pool_size": 2}),
            (L.LayerNormalization, {"epsilon": 0.1}),
            (L.BatchNormalization, {}),
        ]
        found.append(draw(st.sampled_from(options)))
    return draw(st.integers(1, 6)), found


@settings(max_examples=40)
@given(recipe=recipes(), seed=st.integers(0, 1000))
def test_random_nets(recipe, seed):
    size, layers = recipe
    net = keras.Sequential([keras.Input((None, size)), *(kind(**options) for kind, options in layers), L.Dense(3)])
    certificate = streamrnn.from_keras(with_weights(net, seed)).card.certificate
    assert certificate["passed"] is True and certificate["n_compared"] > 200


def test_an_archive_a_folder_and_a_live_model_are_the_same(tmp_path):
    net = chain(L.LSTM(3, return_sequences=True), L.Dense(2))
    net.save(tmp_path / "net.keras")
    net.save(tmp_path / "folder", zipped=False)
    models = [streamrnn.from_keras(one) for one in (net, tmp_path / "net.keras", str(tmp_path / "folder"))]
    assert len({model.digest for model in models}) == 1
    assert models[0].card.certificate["reading"].startswith("lstm")


def test_heads_have_the_names_of_outputs_and_states_are_left_to_the_session():
    model = streamrnn.from_keras(nets.STEPS["heads"]())
    assert [(head.name, head.size) for head in model.spec.heads] == [("slow", 3), ("fast", 2)]
    listed = streamrnn.from_keras(graph(lambda x: [L.Dense(2, name="a")(x), L.Dense(1, name="b")(x)]))
    assert [head.name for head in listed.spec.heads] == ["a", "b"]
    assert streamrnn.from_keras(nets.CELLS["return state"]()).output_size == 3


def test_several_steps_make_a_frame_where_asked():
    net = chain(L.Conv1D(3, 3, strides=2, padding="causal"))
    assert streamrnn.from_keras(net, frame_steps=8).input_size == 32
    with pytest.raises(UnsupportedError, match="multiple"):
        streamrnn.from_keras(net, frame_steps=3)


def test_an_example_says_what_the_frames_tried_are_like():
    net = chain(L.Dense(2))
    example = np.random.default_rng(0).normal(1000.0, 1.0, (50, 4))
    assert streamrnn.from_keras(net, example=example).card.certificate["max_abs_output"] > 100
    with pytest.raises(OptionError, match="shape"):
        streamrnn.from_keras(net, example=np.zeros((5, 3)))


def test_several_inputs_are_refused():
    a, b = keras.Input((None, 3)), keras.Input((None, 3))
    with pytest.raises(UnsupportedError, match="2 inputs"):
        streamrnn.from_keras(keras.Model([a, b], L.Add()([a, b])))


class Own(keras.Model):
    """A model whose call is Python code."""

    def __init__(self):
        super().__init__()
        self.dense = L.Dense(2)

    def call(self, x):
        return self.dense(x)


@keras.saving.register_keras_serializable("tests")
class Dense(keras.layers.Layer):
    """A layer that has the name of another."""

    def call(self, x):
        return 2 * x


def test_classes_of_ones_own_are_refused(tmp_path):
    own = Own()
    own(np.zeros((1, 3, 4), np.float32))
    with pytest.raises(UnsupportedError, match=r"Own itself.*Python code"):
        streamrnn.from_keras(own)
    with pytest.raises(UnsupportedError, match="class of your own"):
        streamrnn.from_keras(chain(Dense()))


def test_without_keras_an_archive_is_read_and_nothing_is_compared(tmp_path, monkeypatch):
    net = chain(L.GRU(3, return_sequences=True))
    net.save(tmp_path / "net.keras")
    with_keras = streamrnn.from_keras(tmp_path / "net.keras")
    monkeypatch.setitem(__import__("sys").modules, "keras", None)
    model = streamrnn.from_keras(tmp_path / "net.keras")
    assert model.card.certificate["passed"] is None and "max_abs_error" not in model.card.certificate
    assert model.digest == with_keras.digest


# The archive itself


def repacked(path, **changes):
    """The archive at `path` with members replaced, or left out where None."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members |= {name.replace("__", "."): change for name, change in changes.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, blob in members.items():
            if blob is not None:
                archive.writestr(name, blob)
    return path


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.keras"
    chain(L.LSTM(3, return_sequences=True), L.LSTM(2, return_sequences=True, name="second")).save(path)
    return path


def test_layers_are_found_by_counting_where_the_file_tells_no_names(saved):
    digest = streamrnn.from_keras(saved).digest
    blob = io.BytesIO(zipfile.ZipFile(saved).read("model.weights.h5"))
    with h5py.File(blob, "a") as file:
        for path in ("layers/lstm/vars", "layers/lstm_1/vars"):
            del file[path].attrs["name"]
    assert keras_archive.read_archive(saved).weights.part("layers", "lstm_1").name == "second"
    repacked(saved, model__weights__h5=blob.getvalue())
    assert keras_archive.read_archive(saved).weights.part("layers", "lstm_1").name == ""
    assert streamrnn.from_keras(saved).digest == digest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config__json": None}, "config.json"),
        ({"config__json": b"{"}, "damaged"),
        ({"config__json": b"[]"}, "do not fit"),
        ({"config__json": b'{"class_name": "Sequential", "config": {"layers": [{}]}}'}, "do not fit"),
        ({"model__weights__h5": None}, "model.weights.h5"),
        ({"model__weights__h5": b"no HDF5"}, "damaged"),
    ],
)
def test_a_damaged_archive_is_refused(saved, changes, words):
    with pytest.raises(ModelFileError, match=words):
        streamrnn.from_keras(repacked(saved, **changes))


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "net.keras").write_bytes(b"no archive")
    with pytest.raises(ModelFileError, match="expected a Keras 3 archive"):
        streamrnn.from_keras(tmp_path / "net.keras")


def test_an_archive_of_keras_2_is_refused(saved):
    with pytest.raises(UnsupportedError, match=r"Keras 2.15.0"):
        streamrnn.from_keras(repacked(saved, metadata__json=json.dumps({"keras_version": "2.15.0"}).encode()))


def test_links_that_lead_out_of_the_file_are_not_followed(saved, tmp_path):
    blob = io.BytesIO(zipfile.ZipFile(saved).read("model.weights.h5"))
    with h5py.File(blob, "a") as file:
        del file["layers/lstm/cell"]
        file["layers/lstm/cell"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/")
    with pytest.raises(ModelFileError, match="link"):
        streamrnn.from_keras(repacked(saved, model__weights__h5=blob.getvalue()))


def test_a_tensor_larger_than_its_file_is_refused(saved):
    blob = io.BytesIO(zipfile.ZipFile(saved).read("model.weights.h5"))
    with h5py.File(blob, "a") as file:
        del file["layers/lstm/cell/vars/0"]
        file["layers/lstm/cell/vars"].create_dataset("0", (2**20, 2**12), "f4", chunks=(1024, 1024), compression="gzip")
    with pytest.raises(ModelFileError, match="not held in the file"):
        streamrnn.from_keras(repacked(saved, model__weights__h5=blob.getvalue()))


def test_a_layer_without_its_variables_is_named(saved):
    blob = io.BytesIO(zipfile.ZipFile(saved).read("model.weights.h5"))
    with h5py.File(blob, "a") as file:
        del file["layers/lstm_1/cell"]
    with pytest.raises(UnsupportedError, match=r"'second'.*0 variables"):
        streamrnn.from_keras(repacked(saved, model__weights__h5=blob.getvalue()))
