"""The seven laws of the design, for every cell and layer, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamrnn
from streamrnn.kernels.opcodes import PAIRED
from streamrnn.model.precision import PrecisionName
from tests.laws.examples import tried
from tests.laws.nets import CELLS, PRECISIONS, random_frames, random_model, same_bits, tensors_as_stepped
from tests.reference import Reference

MAX_SESSIONS = 16
SIZES = st.one_of(st.integers(1, 40), st.sampled_from([15, 16, 17, 31, 32, 33]))
SEEDS = st.integers(0, 2**32 - 1)
POISONS = (np.nan, np.inf, -np.inf, 1e-40, -1e-45, 3e38)

a_quarter = settings(max_examples=settings().max_examples // 4)
"""Of the profile's examples: there are 270 triples of law, cell and precision."""


def each_cell(test):
    """Try a law on every kind of net, its weights in every precision."""
    return pytest.mark.parametrize("precision", PRECISIONS)(pytest.mark.parametrize("cell", CELLS)(test))


def engine_of(model: streamrnn.Model, **limits: int) -> streamrnn.Engine:
    engine = streamrnn.Engine(streamrnn.Limits(**{"max_sessions": MAX_SESSIONS, **limits}))
    engine.add_model("m", model)
    return engine


@st.composite
def models(draw, cell: str, precision: PrecisionName) -> streamrnn.Model:
    return random_model(cell, draw(SIZES), draw(SIZES), draw(SEEDS), precision, draw(st.booleans()))


def cuts_of(data, n: int) -> list[slice]:
    """A random way to cut `n` frames into chunks."""
    ends = sorted(data.draw(st.sets(st.integers(1, n - 1)), "cuts")) if n > 1 else []
    return [slice(a, b) for a, b in zip([0, *ends], [*ends, n], strict=True)]


@each_cell
@a_quarter
@given(data=st.data(), n=st.integers(1, 30), seed=SEEDS)
def test_law_1_streaming_is_the_whole_sequence(cell, precision, data, n, seed):
    tried(1, f"{cell}, {precision}")
    model = data.draw(models(cell, precision))
    engine, xs = engine_of(model), random_frames(model, n, seed=seed)
    whole = engine.open("m").run(xs)
    session = engine.open("m")
    streamed = np.array([session.step(x) for x in xs])
    assert same_bits(whole, streamed)
    np.testing.assert_allclose(whole, Reference(model.spec, tensors_as_stepped(model)).run(xs), rtol=1e-4, atol=1e-5)


@each_cell
@a_quarter
@given(data=st.data(), n_sessions=st.integers(1, 14), seed=SEEDS)
def test_law_2_in_a_batch_as_alone(cell, precision, data, n_sessions, seed):
    tried(2, f"{cell}, {precision}")
    model = data.draw(models(cell, precision))
    engine, alone = engine_of(model), engine_of(model)
    sessions = [engine.open("m") for _ in range(n_sessions)]
    pasts = [random_frames(model, data.draw(st.integers(0, 3)), seed=seed ^ i) for i in range(n_sessions)]
    frames = random_frames(model, 3, n_sessions, seed=seed)
    for session, past in zip(sessions, pasts, strict=True):
        session.run(past)
    expected = np.empty((3, n_sessions, model.output_size), np.float32)
    for i, past in enumerate(pasts):
        single = alone.open("m")
        single.run(past)
        expected[:, i] = [single.step(x) for x in frames[:, i]]
    for t in range(3):
        order = data.draw(st.permutations(range(n_sessions)))
        ys = engine.step_many([sessions[i] for i in order], frames[t, order])
        assert same_bits(ys, expected[t, order])


@each_cell
@a_quarter
@given(data=st.data(), n=st.integers(1, 60), seed=SEEDS)
def test_law_3_any_chunking_gives_the_same_bits(cell, precision, data, n, seed):
    tried(3, f"{cell}, {precision}")
    model = data.draw(models(cell, precision))
    engine = engine_of(model, max_run_frames=data.draw(st.integers(1, 8)))
    xs = random_frames(model, n, seed=seed)
    whole = engine.open("m").run(xs)
    session, queued = engine.open("m"), engine.open("m")
    pieces, outputs = [], []
    for cut in cuts_of(data, n):
        pieces.append(session.run(xs[cut]))
        engine.push(queued, cut.start, xs[cut])
        if data.draw(st.booleans()):
            outputs += engine.tick()
    outputs += engine.finish(queued)
    assert same_bits(np.concatenate(pieces), whole)
    assert same_bits(np.concatenate([output.ys for output in outputs]), whole)


@each_cell
@a_quarter
@given(data=st.data(), n=st.integers(1, 10), seed=SEEDS, poison=st.sampled_from(POISONS))
def test_law_4_a_reused_slot_is_a_fresh_one(cell, precision, data, n, seed, poison):
    tried(4, f"{cell}, {precision}")
    model = data.draw(models(cell, precision))
    xs = random_frames(model, n, seed=seed)
    fresh = engine_of(model).open("m").run(xs)
    engine = engine_of(model)
    used = engine.open("m")
    used.run(random_frames(model, n, seed=seed + 1))
    used.lane.arena.rows[used.slot] = poison
    used.step(random_frames(model, seed=seed))
    slot = used.slot
    if data.draw(st.booleans()):
        used.close()
        used = engine.open("m")
    else:
        used.reset()
    assert used.slot == slot
    assert same_bits(used.run(xs), fresh)


