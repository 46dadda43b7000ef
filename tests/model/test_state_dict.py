"""Models from a state dict and a spec: in the short form, in full, with every fault named; torch or not."""

from __future__ import annotations

import json

import numpy as np
import pytest

import streamrnn
from streamrnn import Spec
from streamrnn.errors import SpecError
from streamrnn.model.trial import play
from tests.laws.nets import CELLS, random_frames, random_model, same_bits
from tests.reference import Reference

RNG = np.random.default_rng(5)


def tensor(*shape):
    return (RNG.standard_normal(shape) * 0.3).astype(np.float32)


def linear(name, n_in, n_out):
    return {f"{name}.weight": tensor(n_out, n_in), f"{name}.bias": tensor(n_out)}


def cell(name, kind, n_in, n, layer=0, bias=True):
    rows = {"rnn": 1, "lstm": 4, "gru": 3}[kind] * n
    weights = {f"{name}.weight_ih_l{layer}": tensor(rows, n_in), f"{name}.weight_hh_l{layer}": tensor(rows, n)}
    return weights | ({f"{name}.bias_{x}_l{layer}": tensor(rows) for x in ("ih", "hh")} if bias else {})


STACKED = cell("lstm", "lstm", 6, 8) | cell("lstm", "lstm", 8, 8, layer=1) | linear("fc", 8, 3)
STACKED_FORM = {
    "input": 6,
    "layers": [{"kind": "lstm", "name": "lstm", "num_layers": 2}, {"kind": "linear", "name": "fc"}],
}
CLASSIC = linear("i2h", 4 + 9, 9) | linear("i2o", 4 + 9, 3)


def agrees(model):
    """Whether the compiled model computes its spec, by the reference."""
    xs = random_frames(model, 12)
    np.testing.assert_allclose(play(model, xs, 12), Reference(model.spec, model.tensors).run(xs), atol=1e-5)


