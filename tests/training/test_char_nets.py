"""The mixture of two language models averages probabilities, keeps both states, and weighs by what is read."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import streamrnn
from training.checkpoint import Checkpoint
from training.fit import History
from training.streamed import outputs_of
from training.text.char_nets import SHARES, SIZES, mix, net_of
from training.text.mixture_net import MixtureNet
from training.text.token_net import TokenNet

FIRST = {"n_symbols": 5, "embedding_size": 3, "hidden_size": 7, "dropout": 0.5}
SECOND = {"n_symbols": 5, "embedding_size": 2, "hidden_size": 4, "dropout": 0.5}
IDS = torch.tensor([[0, 3, 1, 4, 2, 2, 0, 1]])


def checkpoint_of(arguments, seed):
    torch.manual_seed(seed)
    return Checkpoint(TokenNet(**arguments).state_dict(), arguments, seed, "", History(), {})


@pytest.fixture
def mixture() -> MixtureNet:
    torch.manual_seed(0)
    return MixtureNet(FIRST, SECOND, 0.25).eval()


def test_probabilities_are_averaged(mixture):
    expected = 0.75 * mixture.first(IDS)[0].exp() + 0.25 * mixture.second(IDS)[0].exp()
    torch.testing.assert_close(mixture(IDS)[0].exp(), expected)
    torch.testing.assert_close(mixture(IDS)[0].exp().sum(-1), torch.ones(1, 8))


def test_its_state_is_that_of_both(mixture):
    whole, _ = mixture(IDS)
    head, state = mixture(IDS[:, :3])
    tail, _ = mixture(IDS[:, 3:], state)
    assert [part.shape[-1] for part in state] == [7, 7, 4, 4]
    torch.testing.assert_close(torch.cat([head, tail], 1), whole)


def test_it_streams_as_it_is(mixture):
    model = streamrnn.from_torch(mixture)
    outputs = outputs_of(model, IDS[0, :, None].float().numpy())
    torch.testing.assert_close(torch.tensor(outputs), mixture(IDS)[0][0].detach(), atol=1e-5, rtol=1e-5)


def test_the_share_is_the_best_of_those_tried():
    """A small net that foretells the text and a large one that foretells nothing: the largest share is taken."""
    small, large = checkpoint_of(SECOND, 1), checkpoint_of(FIRST, 2)
    sure = {name: torch.zeros_like(value) for name, value in small.weights.items()}
    sure["fc.bias"] = torch.tensor([0.0, 0.0, 9.0, 0.0, 0.0])
    small = dataclasses.replace(small, weights=sure)
    net, arguments, found = mix(large, small, torch.full((20,), 2))
    assert net.share == arguments["share"] == SHARES[-1] == 0.5
    p = 0.5 * net_of(large)(torch.full((1, 19), 2))[0].exp()[..., 2] + 0.5
    assert found == pytest.approx(float(-torch.log2(p.detach()).mean()), abs=1e-3)


def test_a_checkpoint_knows_which_net_it_holds(mixture):
    kept = checkpoint_of(FIRST, 0)
    assert isinstance(net_of(kept), TokenNet) and not net_of(kept).training
    arguments = {"first": FIRST, "second": SECOND, "share": 0.25}
    again = net_of(dataclasses.replace(kept, weights=mixture.state_dict(), arguments=arguments))
    assert isinstance(again, MixtureNet)
    torch.testing.assert_close(again(IDS)[0], mixture(IDS)[0])


def test_the_bundled_size_is_what_its_card_says():
    assert next(iter(SIZES)) == "small" and SIZES["small"].net["hidden_size"] == 216
    quick = SIZES["large"].quickly()
    assert quick.net["hidden_size"] == 16 and quick.fit.max_epochs == 2 and quick.n_threads == 2
