"""CTC: the loss of a case worked out by hand, and the greedy reading."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from training.speech.ctc import Emission, ctc_loss, end_loss, greedy


def outputs_of(path: str) -> np.ndarray:
    """Log-probabilities whose likeliest path is `path`: a dash for the blank, a and b for labels 0 and 1."""
    outputs = np.full((len(path), 3), math.log(0.1), np.float32)
    outputs[np.arange(len(path)), ["-ab".index(letter) for letter in path]] = math.log(0.8)
    return outputs


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("----", []),
        ("-a--b-", [(0, 1), (1, 4)]),
        ("aaab", [(0, 0), (1, 3)]),
        ("aa-a", [(0, 0), (0, 3)]),
        ("bab", [(1, 0), (0, 1), (1, 2)]),
        ("", []),
    ],
)
def test_a_label_stands_where_it_begins(path, expected):
    assert greedy(outputs_of(path)) == [Emission(label, frame) for label, frame in expected]


def test_the_loss_is_that_of_all_paths_over_the_labels():
    """Two frames, one label a: the paths aa, -a, a- are 0.3 * 0.6 + 0.7 * 0.6 + 0.3 * 0.4 = 0.72."""
    log_probabilities = torch.log(torch.tensor([[[0.7, 0.3], [0.4, 0.6]]]))
    assert ctc_loss(log_probabilities, [(0,)]).item() == pytest.approx(-math.log(0.72), rel=1e-5)


def test_silence_is_learnt_and_two_labels_count_as_two():
    log_probabilities = torch.log(torch.tensor([[[0.7, 0.3], [0.4, 0.6], [0.5, 0.5]]]))
    assert ctc_loss(log_probabilities, [()]).item() == pytest.approx(-math.log(0.7 * 0.4 * 0.5), rel=1e-5)
    twice = ctc_loss(log_probabilities, [(0, 0)]).item()  # the only path is a-a
    assert twice == pytest.approx(-math.log(0.3 * 0.4 * 0.5) / 2, rel=1e-5)
    both = ctc_loss(log_probabilities.repeat(2, 1, 1), [(), (0, 0)]).item()
    assert both == pytest.approx((-math.log(0.7 * 0.4 * 0.5) + twice) / 2, rel=1e-5)


def test_a_target_that_cannot_be_said_has_no_gradient_instead_of_an_infinite_one():
    raw = torch.zeros(1, 2, 3, requires_grad=True)
    ctc_loss(torch.log_softmax(raw, -1), [(0, 1, 0)]).backward()
    assert raw.grad is not None and torch.equal(raw.grad, torch.zeros_like(raw))


def test_what_is_told_of_ends_is_a_label_before_each_and_blanks_elsewhere():
    """Frames of sequence 0: blank, a, a, blank; sequence 1 is of unknown ends and left out, sequence 2 is silence."""
    p_blank = torch.tensor([[0.9, 0.2, 0.3, 0.8], [0.5, 0.5, 0.5, 0.5], [0.7, 0.7, 0.7, 0.7]])
    log_probabilities = torch.log(torch.stack([p_blank, 1 - p_blank], -1))
    got = end_loss(log_probabilities, [(0,), (0,), ()], [(2,), (), ()], n_marked=2)
    of_label = -(math.log(0.8) + math.log(0.7)) / 2
    of_blank = -(math.log(0.9) + math.log(0.8) + 4 * math.log(0.7)) / 6
    assert got.item() == pytest.approx((of_label + of_blank) / 2, rel=1e-5)


def test_an_end_near_the_beginning_marks_what_there_is():
    log_probabilities = torch.log(torch.tensor([[[0.1, 0.9], [0.8, 0.2]]]))
    got = end_loss(log_probabilities, [(0,)], [(0,)], n_marked=6).item()
    assert got == pytest.approx((-math.log(0.9) - math.log(0.8)) / 2, rel=1e-5)
