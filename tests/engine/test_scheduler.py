"""Natural batching: a frame of each ready session, round robin; a lone session's frames in one call."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from streamrnn import Engine, Limits
from streamrnn.engine.lane import Lane
from streamrnn.errors import FrameError, QueueFullError, SequenceError
from streamrnn.kernels.plan import CallWord
from tests.laws.nets import random_frames, random_model, same_bits

LIMITS = Limits(max_sessions=8, max_batch=4, max_queue_frames=10, max_run_frames=5)


@pytest.fixture
def model():
    return random_model("lstm", 3, 5)


@pytest.fixture
def engine(model):
    engine = Engine(LIMITS)
    engine.add_model("m", model)
    return engine


def word_of(call, word):
    """A word of the call at an address."""
    return ctypes.c_int64.from_address(call + 8 * word).value


@pytest.fixture
def calls(engine, monkeypatch):
    """The kernel calls: (frames, sessions) of each."""
    made = []
    lane = engine.open("m").lane
    invoke = lane.invoke

    def counted(kernel, call):
        made.append((word_of(call, CallWord.N_FRAMES), word_of(call, CallWord.N_SLOTS)))
        return invoke(kernel, call)

    monkeypatch.setattr(lane, "invoke", counted)
    monkeypatch.setattr(lane, "invoker", lambda n_frames: counted)
    for session in list(engine._sessions.values()):
        session.close()
    return made


def opened(engine, n):
    return [engine.open("m", f"s{i}") for i in range(n)]


def pushed(engine, session, n):
    """Push `n` random frames; they are returned."""
    frames = random_frames(session.model, n, seed=session.next_seq)
    engine.push(session, session.next_seq, frames)
    return frames


def who(outputs):
    """(session, first seq, number of frames) of each output."""
    return [(output.session.id, output.seq, len(output.ys)) for output in outputs]


def test_one_frame_of_each_session_a_tick(engine, calls):
    a, b, c = opened(engine, 3)
    for session, n in ((a, 2), (b, 1), (c, 3)):
        pushed(engine, session, n)
    assert engine.n_pending == 6
    assert who(engine.tick()) == [("s0", 0, 1), ("s1", 0, 1), ("s2", 0, 1)]
    assert who(engine.tick()) == [("s0", 1, 1), ("s2", 1, 1)]
    assert who(engine.tick()) == [("s2", 2, 1)]
    assert (engine.n_pending, engine.tick()) == (0, [])
    assert calls == [(1, 3), (1, 2), (1, 1)]


def test_a_lone_session_is_stepped_in_one_call_up_to_the_limit(engine, calls):
    (session,) = opened(engine, 1)
    frames = pushed(engine, session, 7)
    first, second = engine.tick(), engine.tick()
    assert who(first + second) == [("s0", 0, 5), ("s0", 5, 2)]
    assert calls == [(5, 1), (2, 1)]
    ys = np.concatenate([output.ys for output in first + second])
    assert same_bits(ys, engine.open("m").run(frames))


def test_at_most_a_batch_and_nobody_waits_twice(engine, calls):
    sessions = opened(engine, 6)
    for session in sessions:
        pushed(engine, session, 2)
    ticks = []
    while engine.n_pending:
        ticks.append([name for name, _, _ in who(engine.tick())])
    assert ticks == [["s0", "s1", "s2", "s3"], ["s4", "s5", "s0", "s1"], ["s2", "s3", "s4", "s5"]]
    assert calls == [(1, 4)] * 3


def test_each_model_has_a_batch_of_its_own(engine, calls):
    engine.add_model("n", random_model("gru", 2, 4))
    other = engine.open("n", "other")
    (session,) = opened(engine, 1)
    pushed(engine, session, 1)
    pushed(engine, other, 1)
    assert who(engine.tick()) == [("s0", 0, 1), ("other", 0, 1)]


def test_frames_pushed_between_ticks_go_to_the_end_of_the_round(engine):
    a, b = opened(engine, 2)
    pushed(engine, a, 2)
    pushed(engine, b, 1)
    engine.tick()
    pushed(engine, b, 1)
    assert who(engine.tick()) == [("s0", 1, 1), ("s1", 1, 1)]


def test_outputs_belong_to_the_receiver(engine):
    a, b = opened(engine, 2)
    for session in (a, b):
        pushed(engine, session, 2)
    first = engine.tick()
    kept = [output.ys.copy() for output in first]
    engine.tick()
    assert all(same_bits(output.ys, ys) for output, ys in zip(first, kept, strict=True))
    assert all(output.ys.flags.c_contiguous for output in first)


def test_pushed_frames_belong_to_the_engine(engine):
    (session,) = opened(engine, 1)
    frames = random_frames(session.model, 2)
    expected = session.fork().run(frames)
    engine.push(session, 0, frames)
    frames[:] = np.nan
    assert same_bits(engine.tick()[0].ys, expected)


def test_the_deadline(engine):
    (session,) = opened(engine, 1)
    assert engine.next_deadline_ns() is None
    pushed(engine, session, 1)
    assert engine.next_deadline_ns() == 0
    engine.tick()
    assert engine.next_deadline_ns() is None


class TestPush:
    @pytest.fixture
    def session(self, engine):
        session = engine.open("m", "s")
        pushed(engine, session, 3)
        return session

    def unchanged(self, engine, session):
        assert (session.next_seq, session.n_pending, engine.n_pending) == (3, 3, 3)

    @pytest.mark.parametrize(
        ("seq", "words"), [(4, "gap"), (2, "already"), (0, "already"), (2**40, "gap"), (-1, "already")]
    )
    def test_a_seq_that_is_not_the_next(self, engine, session, seq, words):
        with pytest.raises(SequenceError, match=words) as refusal:
            engine.push(session, seq, random_frames(session.model, 1))
        assert refusal.value.fields == {"expected": 3, "got": seq}
        self.unchanged(engine, session)

    def test_a_full_queue_takes_all_or_none(self, engine, session):
        with pytest.raises(QueueFullError) as refusal:
            engine.push(session, 3, random_frames(session.model, 8))
        assert refusal.value.retryable
        assert refusal.value.fields == {"max_queue_frames": 10, "waiting": 3}
        self.unchanged(engine, session)
        engine.push(session, 3, random_frames(session.model, 7))
        assert who(engine.tick()) == [("s", 0, 3)]
        pushed(engine, session, 3)

    @pytest.mark.parametrize(
        "frames",
        [
            b"",
            bytes(11),
            bytes(13),
            np.zeros((1, 4), np.float32),
            np.zeros((0, 3), np.float32),
            np.zeros((1, 1, 3), np.float32),
            np.zeros((1, 3)),
            np.zeros((), np.float32),
            np.array([[0, 0, 0], [0, np.nan, 0]], np.float32),
            np.array([[0, np.inf, 0]], np.float32).tobytes(),
        ],
        ids=repr,
    )
    def test_bad_frames(self, engine, session, frames):
        with pytest.raises(FrameError):
            engine.push(session, 3, frames)
        self.unchanged(engine, session)

    def test_bytes_and_arrays_are_the_same_frames(self, engine, session):
        engine.finish(session)
        frames = random_frames(session.model, 2)
        expected = session.fork().run(np.concatenate([frames] * 4 + [frames[:1]]))
        for form in (frames, frames.tobytes(), bytearray(frames.tobytes()), memoryview(frames.tobytes()), frames[0]):
            engine.push(session, session.next_seq, form)
        ys = np.concatenate([output.ys for output in engine.finish(session)])
        assert same_bits(ys, expected)

    def test_tokens(self):
        engine = Engine(LIMITS)
        engine.add_model("m", random_model("embedding", 4, 5))
        session = engine.open("m")
        with pytest.raises(FrameError, match=r"frame 1: .*\[0, 11\)"):
            engine.push(session, 0, np.array([[1], [11], [2]], np.float32))
        assert session.n_pending == 0


class TestFinish:
    def test_it_steps_one_session_and_leaves_the_others(self, engine):
        a, b = opened(engine, 2)
        pushed(engine, a, 7)
        pushed(engine, b, 1)
        assert who(engine.finish(a)) == [("s0", 0, 5), ("s0", 5, 2)]
        assert (engine.n_pending, engine.finish(a)) == (1, [])
        assert who(engine.tick()) == [("s1", 0, 1)]

    def test_closing_drops_what_waits(self, engine):
        a, b = opened(engine, 2)
        pushed(engine, a, 7)
        pushed(engine, b, 1)
        a.close()
        assert engine.n_pending == 1
        assert who(engine.tick()) == [("s1", 0, 1)]
        assert engine.n_pending == 0


def test_a_batch_loses_no_session_after_a_failed_tick(engine, model, monkeypatch):
    sessions = [engine.open("m") for _ in range(3)]
    engine.push(sessions[1], 0, random_frames(model, 2))
    with monkeypatch.context() as patch:
        patch.setattr(Lane, "run", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.tick()
    assert sessions[1].n_pending == 2 and not sessions[1].queue.n_frames
    assert engine.step_many(sessions, random_frames(model, 3)).shape == (3, model.output_size)
    assert [session.n_applied for session in sessions] == [1, 1, 1]


@pytest.mark.parametrize("n_sessions", [1, 3])
def test_sessions_of_a_failed_tick_can_be_closed(engine, model, n_sessions, monkeypatch):
    sessions = [engine.open("m") for _ in range(n_sessions)]
    for session in sessions:
        engine.push(session, 0, random_frames(model, 2))
    with monkeypatch.context() as patch:
        patch.setattr(Lane, "run", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.tick()
    for session in sessions:
        session.close()
    assert engine.n_pending == 0
    assert engine.tick() == []
    again = [engine.open("m") for _ in range(LIMITS.max_sessions)]
    engine.push(again[0], 0, random_frames(model, 2))
    assert [len(output.ys) for output in engine.tick()] == [2]
