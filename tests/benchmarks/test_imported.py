"""The benchmark of imported nets: both engines compute the same, and a difference stops it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from benchmarks import imported


@pytest.fixture(scope="module")
def nets():
    return imported.nets()


def test_both_compute_the_same_and_are_timed(nets):
    for net in nets:
        figures = imported.measure(net, budget_ms=1.0)
        assert figures["max_abs_error"] < imported.TOLERANCE
        assert set(figures["us"]) == {"session.step", "kernel", "onnxruntime"}


def test_a_difference_stops_the_benchmark(nets):
    tensors = {name: 1.1 * tensor for name, tensor in nets[1].model.tensors.items()}
    wrong = replace(nets[1], model=type(nets[1].model)(nets[1].model.spec, tensors))
    frames = np.ones((9, 576), np.float32)
    with pytest.raises(SystemExit, match="Silero: onnxruntime differs from streamrnn by"):
        imported.check(wrong, frames)
