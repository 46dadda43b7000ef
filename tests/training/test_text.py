"""What the recipes of text share: nets, padding, likelihood, sampling, and what a demo shows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import streamrnn_client
import torch
from torch import nn

import streamrnn
from training.confusion import confusion
from training.options import BUNDLED, parse
from training.text.corpus import Corpus
from training.text.likelihood import UNKNOWN, bits, bits_per_token, negative_log_likelihood
from training.text.padded import Afresh, in_lanes, pad
from training.text.reading import Reading
from training.text.sampling import write_on
from training.text.token_net import TokenNet


def test_unknown_targets_do_not_count():
    output = torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.1, 0.9]]).log()
    loss = negative_log_likelihood(output, torch.tensor([0, 0, UNKNOWN]))
    assert bits(float(loss)) == pytest.approx((1 + 2) / 2)


class Even(nn.Module):
    """Answers every token with the same probability for each of four."""

    def forward(self, x, state=None):
        return torch.full((*x.shape, 4), math.log(0.25)), state


def test_even_chances_take_two_bits():
    assert bits_per_token(Even(), torch.tensor([0, 1, 2, 3, 0, 1])) == pytest.approx(2.0)


def test_padding_and_lanes():
    padded = pad([[1, 2], [3], [4, 5, 6], [7], [8]], 3, 0)
    assert padded.tolist() == [[1, 2, 0], [3, 0, 0], [4, 5, 6], [7, 0, 0], [8, 0, 0]]
    assert in_lanes(padded, 2).tolist() == [[1, 2, 0, 4, 5, 6], [3, 0, 0, 7, 0, 0]]
    with pytest.raises(ValueError, match="a sequence of 3 does not fit in 2"):
        pad([[1, 2, 3]], 2, 0)


def test_afresh_forgets_and_shares_its_parameters():
    torch.manual_seed(0)
    net = TokenNet(4, 3, 5, dropout=0.0)
    afresh, x = Afresh(net).eval(), torch.tensor([[1, 2, 3]])
    _, state = net(x)
    assert torch.equal(afresh(x, state)[0], net(x)[0]) and afresh(x, state)[1] is None
    assert not torch.allclose(net(x, state)[0], net(x)[0])
    assert {id(p) for p in afresh.parameters()} == {id(p) for p in net.parameters()}


def test_dropped_weights_are_those_of_training_only():
    torch.manual_seed(0)
    net, x = TokenNet(4, 3, 16, dropout=0.0, weight_dropout=0.5), torch.tensor([[1, 2, 3, 0]])
    plain = TokenNet(4, 3, 16, dropout=0.0)
    plain.load_state_dict(net.state_dict())
    first, state = net(x)
    second, _ = net(x)
    assert not torch.allclose(first, second), "another mask each time"
    assert [tuple(part.shape) for part in state] == [(1, 1, 16), (1, 1, 16)]
    torch.testing.assert_close(first[:, 0], second[:, 0], msg="the first frame reads no recurrent weight")
    torch.testing.assert_close(net.eval()(x)[0], plain(x)[0])
    net.weight_dropout = 0.0
    torch.testing.assert_close(net.train()(x)[0], plain(x)[0])


@pytest.fixture(scope="module")
def model() -> streamrnn.Model:
    torch.manual_seed(0)
    return streamrnn.from_torch(TokenNet(6, 4, 8, dropout=0.0).eval())


def test_writing_on_is_the_seeds_and_what_pytorch_finds_possible(model):
    written = write_on(model, "abcdef", "ba", 200, 3)
    assert written == write_on(model, "abcdef", "ba", 200, 3) != write_on(model, "abcdef", "ba", 200, 4)
    assert written[:2] == "ba" and len(written) == 202 and set(written) <= set("abcdef")


def test_a_corpus_keeps_all_symbols():
    corpus = Corpus.of("abcabcabca" * 10 + "z", 20)
    assert corpus.symbols == "abcz" and len(corpus.text) == 20
    assert corpus.ids(slice(0, 4)).tolist() == [0, 1, 2, 0]
    assert (corpus.train, corpus.validation, corpus.test) == (slice(0, 18), slice(18, 19), slice(19, 20))


def test_what_is_read_is_shown_line_by_line(capsys):
    reading = Reading("\nab", "ab\nb")
    assert reading.frames.tolist() == [[1.0], [2.0], [0.0], [2.0]]
    y = np.log(np.array([0.5, 0.25, 0.25], np.float32))
    for seq in range(4):
        reading.show(seq, reading.frames[seq], streamrnn_client.Output(seq, y))
    assert (reading.n, reading.total_bits) == (3, pytest.approx(2 + 1 + 2))
    assert capsys.readouterr().out == " 1.00 bits a character  ab\n"


def test_confusion_counts_truth_in_rows():
    assert confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1]), 3).tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]


def test_sizes_have_files_of_their_own(tmp_path):
    small, large = (
        parse("r", "", "m", ["train", *more], sizes=("small", "large")) for more in ((), ("--size", "large"))
    )
    assert (small.checkpoint.name, large.checkpoint.name) == ("r.pt", "r_large.pt")
    assert (small.model, large.model) == ("m", "m_large")
    assert small.file == BUNDLED / "m.safetensors" and large.file == large.out / "m_large.safetensors"
    assert small.command == "python -m training.recipes.r train --seed 0"
    assert large.command == "python -m training.recipes.r train --seed 0 --size large"
    assert small.of_size("large").checkpoint == large.checkpoint and large.of_size("small").command == small.command
    assert parse("r", "", "m", ["train"]).checkpoint.name == "r.pt"
