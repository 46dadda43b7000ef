"""A queue that is full: refused, dropped or skipped, as the session was opened."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn import Limits, Skipped
from streamrnn.engine.headless import without_head
from streamrnn.errors import FrameError, OptionError, QueueFullError, SequenceError
from streamrnn.kernels.opcodes import N_IN, N_OUT, OPCODE, WRITES_STATE, Op
from tests.laws.nets import CELLS, random_frames, random_model, same_bits
from tests.laws.test_laws import engine_of


@pytest.fixture
def model():
    return random_model("gru", 3, 5)


@pytest.fixture
def engine(model):
    return engine_of(model, max_queue_frames=10)


class TestOptions:
    @pytest.mark.parametrize("most", [0, -1, 1.5, True, "3"])
    def test_a_bound_out_of_range(self, engine, most):
        with pytest.raises(OptionError, match="max_queue_frames"):
            engine.open("m", max_queue_frames=most)
        assert engine.n_sessions == 0

    def test_no_such_policy(self, engine):
        with pytest.raises(OptionError, match="overload: expected reject, drop_oldest, skip_output, got 'drop'"):
            engine.open("m", overload="drop")

    def test_at_most_that_of_the_limits(self, engine):
        assert engine.open("m").max_queue_frames == 10
        assert engine.open("m", max_queue_frames=4).max_queue_frames == 4
        assert engine.open("m", max_queue_frames=11).max_queue_frames == 10

    def test_a_fork_has_them_and_a_restored_session_those_it_is_given(self, engine):
        session = engine.open("m", max_queue_frames=4, overload="drop_oldest")
        for twin, options in (
            (session.fork(), (4, "drop_oldest")),
            (engine.restore(session.snapshot()), (10, "reject")),
            (engine.restore(session.snapshot(), max_queue_frames=3, overload="skip_output"), (3, "skip_output")),
        ):
            assert (twin.max_queue_frames, twin.overload) == options


def test_reject_by_the_bound_of_the_session(engine, model):
    session = engine.open("m", max_queue_frames=4)
    engine.push(session, 0, random_frames(model, 3))
    with pytest.raises(QueueFullError) as refusal:
        engine.push(session, 3, random_frames(model, 2))
    assert refusal.value.fields == {"max_queue_frames": 4, "waiting": 3}
    assert engine.push(session, 3, random_frames(model, 1)) is None
    assert session.n_pending == engine.n_pending == 4


@pytest.mark.parametrize("overload", ["drop_oldest", "skip_output"])
class TestMakingRoom:
    @pytest.fixture
    def session(self, engine, model, overload):
        session = engine.open("m", max_queue_frames=4, overload=overload)
        engine.push(session, 0, random_frames(model, 3))
        return session

    def test_more_than_ever_fit_are_refused(self, engine, session, model, overload):
        with pytest.raises(QueueFullError):
            engine.push(session, 3, random_frames(model, 5))
        assert (session.n_pending, session.n_applied) == (3, 0)

    @pytest.mark.parametrize("bad", ["seq", "frame"])
    def test_a_push_that_is_refused_drops_nothing(self, engine, session, model, overload, bad):
        frames = random_frames(model, 4)
        if bad == "frame":
            frames[3] = np.inf
        with pytest.raises((SequenceError, FrameError)):
            engine.push(session, 4 if bad == "seq" else 3, frames)
        assert (session.n_pending, session.n_applied, engine.n_pending) == (3, 0, 3)

    def test_the_oldest_go_across_chunks_and_numbering_goes_on(self, engine, session, model, overload):
        xs = np.concatenate([random_frames(model, 3), random_frames(model, 6, seed=1)])
        is_stepped = overload == "skip_output"
        assert engine.push(session, 3, xs[3:5]) == Skipped(0, 1, is_stepped)
        assert engine.push(session, 5, xs[5:9]) == Skipped(1, 4, is_stepped)
        assert (session.n_pending, session.n_applied, session.next_seq, engine.n_pending) == (4, 5, 9, 4)
        (output,) = engine.tick()
        assert (output.seq, len(output.ys)) == (5, 4)
        whole = engine.open("m").run(xs if is_stepped else xs[5:])
        assert same_bits(output.ys, whole[-4:])
        assert engine.tick() == [] and session.next_seq == 9

    def test_among_others_in_the_round(self, engine, session, model, overload):
        other = engine.open("m")
        engine.push(other, 0, random_frames(model, 1))
        engine.push(session, 3, random_frames(model, 4))
        ticks = [sorted((o.seq, len(o.ys)) for o in engine.tick()) for _ in range(3)]
        assert ticks == [[(0, 1), (3, 1)], [(4, 3)], []]
        assert session.next_seq == 7

    def test_closing_counts_right(self, engine, session, model, overload):
        engine.push(session, 3, random_frames(model, 4))
        session.close()
        assert engine.n_pending == 0 and engine.tick() == []


@pytest.mark.parametrize("cell", CELLS)
def test_a_program_without_its_head_writes_the_same_state(cell):
    model = random_model(cell, 7, 19)
    table = without_head(model.program.table)
    ops = table[:, OPCODE]
    assert (ops[0], ops[-1], table[-1, N_IN]) == (Op.INPUT, Op.OUTPUT, 0)
    assert len(ops) == 2 or ops[-2] in WRITES_STATE
    for i in np.flatnonzero(ops == Op.SCAN):
        assert i + table[i, N_OUT] < len(table) - 1
    engine = engine_of(model)
    session, twin = engine.open("m"), engine.open("m")
    xs = random_frames(model, 40)
    session.run(xs)
    for part in (xs[:1], xs[1:34], xs[34:]):
        twin.lane.advance(twin.slots, part)
    assert same_bits(session.state(), twin.state())
    assert twin.n_applied == 0


def test_the_head_is_left_out():
    assert len(without_head(random_model("all heads", 7, 19).program.table)) == 7
    assert Limits().max_queue_frames == 1024
