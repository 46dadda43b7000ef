"""Direct stepping: what a session takes and refuses, its numbering, and what happens once it is closed."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from streamrnn.errors import FrameError, SessionClosedError, UsageError
from tests.laws.nets import random_frames, random_model, same_bits
from tests.laws.test_laws import engine_of

SIZE = 3
HIDDEN = 5
GOOD = np.zeros(SIZE, np.float32)
NAN = np.array([0, np.nan, 0], np.float32)


@pytest.fixture
def engine():
    return engine_of(random_model("gru", SIZE, HIDDEN))


@pytest.fixture
def session(engine):
    session = engine.open("m", "s")
    session.run(random_frames(session.model, 4))
    return session


@pytest.fixture
def tokens():
    return engine_of(random_model("embedding", 4, 5)).open("m")


BAD_FRAMES = {
    "too short": GOOD[:2],
    "too long": np.zeros(4, np.float32),
    "empty": np.zeros(0, np.float32),
    "two frames": np.zeros((2, SIZE), np.float32),
    "a row": np.zeros((1, SIZE), np.float32),
    "a scalar": np.float32(1),
    "float64": np.zeros(SIZE),
    "int32": np.zeros(SIZE, np.int32),
    "big-endian": np.zeros(SIZE, ">f4"),
    "a list": [0.0, 0.0, 0.0],
    "bytes": bytes(12),
    "None": None,
    "NaN": NAN,
    "Inf": np.array([0, 0, np.inf], np.float32),
    "-Inf": np.array([-np.inf, 0, 0], np.float32),
}


class TestBadFrames:
    @pytest.mark.parametrize("name", BAD_FRAMES)
    def test_step_refuses_and_nothing_changes(self, session, name):
        before = session.snapshot()
        with pytest.raises(FrameError) as refusal:
            session.step(BAD_FRAMES[name])
        assert (refusal.value.code, refusal.value.scope) == ("bad_frame", "frame")
        assert session.snapshot() == before

    @pytest.mark.parametrize("name", BAD_FRAMES)
    def test_run_refuses_and_nothing_changes(self, session, name):
        frame = BAD_FRAMES[name]
        if name in {"two frames", "a row"}:
            frames = frame[None]
        elif isinstance(frame, np.ndarray):
            frames = np.stack([np.zeros_like(frame), frame]).astype(frame.dtype)
        else:
            frames = frame
        before = session.snapshot()
        with pytest.raises(FrameError):
            session.run(frames)
        assert session.snapshot() == before

    @pytest.mark.parametrize("name", ["NaN", "Inf", "-Inf"])
    def test_the_value_and_its_place_are_named(self, session, name):
        frames = np.stack([GOOD, BAD_FRAMES[name], NAN])
        place = int(np.flatnonzero(~np.isfinite(BAD_FRAMES[name]))[0])
        with pytest.raises(FrameError, match=f"frame 1: value {place} is {name.lower()}") as refusal:
            session.run(frames)
        assert refusal.value.fields["index"] == 1

    @pytest.mark.parametrize("token", [-1, 11, 1e30, 0.5, np.nan, np.inf])
    def test_what_is_no_token_is_refused(self, tokens, token):
        with pytest.raises(FrameError, match=r"a token id, an integer in \[0, 11\)"):
            tokens.step(np.float32([token]))
        assert tokens.next_seq == 0

    def test_a_good_frame_after_a_bad_one(self, session):
        twin = session.fork()
        with pytest.raises(FrameError):
            session.step(NAN)
        assert same_bits(session.step(GOOD), twin.step(GOOD))


class TestGoodFrames:
    def test_read_only_and_strided_frames_are_taken(self, session):
        frames = random_frames(session.model, 6)
        expected = session.fork().run(frames)
        read_only = np.frombuffer(frames.tobytes(), np.float32).reshape(frames.shape)
        backwards = np.ascontiguousarray(frames[::-1])[::-1]
        wide = np.zeros((6, 2 * SIZE), np.float32)
        wide[:, ::2] = frames
        for form in (read_only, backwards, wide[:, ::2], np.asfortranarray(frames)):
            assert same_bits(session.fork().run(form), expected)
            twin = session.fork()
            assert same_bits(np.array([twin.step(frame) for frame in form]), expected)

    def test_frames_are_read_only_to_us(self, session):
        frames = random_frames(session.model, 3)
        before = frames.copy()
        session.run(frames)
        session.step(frames[0])
        assert same_bits(frames, before)

    def test_outputs_belong_to_the_caller(self, session):
        first = session.step(GOOD)
        kept = first.copy()
        session.step(GOOD)
        assert same_bits(first, kept)
        first[:] = 9
        assert not (session.step(GOOD) == 9).any()

    def test_no_frames(self, session):
        before = session.snapshot()
        assert session.run(np.empty((0, SIZE), np.float32)).shape == (0, 5)
        assert session.snapshot() == before


def test_numbering(session, engine):
    assert (session.next_seq, session.applied_seq) == (4, 3)
    session.step(GOOD)
    engine.step_many([session], GOOD[None])
    assert (session.next_seq, session.applied_seq) == (6, 5)
    session.reset()
    assert (session.next_seq, session.applied_seq) == (6, 5)
    assert (session.fork().next_seq, session.fork().applied_seq) == (6, 5)


def test_state_is_a_copy(session):
    before = session.state()
    session.state()[:] = 0
    assert before.any()
    assert same_bits(session.state(), before)


def test_fork_and_origin_go_apart(session):
    twin = session.fork("twin")
    assert (twin.id, twin.model_name) == ("twin", "m")
    before = session.state()
    twin.step(np.ones(SIZE, np.float32))
    assert same_bits(session.state(), before)


class TestClosed:
    @pytest.fixture
    def closed(self, session):
        session.close()
        return session

    @pytest.mark.parametrize(
        "operation",
        [
            lambda s: s.step(GOOD),
            lambda s: s.run(GOOD[None]),
            lambda s: s.snapshot(),
            lambda s: s.fork(),
            lambda s: s.reset(),
            lambda s: s.state(),
        ],
        ids=["step", "run", "snapshot", "fork", "reset", "state"],
    )
    def test_every_operation_says_so(self, closed, operation):
        with pytest.raises(SessionClosedError, match="'s' is closed") as refusal:
            operation(closed)
        assert refusal.value.code == "session_closed"

    def test_in_the_engine_too(self, closed, engine):
        with pytest.raises(SessionClosedError):
            engine.step_many([engine.open("m"), closed], np.zeros((2, SIZE), np.float32))
        with pytest.raises(SessionClosedError):
            engine.push(closed, closed.next_seq, GOOD)
        assert engine.finish(closed) == []

    def test_closing_again_frees_nothing_twice(self, closed, engine):
        other = engine.open("m")
        closed.close()
        assert not other.closed
        assert engine.open("m").slot != other.slot
        assert engine.n_sessions == 2


def test_direct_steps_wait_for_no_frame(session, engine):
    engine.push(session, 4, GOOD)
    for operation in (lambda: session.step(GOOD), lambda: session.run(GOOD[None])):
        with pytest.raises(UsageError, match="1 frames waiting"):
            operation()
    with pytest.raises(UsageError, match="waiting"):
        engine.step_many([session], GOOD[None])


def test_the_frames_of_a_run_are_not_kept(session):
    xs = random_frames(session.model, 100)
    kept = weakref.ref(xs)
    ys = weakref.ref(session.run(xs))
    del xs
    gc.collect()
    assert kept() is None and ys() is None


class TestOut:
    """Outputs written to an array of the caller's."""

    def test_step(self, session):
        twin, out = session.fork(), np.empty(HIDDEN, np.float32)
        xs = random_frames(session.model, 3)
        for x in xs:
            assert session.step(x, out=out) is out
            assert same_bits(out, twin.step(x))

    def test_step_many(self, session):
        engine, out = engine_of(session.model, max_batch=2), np.empty((5, HIDDEN), np.float32)
        sessions = [engine.open("m") for _ in range(5)]
        twins = [one.fork() for one in sessions]
        xs = random_frames(session.model, 5)
        assert engine.step_many(sessions, xs, out=out) is out
        assert same_bits(out, engine.step_many(twins, xs))

    def test_another_form_is_refused_before_the_step(self, session):
        x, before = random_frames(session.model), session.snapshot()
        read_only = np.empty(HIDDEN, np.float32)
        read_only.flags.writeable = False
        for out in (
            np.empty(HIDDEN),
            np.empty((1, HIDDEN), np.float32),
            np.empty(HIDDEN + 1, np.float32),
            read_only,
            [0.0] * HIDDEN,
        ):
            with pytest.raises(FrameError, match="out: expected a writeable float32 array"):
                session.step(x, out=out)
        assert session.snapshot() == before
