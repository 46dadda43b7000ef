"""The core computes what PyTorch computed once, also where torch is not installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import streamrnn
from tests.reference import Reference

FILES = sorted(Path(__file__).parent.glob("*.npz"))


def read(path):
    """The form, the state dict, the frames and the outputs of a golden file."""
    with np.load(path, allow_pickle=False) as file:
        state = {name.removeprefix("state."): file[name] for name in file.files if name.startswith("state.")}
        return json.loads(str(file["form"])), state, file["xs"], file["ys"]


@pytest.fixture
def model(path, monkeypatch):
    """The model of a golden file, made in a process in which torch cannot be imported."""
    monkeypatch.setitem(sys.modules, "torch", None)
    form, state, _, _ = read(path)
    return streamrnn.from_state_dict(state, form)


def test_there_are_golden_files():
    assert len(FILES) == 10
    assert sum(path.stat().st_size for path in FILES) < 200_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_streamed_frame_by_frame(path, model):
    _, _, xs, ys = read(path)
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
    engine.add_model("golden", model)
    session = engine.open("golden")
    streamed = np.array([session.step(x) for x in xs])
    assert len(streamed) == 50
    np.testing.assert_allclose(streamed, ys, rtol=0, atol=3e-6)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_reference_agrees(path, model):
    """So the reference is not only our own reading of the equations."""
    _, _, xs, ys = read(path)
    np.testing.assert_allclose(Reference(model.spec, model.tensors).run(xs), ys, rtol=0, atol=3e-6)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_files_are_what_the_generator_makes(path):
    pytest.importorskip("torch")
    from tests.golden.make_golden import GOLDEN, arrays

    assert {file.stem for file in FILES} == GOLDEN.keys()
    form, state, xs, ys = read(path)
    made = arrays(path.stem)
    assert json.loads(str(made["form"])) == form
    np.testing.assert_array_equal(made["xs"], xs)
    np.testing.assert_allclose(made["ys"], ys, atol=1e-6)
    for name, tensor in state.items():
        np.testing.assert_array_equal(made[f"state.{name}"], tensor)
