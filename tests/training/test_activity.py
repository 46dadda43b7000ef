"""Activities: windows split as published, turned a little in training, counted by what they are taken for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import streamrnn
from tests.training.conftest import folder_or_skip
from training.confusion import confusion, worst_mistake
from training.data import DataMissing
from training.recipes.activity import ActivityNet, Augmented, accuracy, streamed
from training.sequences import answer
from training.series.rotation import rotated, rotations
from training.sets.uci_har import ACTIVITIES, UCI_HAR, Windows, har_windows


def windows_of(n: int) -> Windows:
    rng = np.random.default_rng(0)
    return Windows(rng.normal(size=(n, 128, 9)).astype(np.float32), np.arange(n) % 6)


def test_the_last_400_windows_validate(tmp_path):
    x = np.arange(402 * 128 * 9, dtype=np.float32).reshape(402, 128, 9)
    y = np.array([1, 6] * 201, np.int8)
    np.savez(tmp_path / "uci_har_subset.npz", X_train=x, y_train=y, X_test=x[:3], y_test=y[:3])
    train, validation, test = (har_windows(tmp_path, part) for part in ("train", "validation", "test"))
    assert (len(train.x), len(validation.x), len(test.x)) == (2, 400, 3)
    assert (validation.x[0] == x[2]).all() and train.activity.tolist() == [0, 5]
    with pytest.raises(DataMissing, match=r"uci_har_subset\.npz not found"):
        har_windows(tmp_path / "nowhere", "train")


def test_rotations_keep_lengths_and_turn_no_further_than_told():
    generator = torch.Generator().manual_seed(0)
    matrices = rotations(200, 15.0, generator)
    assert torch.allclose(matrices @ matrices.transpose(1, 2), torch.eye(3).expand(200, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(matrices), torch.ones(200), atol=1e-5)
    degrees = torch.rad2deg(torch.arccos(((matrices.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1)))
    assert 10.0 < float(degrees.max()) < 15.1
    x = torch.randn(5, 7, 9, generator=generator)
    turned = rotated(x, 15.0, generator)
    lengths = [part.view(5, 7, 3, 3).norm(dim=3) for part in (x, turned)]
    assert torch.allclose(*lengths, atol=1e-5) and float((x - turned).abs().max()) > 0.05


def test_every_other_batch_hears_less():
    lengths = [x.shape[1] for x, _ in Augmented(windows_of(200), torch.Generator().manual_seed(0))(0)]
    assert len(lengths) == 4 and lengths[1] == lengths[3] == 128
    assert all(32 <= n < 128 for n in lengths[::2])


def test_counts_by_hand():
    counts = confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1]), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert worst_mistake(np.array([[5, 0, 1], [3, 5, 0], [0, 0, 5]]), "abc") == "b taken for a, 3 of 4"
    assert accuracy(np.float32([[0, 1], [1, 0]]), np.array([1, 1])) == 0.5


def test_a_stream_answers_each_frame_as_if_the_window_ended_there():
    torch.manual_seed(0)
    net = ActivityNet([0.0] * 9, [1.0] * 9, 4, 6).eval()
    windows = windows_of(3)
    ys = streamed(streamrnn.from_torch(net), windows)
    assert ys.shape == (3, 128, len(ACTIVITIES))
    for n in (1, 2, 5, 60, 128):
        whole = answer(net, torch.as_tensor(windows.x[:, :n])).numpy()
        assert np.abs(ys[:, n - 1] - whole).max() < 1e-5
    assert np.abs(ys[:, 0] - ys[:, 127]).max() > 1e-3


def test_the_subset():
    folder = folder_or_skip(UCI_HAR)
    parts = {part: har_windows(folder, part) for part in ("train", "validation", "test")}
    assert {part: one.x.shape for part, one in parts.items()} == {
        "train": (2000, 128, 9),
        "validation": (400, 128, 9),
        "test": (950, 128, 9),
    }
    assert all(set(one.activity.tolist()) == set(range(6)) for one in parts.values())
