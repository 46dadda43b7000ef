"""Random modules: whatever their graph, the imported model streams what the forward computes, and keeps the laws."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import streamrnn  # noqa: E402
from tests.laws.nets import random_frames, same_bits  # noqa: E402
from tests.model.random_modules import draw_module  # noqa: E402

N_MODULES = 120
N_GROUPS = 8
N_FRAMES = 12


@pytest.mark.parametrize("group", range(N_GROUPS))
def test_random_graphs_stream_what_pytorch_computes(group, record_property):
    errors = []

    @given(seed=st.integers(0, 2**29 - 1))
    @settings(max_examples=N_MODULES // N_GROUPS)
    def try_one(seed):
        module, _ = draw_module(random.Random(seed * N_GROUPS + group))
        model = streamrnn.from_torch(module)
        certificate = model.card.certificate
        errors.append(certificate["max_rel_error"])
        assert errors[-1] < 1e-4
        assert certificate["n_compared"] >= 9
        if seed % 4 == 0:
            the_laws_hold(model, seed)

    try_one()
    figure = f"{len(errors)} random modules of PyTorch (group {group}): largest relative error {max(errors):.1e}"
    record_property("figure", figure)


def the_laws_hold(model, seed):
    """Any chunking, any batch, a snapshot in the middle: the same bits."""
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=4))
    engine.add_model("m", model)
    xs = random_frames(model, N_FRAMES, seed=seed % 1000)
    whole = engine.open("m").run(xs)
    one, other = engine.open("m"), engine.open("m")
    assert same_bits(np.array([one.step(x) for x in xs]), whole)
    noise = random_frames(model, N_FRAMES, seed=1)
    one.reset()
    mixed = np.array([engine.step_many([other, one], np.stack([n, x])) for n, x in zip(noise, xs, strict=True)])
    assert same_bits(mixed[:, 1], whole)
    one.reset()
    first = one.run(xs[:5])
    blob = one.snapshot()
    one.close()
    assert same_bits(np.concatenate([first, engine.restore(blob).run(xs[5:])]), whole)