@each_cell
@a_quarter
@given(data=st.data(), n=st.integers(1, 20), seed=SEEDS)
def test_law_5_snapshot_restore_and_fork_change_no_later_bit(cell, precision, data, n, seed):
    tried(5, f"{cell}, {precision}")
    model = data.draw(models(cell, precision))
    xs, at = random_frames(model, n, seed=seed), data.draw(st.integers(0, n), "at")
    whole = engine_of(model).open("m").run(xs)
    engine, other = engine_of(model), engine_of(model)
    for _ in range(data.draw(st.integers(0, 3))):
        other.open("m").run(xs)
    session = engine.open("m")
    session.run(xs[:at])
    later = [session.fork(), other.restore(session.snapshot()), session]
    for twin in later:
        assert twin.next_seq == at
        assert same_bits(twin.run(xs[at:]), whole[at:])


@each_cell
@a_quarter
@given(data=st.data(), n_sessions=st.integers(1, 5), seed=SEEDS)
def test_law_6_one_output_a_frame_in_order(cell, precision, data, n_sessions, seed):
    tried(6, f"{cell}, {precision}")
    model = data.draw(models(cell, precision))
    limits = {"max_batch": data.draw(st.integers(1, 5)), "max_run_frames": data.draw(st.integers(1, 5))}
    engine, n = engine_of(model, **limits), 8
    frames = random_frames(model, n_sessions, n, seed=seed)
    sessions = [engine.open("m", str(i)) for i in range(n_sessions)]
    outputs: dict[str, list[streamrnn.Output]] = {session.id: [] for session in sessions}

    def keep(answered: list[streamrnn.Output]) -> None:
        for output in answered:
            outputs[output.session.id].append(output)

    moves = st.tuples(st.integers(-1, n_sessions - 1), st.integers(1, n))
    for i, n_frames in data.draw(st.lists(moves, max_size=20), "(session, frames), or a tick where it is -1"):
        if i < 0:
            keep(engine.tick())
        elif (start := sessions[i].next_seq) < n:
            engine.push(sessions[i], start, frames[i, start : start + n_frames])
    for i, session in enumerate(sessions):
        if (start := session.next_seq) < n:
            engine.push(session, start, frames[i, start:])
    while engine.n_pending:
        keep(engine.tick())
    assert engine.tick() == []
    for i, session in enumerate(sessions):
        seqs = [output.seq + k for output in outputs[session.id] for k in range(len(output.ys))]
        assert seqs == list(range(n))
        ys = np.concatenate([output.ys for output in outputs[session.id]])
        assert same_bits(ys, engine_of(model).open("m").run(frames[i]))


@each_cell
@a_quarter
@given(data=st.data(), n_sessions=st.integers(2, 9), seed=SEEDS, poison=st.sampled_from(POISONS))
def test_law_7_nan_stays_at_home(cell, precision, data, n_sessions, seed, poison):
    tried(7, f"{cell}, {precision}")
    model = data.draw(models(cell, precision))
    frames = random_frames(model, 3, n_sessions, seed=seed)
    expected = [engine_of(model).open("m").run(frames[:, i]) for i in range(n_sessions)]
    engine = engine_of(model)
    sessions = [engine.open("m") for _ in range(n_sessions)]
    sick = data.draw(st.integers(0, n_sessions - 1), "sick")
    for t in range(3):
        sessions[sick].lane.arena.rows[sessions[sick].slot] = poison
        ys = engine.step_many(sessions, frames[t])
        for i in range(n_sessions):
            if i != sick:
                assert same_bits(ys[i], expected[i][t])
    sessions[sick].reset()
    assert same_bits(sessions[sick].run(frames[:, sick]), expected[sick])


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru, reset before", "rnn tanh"])
@pytest.mark.parametrize("hidden_size", [16, 48, 64, 72, 128, 176, 256])
def test_pairs_of_products_give_the_same_bits(cell, hidden_size):
    """Alone, products over input and state go in pairs of groups; in a batch and a chunk they do not."""
    model = random_model(cell, 24, hidden_size, paired=True)
    apart = random_model(cell, 24, hidden_size)
    table = model.program.table
    assert table[:, PAIRED].sum() == 1
    assert model.digest == apart.digest
    engine, frames = engine_of(model), random_frames(model, 9, 3)
    sessions = [engine.open("m") for _ in range(3)]
    together = np.array([engine.step_many(sessions, x) for x in frames])
    for i in range(3):
        session = engine.open("m")
        assert same_bits(np.array([session.step(x) for x in frames[:, i]]), together[:, i])
        assert same_bits(engine.open("m").run(frames[:, i]), together[:, i])
        assert same_bits(engine_of(apart).open("m").run(frames[:, i]), together[:, i])


def test_large_cells_are_paired_and_small_ones_are_not():
    assert random_model("lstm", 80, 256).program.table[:, PAIRED].any()
    assert not random_model("lstm", 64, 128).program.table[:, PAIRED].any()
    assert not random_model("lstm", 80, 256, precision="int8").program.table[:, PAIRED].any()
