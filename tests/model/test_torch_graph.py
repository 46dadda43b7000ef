"""Modules whose forward is more than a chain: imported by their graph, against the forward itself."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import streamrnn  # noqa: E402
from streamrnn.errors import OptionError, UnsupportedError  # noqa: E402
from tests.model.torch_nets import (  # noqa: E402
    Ahead,
    Cached,
    Choices,
    ConvGru,
    Denoiser,
    Framed,
    Frequency,
    NormedState,
    Norms,
    Peeks,
    Pooled,
    Projected,
    RawAudio,
    Speaker,
    Stepwise,
    Tcn,
    VoiceFrame,
    WaveNet,
    separable,
    shaken,
)

WHOLE = {
    "tcn": (lambda: Tcn(), "module(x (1, 5, T))", 0),
    "conv and gru": (lambda: ConvGru(), "module(x (1, T, 6))", 0),
    "separable": (lambda: nn.Sequential(separable(4, 8), separable(8, 6, stride=2)), "module(x (1, 4, T))", 0),
    "projected": (lambda: Projected(), "module(x (1, T, 7))", 0),
    "mean and deviation": (lambda: Speaker(), "module(x (1, 6, T))", 0),
    "mean, largest and last": (lambda: Pooled(), "module(x (1, T, 4))", 0),
    "look-ahead": (lambda: Ahead(), "module(x (1, 3, T))", 5),
    "denoiser": (lambda: Denoiser(), "module(x (1, T, 10))", 4),
    "wavenet": (lambda: WaveNet(), "module(x (1, T))", 0),
    "raw audio": (lambda: RawAudio(), "module(x (1, T))", 2),
    "time and frequency": (lambda: Frequency(), "module(x (1, T, 12))", 0),
    "norms": (lambda: Norms(), "module(x (T, 4))", 0),
    "cached": (lambda: Cached(), "module(x (1, 4, T), state)", 0),
    "choices": (lambda: Choices(), "module(x (1, T, 4))", 0),
    "framed": (lambda: Framed(), "module(x (1, T))", 1),
}
EXAMPLES = {
    "time and frequency": torch.randn(1, 50, 12),
    "cached": (torch.randn(1, 4, 50), torch.zeros(1, 4, 4)),
    "framed": torch.randn(1, 4000),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_sequence(name):
    torch.manual_seed(5)
    make, call, delay = WHOLE[name]
    module = shaken(make())
    model = streamrnn.from_torch(module, example=EXAMPLES.get(name))
    certificate = model.card.certificate
    assert (certificate["call"], certificate["reading"]) == (call, "the graph of its forward")
    assert certificate["passed"] and certificate["max_rel_error"] < 1e-4
    assert model.spec.delay == delay


FRAMES = {
    "one cell": (lambda: nn.GRUCell(3, 5), None),
    "cells, norms between": (
        lambda: Stepwise(),
        (torch.randn(1, 5), torch.zeros(1, 8), (torch.zeros(1, 6), torch.zeros(1, 6))),
    ),
    "a state that is normalised": (lambda: NormedState(), (torch.randn(1, 4), torch.zeros(1, 6))),
    "the last h": (lambda: Peeks(), (torch.randn(1, 4), torch.zeros(1, 5), torch.zeros(1, 5))),
    "a cache": (lambda: Cached(), (torch.randn(1, 4, 1), torch.zeros(1, 4, 4))),
    "voice": (lambda: VoiceFrame(), (torch.randn(1, 144), torch.zeros(2, 1, 16))),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_a_call(name):
    torch.manual_seed(6)
    make, example = FRAMES[name]
    module = shaken(make())
    certificate = streamrnn.from_torch(module, example=example).card.certificate
    assert certificate["call"].endswith("stepwise")
    assert certificate["passed"] and certificate["n_compared"] == 256


def test_heads_have_the_names_that_the_forward_gives_them():
    model = streamrnn.from_torch(ConvGru())
    assert [(head.name, head.size) for head in model.spec.heads] == [("pitch", 5), ("voice", 1)]


def test_nodes_have_the_names_of_their_layers():
    names = [node.name for node in streamrnn.from_torch(Tcn()).spec.nodes]
    assert {"first", "blocks.0.one", "blocks.3.two", "head"} <= set(names)


def test_a_batch_norm_becomes_part_of_the_layer_before_it():
    module = shaken(nn.Sequential(separable(4, 8), separable(8, 6)))
    assert [node.kind for node in streamrnn.from_torch(module).spec.nodes] == [
        "input", "conv", "clamp", "conv", "hard_swish", "conv", "clamp", "conv", "hard_swish",
    ]  # fmt: skip


class TestOptions:
    """What cannot be inferred is asked for."""

    def test_two_times_are_possible(self):
        with pytest.raises(UnsupportedError, match="time_dim"):
            streamrnn.from_torch(nn.GELU(), example=torch.randn(1, 6, 5))
        assert streamrnn.from_torch(nn.GELU(), example=torch.randn(1, 6, 5), time_dim=2).input_size == 6
        assert streamrnn.from_torch(nn.GELU(), example=torch.randn(1, 6, 5), time_dim="frame").input_size == 30

    def test_a_state_may_have_another_name(self):
        class Swapped(Stepwise):
            def forward(self, x, hc, h):
                y, h, hc = super().forward(x, h, hc)
                return h, y, hc[0], hc[1]

        zeros = torch.zeros(1, 8), torch.zeros(1, 6)
        example = (torch.randn(1, 5), (zeros[1], zeros[1]), zeros[0])
        with pytest.raises(OptionError, match="hc, h"):
            streamrnn.from_torch(Swapped(), example=example, states={"hidden": 0})
        with pytest.raises(OptionError, match="shape"):
            streamrnn.from_torch(Swapped(), example=example, states={"h": 1, "hc": 2})
        model = streamrnn.from_torch(Swapped(), example=example)
        assert model.output_size == 2

    def test_an_argument_may_be_no_state(self):
        class Conditioned(nn.Module):
            def __init__(self):
                super().__init__()
                self.gru, self.out = nn.GRU(3, 4, batch_first=True), nn.Linear(9, 2)

            def forward(self, x, speaker):
                y = self.gru(x)[0]
                return self.out(torch.cat([y, speaker.unsqueeze(1).expand(-1, y.shape[1], -1)], -1))

        example = torch.randn(1, 20, 3), torch.randn(1, 5)
        with pytest.raises(UnsupportedError, match=r"'speaker' \(1, 5\).*states=\{\}"):
            streamrnn.from_torch(Conditioned(), example=example)
        assert streamrnn.from_torch(Conditioned(), example=example, states={}).card.certificate["passed"]

    def test_a_frame_may_have_more_steps(self):
        model = streamrnn.from_torch(RawAudio(), frame_steps=96)
        assert (model.input_size, model.output_size) == (96, 18)
        with pytest.raises(UnsupportedError, match="32 steps"):
            streamrnn.from_torch(RawAudio(), frame_steps=100)

    def test_a_first_state_that_is_not_zero_is_refused(self):
        with pytest.raises(UnsupportedError, match="zeros"):
            streamrnn.from_torch(NormedState(), example=(torch.randn(1, 4), torch.ones(1, 6)))

    @pytest.mark.parametrize("options", [{"time_dim": 3}, {"time_dim": "steps"}], ids=str)
    def test_what_is_no_option_is_refused(self, options):
        with pytest.raises(OptionError, match="time_dim"):
            streamrnn.from_torch(nn.GRU(3, 4), example=torch.zeros(5, 1, 3), **options)


def test_the_module_and_its_random_numbers_are_left_as_they_were():
    module = ConvGru().train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    generator = torch.get_rng_state()
    streamrnn.from_torch(module)
    assert all(part.training for part in module.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert torch.equal(generator, torch.get_rng_state())
