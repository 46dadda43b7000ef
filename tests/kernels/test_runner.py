"""The runner touches the rows that it is given and no others, and refuses a frame before any state is touched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.kernels.packing import aligned_zeros
from streamrnn.kernels.plan import Call, Plan
from streamrnn.kernels.runner import find_refused, run_program
from streamrnn.kernels.warmup import warmup
from tests.laws.nets import CELLS, N_TOKENS, random_frames, random_model, same_bits

N_SLOTS = 7
MARGIN = 32
DENSE_FAULTS = [np.nan, np.inf, -np.inf]
TOKEN_FAULTS = [np.nan, np.inf, -np.inf, -1.0, float(N_TOKENS), 0.5, 1e30, -1e30]


def rows_of(model, seed=0):
    """An arena of random states."""
    arena = aligned_zeros(N_SLOTS, model.program.state_size)
    arena[:] = np.random.default_rng(seed).standard_normal(arena.shape) * 0.3
    return arena


def run(model, arena, slots, x, y, n_applied=None):
    """One kernel call; x is (n_frames, n, input_size)."""
    warmup()
    program = model.program
    counts = np.zeros(len(arena), np.int64) if n_applied is None else n_applied
    call = Call(Plan(program.table, program.weights, arena, counts, program.work_size, len(slots)))
    return run_program(call.aim(np.array(slots, np.int64), x, y))


@pytest.mark.parametrize("cell", CELLS)
def test_nothing_beside_the_rows_is_written(cell):
    model = random_model(cell, 5, 19)
    arena = rows_of(model)
    before, slots = arena.copy(), [4, 0, 6]
    buffer = np.full(2 * len(slots) * model.output_size + 2 * MARGIN, 7, np.float32)
    y = buffer[MARGIN:-MARGIN].reshape(2, len(slots), model.output_size)
    assert run(model, arena, slots, random_frames(model, 2, len(slots)), y) == -1
    assert (buffer[:MARGIN] == 7).all() and (buffer[-MARGIN:] == 7).all()
    others = [slot for slot in range(N_SLOTS) if slot not in slots]
    assert same_bits(arena[others], before[others])
    for slot in slots:
        assert model.program.state_size == 0 or not same_bits(arena[slot], before[slot])


@pytest.mark.parametrize("cell", CELLS)
def test_the_padding_of_a_state_row_stays_zero(cell):
    """So a snapshot of one state is one sequence of bytes."""
    model = random_model(cell, 5, 19)
    arena = aligned_zeros(1, model.program.state_size)
    y = np.empty((30, 1, model.output_size), np.float32)
    run(model, arena, [0], random_frames(model, 30, 1), y)
    used = np.zeros(model.program.state_size, bool)
    for region in model.program.regions:
        used[region.offset : region.offset + region.size] = True
    assert not arena[0, ~used].any()
    assert not used.any() or np.count_nonzero(arena[0, used]) > used.sum() // 4


@given(data=st.data(), cell=st.sampled_from(CELLS))
def test_a_refused_frame_leaves_states_and_outputs_as_they_were(data, cell):
    model = random_model(cell, 5, 19)
    n_frames, n = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    t, s, k = (data.draw(st.integers(0, size - 1)) for size in (n_frames, n, model.input_size))
    x = random_frames(model, n_frames, n)
    x[t, s, k] = data.draw(st.sampled_from(TOKEN_FAULTS if model.n_tokens else DENSE_FAULTS))
    later = data.draw(st.integers(t * n + s, n_frames * n - 1))
    x.reshape(n_frames * n, -1)[later, -1] = np.nan
    arena, y = rows_of(model), np.full((n_frames, n, model.output_size), 7, np.float32)
    before, n_applied = arena.copy(), np.arange(N_SLOTS)
    assert run(model, arena, list(range(n)), x, y, n_applied) == t * n + s
    assert same_bits(arena, before)
    assert n_applied.tolist() == list(range(N_SLOTS))
    assert (y == 7).all()


@given(data=st.data(), cell=st.sampled_from(["embedding", "lstm"]))
def test_find_refused_agrees_with_the_runner(data, cell):
    model = random_model(cell, 3, 4)
    values = st.sampled_from([0.0, -0.0, 1.0, 10.0, 3e38, -3e38, 1e-45, *TOKEN_FAULTS])
    size = model.input_size
    frames = np.array(data.draw(st.lists(st.tuples(*[values] * size), min_size=1, max_size=5)), np.float32)
    found = find_refused(frames, model.n_tokens)
    y = np.empty((len(frames), 1, model.output_size), np.float32)
    assert found == run(model, rows_of(model), [0], frames[:, None].copy(), y)


def test_the_largest_finite_frame_is_taken():
    model = random_model("lstm", 5, 19)
    x = np.full((1, 1, 5), np.finfo(np.float32).max, np.float32)
    assert run(model, rows_of(model), [0], x, np.empty((1, 1, 19), np.float32)) == -1


def test_no_frames_are_no_steps():
    model = random_model("gru", 5, 19)
    arena = rows_of(model)
    before = arena.copy()
    assert run(model, arena, [1, 2], np.empty((0, 2, 5), np.float32), np.empty((0, 2, 19), np.float32)) == -1
    assert same_bits(arena, before)


def test_a_state_of_nan_answers_nan_and_a_reset_row_is_sound():
    model = random_model("lstm", 5, 19)
    arena, y = rows_of(model), np.empty((1, 2, 19), np.float32)
    arena[1] = np.nan
    assert run(model, arena, [0, 1], random_frames(model, 1, 2), y) == -1
    assert np.isfinite(y[0, 0]).all()
    assert np.isnan(y[0, 1]).all()


@pytest.mark.parametrize("n_frames", [1, 5, 70])
def test_each_frame_is_counted_in_its_slot(n_frames):
    model = random_model("gru", 5, 19)
    n_applied = np.zeros(N_SLOTS, np.int64)
    y = np.empty((n_frames, 2, 19), np.float32)
    assert run(model, rows_of(model), [5, 2], random_frames(model, n_frames, 2), y, n_applied) == -1
    assert n_applied.tolist() == [0, 0, n_frames, 0, 0, n_frames, 0]
