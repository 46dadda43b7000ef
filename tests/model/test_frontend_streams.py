"""A front end keeps the laws, stands before models of any shape, and says what it cannot be."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

import streamrnn
from streamrnn import Frontend, Model, Node, Spec
from streamrnn.errors import OptionError, SpecError
from streamrnn.model.frontend.attach import frontend_model, with_frontend
from streamrnn.model.frontend.frontend import PRESETS, parse_frontend
from streamrnn.model.frontend.graph import frontend_nodes
from tests.model.listening import open_session, streamed
from tests.model.recordings import made_sound

SOUND = made_sound(8000)


@pytest.mark.parametrize("chosen", ["fbank40@8000", "mfcc13@8000"])
def test_any_chunking_gives_the_same_bits(chosen):
    frontend = replace(parse_frontend(chosen), delta_order=1, normalisation="running")
    model = frontend_model(frontend)
    x = SOUND[:2500]
    expected = streamed(model, x)
    rng = np.random.default_rng(3)
    for size in (1, 37, 80, 200, 8000, None):
        reframer, session = streamrnn.Reframer(model.input_size), open_session(model)
        ends = np.cumsum(rng.integers(1, 500, 40) if size is None else np.full(-(-len(x) // size), size))
        found = [session.run(reframer.push(chunk)) for chunk in np.split(x, ends[ends < len(x)])]
        assert np.array_equal(np.concatenate(found)[model.spec.delay :], expected)


def classifier(frontend: Frontend, steps: int = 1) -> Model:
    """A small net over features: a convolution, a cell, a running mean, and the frame before."""
    rng = np.random.default_rng(1)
    n = frontend.size
    nodes = (
        Node("x", "input", n, steps=steps),
        Node("conv", "conv", 8, ("x",), kernel=3, steps=steps, groups=1, stride=1),
        Node("tanh", "tanh", 8, ("conv",), steps=steps),
        Node("gru", "gru", 8, ("tanh",), steps=steps),
        Node("before", "previous", 8, ("gru",), steps=steps),
        Node("mean", "running_mean", 8, ("gru",), steps=steps),
        Node("sum", "add", 8, ("before", "mean"), steps=steps),
    )
    spec = Spec(nodes, "sum")
    shapes = {
        "conv.weight": (8, n, 3), "conv.bias": (8,), "gru.weight_ih": (24, 8), "gru.weight_hh": (24, 8),
        "gru.bias_ih": (24,), "gru.bias_hh": (24,),
    }  # fmt: skip
    tensors = {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    return Model(spec, tensors, streamrnn.Card(name="net", input_names=tuple(map(str, range(n * steps)))))


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("align", ["snip_edges", "causal"])
@pytest.mark.parametrize("delta_order", [0, 1])
def test_a_model_behind_a_front_end_hears_the_features_alone(steps, align, delta_order):
    frontend = replace(parse_frontend("fbank23@8000"), align=align, delta_order=delta_order)
    bare = classifier(frontend, steps)
    model = with_frontend(bare, frontend)
    assert model.input_size == 80 * steps and model.input_channels == 1
    assert model.spec.delay == -(-frontend.delay // steps)
    assert model.card.rate_hz == pytest.approx(100 / steps) and not model.card.input_names
    x = SOUND
    features = streamed(frontend_model(frontend), x)
    got = streamed(model, x)
    expected = open_session(bare).run(features[: len(got) * steps].reshape(len(got), -1))
    assert len(got) > 5
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_a_front_end_stays_exact_in_every_precision():
    x = SOUND
    model = frontend_model("mfcc13@8000")
    for precision in ("bfloat16", "int8"):
        assert np.array_equal(streamed(model.with_precision(precision), x), streamed(model, x))


def test_what_a_front_end_gives_can_be_saved(tmp_path):
    frontend = parse_frontend("fbank23@8000")
    model = with_frontend(classifier(frontend), frontend)
    model.save(tmp_path / "net.safetensors")
    again = streamrnn.load_model(tmp_path / "net.safetensors")
    assert again.digest == model.digest and again.spec.delay == 2
    assert msgspec.json.decode(again.card.provenance["frontend"], type=Frontend) == frontend
    x = SOUND
    assert np.array_equal(streamed(again, x), streamed(model, x))


def test_a_snapshot_amid_the_delay_changes_no_bit():
    frontend = replace(parse_frontend("fbank23@8000"), delta_order=1, normalisation="running")
    model = with_frontend(classifier(frontend), frontend)
    frames = SOUND[: 80 * 20].reshape(20, 80)
    expected = open_session(model).run(frames)
    for at in (1, 2, 3, 5, 9):
        session = open_session(model)
        first = session.run(frames[:at])
        engine = streamrnn.Engine()
        engine.add_model("m", model)
        rest = engine.restore(session.snapshot()).run(frames[at:])
        assert np.array_equal(np.concatenate([first, rest]), expected)


def test_a_batch_gives_the_bits_of_lone_sessions():
    frontend = replace(parse_frontend("mfcc13@8000"), delta_order=1, use_energy=True, normalisation="running")
    model = frontend_model(frontend)
    frames = SOUND[: 80 * 90].reshape(90, 80)
    engine = streamrnn.Engine()
    engine.add_model("m", model)
    sessions = [engine.open("m") for _ in range(9)]
    # Each hears the sound from another hop on.
    ys = [engine.step_many(sessions, np.stack([frames[n + s] for s in range(9)])) for n in range(30)]
    for s in range(9):
        assert np.array_equal(np.stack([y[s] for y in ys]), open_session(model).run(frames[s : s + 30]))


def test_choices_survive_json():
    frontend = replace(parse_frontend("mfcc13"), delta_order=2)
    assert msgspec.json.decode(msgspec.json.encode(frontend), type=Frontend) == frontend


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name):
    frontend = parse_frontend(name)
    nodes, tensors, output, delay = frontend_nodes(frontend)
    Model(Spec(nodes, output, delay=delay), tensors)
    assert next(node.size for node in nodes if node.name == output) == frontend.size == int(name[-2:]) or "@" in name
    assert delay == (0 if name.startswith("logmel") else 2)


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"window": "blackman"}, "window .* one of hann"),
        ({"mel_scale": "bark"}, "mel_scale"),
        ({"frame_shift_ms": 0.0}, "frame_shift_ms"),
        ({"frame_length_ms": 641.0}, "64 times the shift"),
        ({"low_hz": 9000.0}, "low_hz"),
        ({"high_hz": 9000.0}, "high_hz"),
        ({"n_ceps": 81}, "n_ceps"),
        ({"n_ceps": 13, "log": "none"}, "log .* cepstra"),
        ({"log_floor": 0.0}, "log_floor"),
        ({"delta_window": 0}, "delta_window"),
        ({"normalisation": "fixed"}, "mean .* 80 values"),
        ({"mean": (1.0,)}, "mean .* 0 values"),
        ({"sample_rate_hz": float("nan")}, "sample_rate_hz"),
    ],
)
def test_choices_that_cannot_be_are_refused(choice, text):
    with pytest.raises(OptionError, match=text):
        Frontend(**choice)


@pytest.mark.parametrize("name", ["fbank", "fbank0", "plp13", "fbank80@", "mfcc13@0"])
def test_an_unknown_name_is_refused_with_examples(name):
    with pytest.raises(OptionError, match="mfcc13"):
        parse_frontend(name)


def test_a_model_that_does_not_fit_is_refused():
    frontend = parse_frontend("fbank23@8000")
    bare = classifier(frontend)
    with pytest.raises(SpecError, match="40 features, this one reads 23"):
        with_frontend(bare, "fbank40@8000")
    with pytest.raises(SpecError, match="without a front end"):
        with_frontend(frontend_model(replace(frontend, n_mels=0, frame_length_ms=0.25)), "fbank1@8000")
    tokens = Model(Spec((Node("x", "input", 1, n_tokens=5),), "x"), {})
    with pytest.raises(SpecError, match="token ids"):
        with_frontend(tokens, frontend)
    with pytest.raises(SpecError, match="50 frames a second"):
        with_frontend(bare.with_card(streamrnn.Card(rate_hz=50.0)), frontend)
