"""The runner is compiled once: no model of other layers and sizes causes a compile."""

from __future__ import annotations

import numpy as np
import pytest
from numba.core import event
from numba.core.caching import NullCache

from streamrnn.kernels import jit, warmup
from tests.laws.nets import CELLS, random_frames, random_model
from tests.laws.test_laws import engine_of


def use(cell, input_size, hidden_size):
    """Step a model in every way that the engine has."""
    model = random_model(cell, input_size, hidden_size)
    engine = engine_of(model)
    sessions = [engine.open("m") for _ in range(5)]
    engine.step_many(sessions, random_frames(model, 5))
    sessions[0].run(random_frames(model, 3))
    engine.push(sessions[1], 1, random_frames(model, 2))
    while engine.n_pending:
        engine.tick()


def test_no_model_causes_a_compile():
    warmup.warmup()
    n_before = warmup.n_compiled()
    with event.install_recorder("numba:compile") as recorder:
        for i, cell in enumerate(CELLS):
            use(cell, 1 + i, 3 + 7 * i)
            use(cell, 30 - i, 50 - i)
    assert recorder.buffer == []
    assert warmup.n_compiled() == n_before


def test_the_counter_counts():
    """A compile that does happen is seen by both."""

    def kernel(a):
        return a + 1

    warmup.warmup()
    n_entries = len(jit.ENTRIES)
    dispatcher = jit.entry("int64(int64)")(kernel)
    dispatcher._cache = NullCache()
    try:
        n_before = warmup.n_compiled()
        with event.install_recorder("numba:compile") as recorder:
            done = warmup.warmup()
        assert dispatcher(1) == 2
        assert recorder.buffer
        assert warmup.n_compiled() == done.n_compiled == n_before + 1
        assert done.n_kernels == n_entries + 1
    finally:
        del jit.ENTRIES[n_entries:]


def test_a_call_of_other_types_is_refused_not_compiled():
    """After the warm-up nothing compiles, whatever is passed."""
    warmup.warmup()
    dispatcher, _ = jit.ENTRIES[0]
    with pytest.raises(TypeError):
        dispatcher(np.zeros(3))
