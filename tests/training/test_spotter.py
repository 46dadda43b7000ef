"""The spotter: windows with a carried state are the whole, the engine is PyTorch, targets lie at the words' ends."""

from __future__ import annotations

import numpy as np
import torch

import streamrnn
from training.speech.soundtrack import Spoken, Word
from training.speech.spotter import (
    FRONTEND,
    IGNORED,
    OfflineSpotter,
    Posteriors,
    Spotter,
    frames_of,
    model_of,
    negative_log_likelihood,
    targets_of,
)
from training.speech.spotting import Lanes, Material, normalised
from training.streamed import outputs_of
from training.tbptt import run

LABELS = ("none", "a", "b")


def net(seed=0):
    torch.manual_seed(seed)
    return Spotter(FRONTEND.size, 3, 8, 12, dropout=0.3).eval()


def sound(n=16000, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, n).astype(np.float32)


def material():
    rng = np.random.default_rng(3)
    words = {label: [Word(label, rng.normal(0, 0.2, 6000).astype(np.float32), 1000, 5000)] for label in "ab"}
    return Material(LABELS, words, {"a": 0.5, "b": 0.5})


def test_windows_with_a_carried_state_are_the_whole():
    spotter, x = net(), torch.randn(2, 23, 2 * FRONTEND.size)
    whole = run(spotter, x, 1000)
    torch.testing.assert_close(run(spotter, x, 7), whole, atol=1e-5, rtol=0)
    with torch.no_grad():
        hops = x[:1].reshape(1, 46, FRONTEND.size)
        torch.testing.assert_close(Posteriors(spotter)(hops), whole[:1].exp(), atol=1e-5, rtol=0)


def test_a_session_answers_what_pytorch_answers_of_the_whole_recording():
    spotter, x = net(), sound(16000 + 137)
    model = model_of(spotter, FRONTEND, streamrnn.Card())
    assert (model.input_size, model.output_size, model.spec.delay, model.card.rate_hz) == (320, 3, 0, 50.0)
    streamed, offline = outputs_of(model, frames_of(x)), OfflineSpotter(spotter, FRONTEND)(x)
    assert streamed.shape == offline.shape == (50, 3)
    assert np.abs(streamed - offline).max() < 1e-5 and np.ptp(streamed, axis=0).max() > 1e-3


def test_targets_lie_around_the_end_of_a_word():
    targets = targets_of([Spoken("b", 1600, 6560)], 60, LABELS)  # 0.1 to 0.41 s; frame i ends at (i + 1) * 20 ms
    expected = np.zeros(60, np.int64)
    expected[5:17] = IGNORED  # after the start, until 60 ms before the end
    expected[17:35] = 2  # 0.35 to 0.71 s
    expected[35:40] = IGNORED
    np.testing.assert_array_equal(targets, expected)
    assert not targets_of([Spoken("none", 0, 6400)], 60, LABELS).any()


def test_a_word_soon_after_another_does_not_unname_it():
    targets = targets_of([Spoken("a", 0, 3200), Spoken("b", 3300, 9600)], 60, LABELS)
    assert set(targets[9:24]) == {1}


def test_the_loss_is_by_hand_and_leaves_out_what_is_ignored():
    output = torch.log(torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05]]]))
    value = negative_log_likelihood(output, torch.tensor([[0, 1, IGNORED]]))
    torch.testing.assert_close(value, -(torch.tensor(0.5).log() + torch.tensor(0.8).log()) / 2)


def test_lanes_are_the_same_for_a_seed_and_new_each_epoch():
    frontend = normalised(material(), 0, 2, 2.0)
    lanes = Lanes(material(), frontend, 5, n_lanes=3, seconds=2.0)
    (x, target), (again, same), (other, _) = lanes(0), Lanes(material(), frontend, 5, 3, 2.0)(0), lanes(1)
    assert x.shape == (3, 100, 2 * FRONTEND.size) and target.shape == (3, 100)
    assert torch.equal(x, again) and torch.equal(target, same) and not torch.equal(x, other)
    assert {1, 2} & set(target.unique().tolist())
    plain = Lanes(material(), frontend, 5, 3, 2.0, is_disturbed=False)(0)[0]
    assert torch.isfinite(plain).all() and (x == 0).sum() > (plain == 0).sum()
