"""The laws for sessions with gaps, warm resets and overload: as put together by hand, however they are stepped."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.engine.gaps import POLICIES, Gaps
from tests.laws.nets import random_frames, random_model, same_bits
from tests.laws.offline import Offline
from tests.laws.test_laws import SEEDS, a_quarter, each_cell, engine_of, models

MAX_FILL = 6
PERIOD = 10


class Turn(NamedTuple):
    """A message of a course: frames, the time since the frame before, and a reset before them (-1: none)."""

    n: int
    dt_us: int
    reset: int


def turns(max_n):
    """A course of messages: jitter, gaps of every kind, and resets."""
    dts = st.one_of(st.integers(1, 4 * PERIOD), st.integers(1, 12 * PERIOD), st.just(PERIOD))
    resets = st.one_of(st.just(-1), st.integers(0, 6))
    return st.lists(st.builds(Turn, st.integers(1, max_n), dts, resets), min_size=1, max_size=8)


@st.composite
def policies(draw, model):
    """A gap policy that sessions of `model` can have, or none."""
    kinds = [None, "reset_after"] if model.n_tokens else [None, *POLICIES]
    kind = draw(st.sampled_from(kinds), "policy")
    if kind is None:
        return None
    return Gaps(kind, PERIOD, draw(st.integers(kind == "reset_after", 9 * PERIOD), "reset_after_us"))


class Course:
    """Messages with their frames and times, and what they must give."""

    def __init__(self, model, gaps, turns, seed):
        self.model, self.gaps = model, gaps
        self.messages = []
        time_us = 0
        for i, (n, dt_us, reset) in enumerate(turns):
            time_us += dt_us
            self.messages.append((random_frames(model, n, seed=seed ^ i), time_us if gaps else None, reset))
            time_us += (n - 1) * PERIOD

    def frames(self):
        """Each frame by itself: x, time, the reset before it."""
        for xs, time_us, reset in self.messages:
            for i, x in enumerate(xs):
                yield x, None if time_us is None else time_us + i * PERIOD, reset if i == 0 else -1

    def expected(self):
        """(output, filled, was_reset) of each frame, and the state at the end."""
        twin = Offline(self.model, self.gaps, MAX_FILL)
        answers = []
        for x, time_us, reset in self.frames():
            if reset >= 0:
                twin.reset(reset)
            answers.append(twin.frame(x, time_us))
        return answers, twin.now.state()


@st.composite
def courses(draw, cell, precision, max_n=5):
    """A course of any model of a cell."""
    model = draw(models(cell, precision))
    return Course(model, draw(policies(model)), draw(turns(max_n), "(frames, dt_us, reset)"), draw(SEEDS))


def same_answers(got, expected):
    """Whether (output, filled, was_reset) are the same, to the bit."""
    assert [flags for _, *flags in got] == [flags for _, *flags in expected]
    return same_bits(np.stack([y for y, *_ in got]), np.stack([y for y, *_ in expected]))


def answer(session, x, time_us):
    """The answer to one step."""
    return session.step(x, time_us=time_us), session.last_filled, session.last_was_reset


def in_answers(outputs):
    """Queued outputs as one answer a frame, flags at the first of each output."""
    return [
        (y, *((output.filled, output.was_reset) if i == 0 else (0, False)))
        for output in outputs
        for i, y in enumerate(output.ys)
    ]


@each_cell
@a_quarter
@given(data=st.data())
def test_streaming_is_what_was_put_together_by_hand(cell, precision, data):
    course = data.draw(courses(cell, precision))
    expected, state = course.expected()
    engine = engine_of(course.model, max_fill_frames=MAX_FILL)
    session, chunked = (engine.open("m", gaps=course.gaps) for _ in range(2))
    got = []
    for x, time_us, reset in course.frames():
        if reset >= 0:
            session.reset(reset)
        got.append(answer(session, x, time_us))
    assert same_answers(got, expected)
    assert same_bits(session.state(), state)
    assert session.next_seq == len(expected)

    start = 0
    for xs, time_us, reset in course.messages:
        if reset >= 0:
            chunked.reset(reset)
        ys, part = chunked.run(xs, time_us=time_us), expected[start : start + len(xs)]
        start += len(xs)
        assert same_bits(ys, np.stack([y for y, *_ in part]))
        assert chunked.last_filled == part[0][1]
        assert chunked.last_was_reset == any(was_reset for *_, was_reset in part)
    assert chunked.snapshot()[-16 - state.nbytes : -16] == session.snapshot()[-16 - state.nbytes : -16]


@each_cell
@a_quarter
@given(data=st.data(), n_mates=st.integers(0, 4))
def test_queued_among_others(cell, precision, data, n_mates):
    course = data.draw(courses(cell, precision))
    expected, state = course.expected()
    limits = {"max_fill_frames": MAX_FILL, "max_batch": data.draw(st.integers(1, 4)), "max_run_frames": 3}
    engine = engine_of(course.model, **limits)
    session = engine.open("m", "s", gaps=course.gaps)
    mates = [engine.open("m", gaps=course.gaps if i % 2 else None) for i in range(n_mates)]
    outputs = []
    for turn, (xs, time_us, reset) in enumerate(course.messages):
        if reset >= 0:
            outputs += engine.finish(session)
            session.reset(reset)
        engine.push(session, session.next_seq, xs, time_us=time_us)
        for mate in mates:
            mate_time = 25 * turn if mate.gaps else None
            engine.push(mate, mate.next_seq, random_frames(course.model, seed=turn), time_us=mate_time)
        for _ in range(data.draw(st.integers(0, 3), "ticks")):
            outputs += engine.tick()
    while engine.n_pending:
        outputs += engine.tick()
    mine = [output for output in outputs if output.session is session]
    assert all(a.seq + len(a.ys) == b.seq for a, b in pairwise(mine))
    assert same_answers(in_answers(mine), expected)
    assert same_bits(session.state(), state)


@each_cell
@a_quarter
@given(data=st.data(), n_mates=st.integers(1, 4))
def test_in_a_batch_as_alone(cell, precision, data, n_mates):
    course = data.draw(courses(cell, precision))
    expected, state = course.expected()
    engine = engine_of(course.model, max_fill_frames=MAX_FILL, max_batch=data.draw(st.integers(1, 5)))
    session = engine.open("m", gaps=course.gaps)
    mates = [engine.open("m") for _ in range(n_mates)]
    alone = [mate.fork() for mate in mates]
    got = []
    for turn, (x, time_us, reset) in enumerate(course.frames()):
        if reset >= 0:
            session.reset(reset)
        frames = random_frames(course.model, n_mates + 1, seed=turn)
        frames[-1] = x
        ys = engine.step_many([*mates, session], frames, times_us=[None] * n_mates + [time_us])
        got.append((ys[-1].copy(), session.last_filled, session.last_was_reset))
        assert same_bits(ys[:-1], np.stack([twin.step(f) for twin, f in zip(alone, frames[:-1], strict=True)]))
    assert same_answers(got, expected)
    assert same_bits(session.state(), state)


@each_cell
@a_quarter
@given(data=st.data())
def test_copied_at_every_frame(cell, precision, data):
    course = data.draw(courses(cell, precision))
    expected, state = course.expected()
    engines = [engine_of(course.model, max_fill_frames=MAX_FILL) for _ in range(2)]
    session = engines[0].open("m", "s", gaps=course.gaps)
    got = []
    for turn, (x, time_us, reset) in enumerate(course.frames()):
        if reset >= 0:
            session.reset(reset)
        blob = session.snapshot()
        match data.draw(st.sampled_from(["restore", "fork", "move", "rollback", "none"])):
            case "restore":
                session.close()
                session = engines[turn % 2].restore(blob, "s" if turn % 2 else None)
            case "fork":
                before, session = session, session.fork()
                before.step(random_frames(course.model), time_us=time_us)
                before.close()
            case "move":
                session._engine.replace_model("m", course.model, live="carry")
            case "rollback":
                session.run(random_frames(course.model, 3, seed=1), time_us=time_us)
                session.rollback(blob)
        got.append(answer(session, x, time_us))
    assert same_answers(got, expected)
    assert same_bits(session.state(), state)


@each_cell
@a_quarter
@given(data=st.data(), most=st.integers(1, 6))
def test_overload_skips_or_drops_the_oldest(cell, precision, data, most):
    course = data.draw(courses(cell, precision, most))
    is_stepped = data.draw(st.booleans())
    engine = engine_of(course.model, max_fill_frames=MAX_FILL, max_run_frames=2)
    overload = "skip_output" if is_stepped else "drop_oldest"
    session = engine.open("m", gaps=course.gaps, max_queue_frames=most, overload=overload)
    twin, waiting, expected, outputs = Offline(course.model, course.gaps, MAX_FILL), [], [], []

    def took(output):
        outputs.append(output)
        for _ in output.ys:
            expected.append(twin.frame(*waiting.pop(0)))

    for xs, time_us, reset in course.messages:
        if reset >= 0:
            for output in engine.finish(session):
                took(output)
            session.reset(reset)
            twin.reset(reset)
        before = session.n_applied
        skipped = engine.push(session, session.next_seq, xs, time_us=time_us)
        if skipped is not None:
            assert skipped == (before, len(waiting) + len(xs) - most, is_stepped)
            for _ in range(skipped.n):
                (twin.skip if is_stepped else twin.drop)(*waiting.pop(0))
        waiting += [(x, None if time_us is None else time_us + i * PERIOD) for i, x in enumerate(xs)]
        assert session.n_pending == engine.n_pending == len(waiting) <= most
        if data.draw(st.booleans(), "tick"):
            for output in engine.tick():
                took(output)
    for output in engine.finish(session):
        took(output)
    assert not waiting and engine.n_pending == 0
    assert session.next_seq == sum(len(xs) for xs, *_ in course.messages)
    assert same_answers(in_answers(outputs), expected)
    assert same_bits(session.state(), twin.now.state())


@pytest.mark.parametrize("at", range(9))
def test_a_capture_while_frames_wait_is_the_state_so_far(at):
    from streamrnn.engine.snapshot import encode

    model = random_model("stacked", 3, 10)
    engine = engine_of(model)
    session = engine.open("m", "s", gaps=Gaps("linear", PERIOD))
    session.reset(warm_frames=5)
    xs = random_frames(model, 10)
    outputs = []
    for i, x in enumerate(xs):
        engine.push(session, i, x, time_us=25 * i)
    for _ in range(at):
        outputs += engine.tick()
    (record,) = engine.capture([session])
    other = engine_of(model).restore(encode(record))
    assert other.next_seq == at
    later = [answer(other, x, 25 * i) for i, x in enumerate(xs[at:], start=at)]
    assert same_answers(later, in_answers(engine.finish(session)))
    assert same_bits(other.state(), session.state())