class TestShortForm:
    def test_a_stack_with_a_head(self):
        model = streamrnn.from_state_dict(STACKED, STACKED_FORM)
        assert [(node.name, node.kind, node.size) for node in model.spec.nodes] == [
            ("input", "input", 6),
            ("lstm.l0", "lstm", 8),
            ("lstm.l1", "lstm", 8),
            ("fc", "linear", 3),
        ]
        assert same_bits(model.tensors["lstm.l1.weight_hh"], STACKED["lstm.weight_hh_l1"])
        agrees(model)

    def test_it_is_plain_json(self):
        form = json.loads(json.dumps(STACKED_FORM))
        assert (
            streamrnn.from_state_dict(STACKED, form).digest == streamrnn.from_state_dict(STACKED, STACKED_FORM).digest
        )

    def test_the_number_of_layers_is_read_off_the_tensors(self):
        form = {"layers": [{"kind": "lstm", "name": "lstm"}, {"kind": "linear", "name": "fc"}]}
        assert (
            streamrnn.from_state_dict(STACKED, form).digest == streamrnn.from_state_dict(STACKED, STACKED_FORM).digest
        )

    def test_every_kind(self):
        tensors = (
            {"norm.scale": tensor(5), "norm.shift": tensor(5)}
            | cell("a", "rnn", 5, 6)
            | cell("b", "gru", 6, 7, bias=False)
            | linear("fc", 7, 4)
        )
        kinds = ["tanh", "sigmoid", "relu", "softmax", "log_softmax"]
        layers = [
            {"kind": "affine", "name": "norm"},
            {"kind": "rnn", "name": "a", "nonlinearity": "relu"},
            {"kind": "gru", "name": "b", "reset": "before"},
            {"kind": "linear", "name": "fc"},
            *({"kind": kind} for kind in kinds),
        ]
        model = streamrnn.from_state_dict(tensors, {"layers": layers})
        assert [node.kind for node in model.spec.nodes] == ["input", "affine", "rnn", "gru", "linear", *kinds]
        assert model.spec.node("a").nonlinearity == "relu"
        assert (model.spec.node("b").reset, model.spec.node("b").bias) == ("before", False)
        agrees(model)

    @pytest.mark.filterwarnings("ignore:LSTM with projections")
    def test_convolutions_and_norms(self):
        """The same as the PyTorch layers that the tensors are named after, padded by zeros on the left."""
        torch = pytest.importorskip("torch")
        nn = torch.nn
        torch.manual_seed(0)
        net = nn.ModuleDict({
            "one": nn.Conv1d(4, 6, 3, dilation=2, groups=2), "norm": nn.BatchNorm1d(6), "slope": nn.PReLU(6),
            "two": nn.Conv1d(6, 5, 4, stride=2, bias=False), "layer": nn.LayerNorm(5),
            "lstm": nn.LSTM(5, 7, proj_size=3, batch_first=True), "rms": nn.RMSNorm(3),
        }).eval().requires_grad_(False)  # fmt: skip
        nn.init.normal_(net["norm"].running_mean)
        layers = [
            {"kind": "conv", "name": "one", "dilation": 2, "groups": 2},
            {"kind": "batch_norm", "name": "norm"},
            {"kind": "prelu", "name": "slope"},
            {"kind": "conv", "name": "two", "stride": 2},
            {"kind": "gelu"},
            {"kind": "layer_norm", "name": "layer"},
            {"kind": "leaky_relu", "alpha": 0.2},
            {"kind": "lstm", "name": "lstm"},
            {"kind": "rms_norm", "name": "rms"},
        ]
        model = streamrnn.from_state_dict(net.state_dict(), {"layers": layers})
        assert (model.input_steps, model.input_size, model.output_size) == (2, 8, 3)
        xs = torch.randn(40, 4)
        y = net["slope"](net["norm"](net["one"](nn.functional.pad(xs.T[None], (4, 0)))))
        y = nn.functional.gelu(net["two"](nn.functional.pad(y, (2, 0)))).transpose(1, 2)
        y = net["rms"](net["lstm"](nn.functional.leaky_relu(net["layer"](y), 0.2))[0])[0]
        np.testing.assert_allclose(play(model, xs.numpy().reshape(20, 8), 20), y.numpy(), rtol=1e-4, atol=1e-5)

    def test_tokens(self):
        tensors = {"emb.weight": tensor(11, 4)} | cell("gru", "gru", 4, 6)
        form = {"input_tokens": 11, "layers": [{"kind": "embedding", "name": "emb"}, {"kind": "gru", "name": "gru"}]}
        model = streamrnn.from_state_dict(tensors, form)
        assert (model.input_kind, model.n_tokens) == ("token", 11)
        agrees(model)

    def test_a_prefix(self):
        prefixed = {f"module.{name}": value for name, value in STACKED.items()}
        model = streamrnn.from_state_dict(prefixed, STACKED_FORM | {"prefix": "module."})
        assert model.digest == streamrnn.from_state_dict(STACKED, STACKED_FORM).digest

    def test_a_card(self):
        assert streamrnn.from_state_dict(STACKED, STACKED_FORM, card=streamrnn.Card(name="x")).card.name == "x"

    def test_layers_without_a_name(self):
        """The state dict of a bare `nn.GRU`."""
        tensors = {name.removeprefix("gru."): value for name, value in cell("gru", "gru", 3, 5).items()}
        agrees(streamrnn.from_state_dict(tensors, {"layers": [{"kind": "gru"}]}))


