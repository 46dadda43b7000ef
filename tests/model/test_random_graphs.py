"""Random modules: whatever their graph, the imported model streams what the forward computes, and keeps the laws."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import streamrnn  # noqa: E402
from tests.model.laws_of_one import hold_the_laws  # noqa: E402
from tests.model.random_modules import draw_module  # noqa: E402

N_MODULES = 120
N_GROUPS = 8


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
        hold_the_laws(model, seed)

    try_one()
    figure = f"{len(errors)} random modules of PyTorch (group {group}): largest relative error {max(errors):.1e}"
    record_property("figure", figure)