class TestClassic:
    def test_the_tutorials_net(self):
        model = streamrnn.from_state_dict(CLASSIC, {"layers": [{"kind": "classic_rnn"}, {"kind": "log_softmax"}]})
        assert (model.input_size, model.output_size, model.program.regions[0].size) == (4, 3, 9)
        agrees(model)

    def test_the_first_output_is_of_the_input_alone(self):
        model = streamrnn.from_state_dict(CLASSIC, {"layers": [{"kind": "classic_rnn"}]})
        x = random_frames(model, 1)
        expected = CLASSIC["i2o.weight"][:, :4] @ x[0] + CLASSIC["i2o.bias"]
        np.testing.assert_allclose(play(model, x, 1)[0], expected, atol=1e-5)

    @pytest.mark.parametrize("options", [{}, {"reads": "new"}, {"hidden": "relu"}, {"input_first": False}], ids=str)
    def test_its_forms_differ(self, options):
        form = {"layers": [{"kind": "classic_rnn", **options}]}
        model = streamrnn.from_state_dict(CLASSIC, form)
        agrees(model)
        plain = streamrnn.from_state_dict(CLASSIC, {"layers": [{"kind": "classic_rnn"}]})
        xs = random_frames(model, 6)
        assert same_bits(play(model, xs, 6), play(plain, xs, 6)) == (not options)

    def test_split_matrices_and_a_prefix(self):
        tensors = linear("net.i2h", 4, 9) | linear("net.h2h", 9, 9) | linear("net.h2o", 9, 3)
        agrees(streamrnn.from_state_dict(tensors, {"layers": [{"kind": "classic_rnn", "name": "net", "reads": "new"}]}))

    @pytest.mark.parametrize(
        ("tensors", "words"),
        [
            (linear("i2h", 13, 9), "i2o"),
            (linear("i2o", 13, 9), "i2h"),
            (linear("i2h", 9, 9) | linear("i2o", 13, 3), "expected it to read the input and the hidden state"),
            (CLASSIC | {"i2o.weight": tensor(3, 12)}, "reads 12"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, tensors, words):
        with pytest.raises(SpecError, match=words):
            streamrnn.from_state_dict(tensors, {"layers": [{"kind": "classic_rnn"}]})

    def test_it_is_the_first_layer(self):
        with pytest.raises(SpecError, match="first layer"):
            streamrnn.from_state_dict(CLASSIC, {"layers": [{"kind": "tanh"}, {"kind": "classic_rnn"}]})


class TestFull:
    @pytest.mark.parametrize("name", CELLS)
    def test_a_spec_with_our_names(self, name):
        model = random_model(name, 4, 6)
        assert streamrnn.from_state_dict(model.tensors, model.spec).digest == model.digest

    def test_a_spec_in_its_plain_form_with_torchs_names(self):
        spec = {
            "nodes": [
                {"name": "input", "kind": "input", "size": 5},
                {"name": "gru", "kind": "gru", "size": 7, "inputs": ["input"]},
                {"name": "fc", "kind": "linear", "size": 5, "inputs": ["gru"]},
                {"name": "skip", "kind": "add", "size": 5, "inputs": ["fc", "input"]},
            ],
            "output": "skip",
        }
        tensors = cell("gru", "gru", 5, 7) | linear("fc", 7, 5)
        model = streamrnn.from_state_dict(tensors, json.loads(json.dumps(spec)))
        agrees(model)
        with pytest.raises(SpecError, match=r"'fc\.bias'"):
            streamrnn.from_state_dict({name: tensors[name] for name in tensors if name != "fc.bias"}, spec)

    def test_an_unused_tensor_is_named(self):
        model = random_model("lstm", 4, 6)
        with pytest.raises(SpecError, match="'more'"):
            streamrnn.from_state_dict({**model.tensors, "more": tensor(3)}, model.spec)


without = lambda name: {key: value for key, value in STACKED.items() if key != name}  # noqa: E731

FAULTS = {
    "missing": (without("lstm.weight_hh_l1"), STACKED_FORM, ["'lstm.weight_hh_l1'", "missing"]),
    "missing bias": (without("lstm.bias_hh_l0"), STACKED_FORM, ["'lstm.bias_hh_l0'", "missing"]),
    "unused": (STACKED | linear("aux", 8, 2), STACKED_FORM, ["'aux.weight'", "'aux.bias'", "uses"]),
    "fewer layers than tensors": (
        STACKED,
        {"layers": [{"kind": "lstm", "name": "lstm", "num_layers": 1}, {"kind": "linear", "name": "fc"}]},
        ["'lstm.weight_ih_l1'"],
    ),
    "more layers than tensors": (
        STACKED,
        {"layers": [{"kind": "lstm", "name": "lstm", "num_layers": 3}, {"kind": "linear", "name": "fc"}]},
        ["'lstm.weight_ih_l2'", "missing"],
    ),
    "another kind": (
        STACKED,
        {"layers": [{"kind": "gru", "name": "lstm"}, {"kind": "linear", "name": "fc"}]},
        ["lstm.l0.weight_ih", "(24, 6)", "(32, 6)"],
    ),
    "another shape": (STACKED | {"lstm.weight_ih_l1": tensor(32, 7)}, STACKED_FORM, ["reads 7", "gives 8"]),
    "a bias of another shape": (STACKED | {"fc.bias": tensor(4)}, STACKED_FORM, ["'fc.bias'", "(3,)", "(4,)"]),
    "a vector for a matrix": (STACKED | {"fc.weight": tensor(24)}, STACKED_FORM, ["'fc.weight'", "two dimensions"]),
    "integers": (STACKED | {"fc.bias": np.zeros(3, np.int64)}, STACKED_FORM, ["'fc.bias'", "int64"]),
    "NaN": (STACKED | {"fc.bias": np.full(3, np.nan, np.float32)}, STACKED_FORM, ["'fc.bias'", "NaN"]),
    "another input": (STACKED, STACKED_FORM | {"input": 7}, ["input 7", "6 values"]),
    "tokens": (STACKED, {"input_tokens": 6, "layers": STACKED_FORM["layers"]}, ["input_tokens 6", "6 values"]),
    "bidirectional": (
        STACKED | {f"{name}_reverse": STACKED[name] for name in STACKED if "_l" in name},
        STACKED_FORM,
        ["'lstm'", "bidirectional"],
    ),
    "no layers": (STACKED, {"layers": []}, ["no layer"]),
    "no such kind": (STACKED, {"layers": [{"kind": "convolution"}]}, ["convolution"]),
    "no such key": (STACKED, STACKED_FORM | {"inputs": 3}, ["inputs"]),
    "no such key in a layer": (STACKED, {"layers": [{"kind": "lstm", "n": 3}]}, ["`n`"]),
    "neither form": (STACKED, {}, ["layers"]),
    "bad node": (STACKED, {"nodes": [{"name": "a"}], "output": "a"}, ["kind"]),
    "embedding later": (
        {"emb.weight": tensor(4, 3)} | linear("fc", 2, 4),
        {"layers": [{"kind": "linear", "name": "fc"}, {"kind": "embedding", "name": "emb"}]},
        ["'emb'", "first"],
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named(name):
    tensors, form, words = FAULTS[name]
    with pytest.raises(SpecError) as refusal:
        streamrnn.from_state_dict(tensors, form)
    for word in words:
        assert word in refusal.value.message


def test_the_same_model_from_the_module_and_from_its_state_dict():
    torch = pytest.importorskip("torch")
    from tests.model.tutorial_modules import GRUModel, LSTMModel, VanillaRNN

    torch.manual_seed(6)
    for module, layers in (
        (VanillaRNN(5, 9, 3), [{"kind": "classic_rnn"}, {"kind": "log_softmax"}]),
        (LSTMModel(5, 9, 3), [{"kind": "lstm", "name": "lstm"}, {"kind": "linear", "name": "fc"}]),
        (GRUModel(5, 9, 3), [{"kind": "gru", "name": "gru"}, {"kind": "linear", "name": "fc"}]),
    ):
        from_state = streamrnn.from_state_dict(module.state_dict(), {"input": 5, "layers": layers})
        assert from_state.digest == streamrnn.from_torch(module).digest


def test_half_precision_tensors_are_widened():
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(3, 2)
    form = {"layers": [{"kind": "linear"}]}
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        cast = layer.to(dtype)
        model = streamrnn.from_state_dict(cast.state_dict(), form)
        assert same_bits(model.tensors["linear.weight"], cast.weight.detach().float().numpy())


def test_a_spec_object_is_checked_like_any():
    with pytest.raises(SpecError, match="first node"):
        streamrnn.from_state_dict({}, Spec((), "x"))
