"""A big batch split over lent threads: the same bits, all or nothing, and never for a small one."""

from __future__ import annotations

import ctypes
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread, get_ident

import numpy as np
import pytest

from streamrnn import Engine, Limits
from streamrnn.engine import lane
from streamrnn.errors import FrameError, OptionError
from streamrnn.kernels.plan import CallWord
from tests.laws.nets import PRECISIONS, random_frames, random_model, same_bits

N_SESSIONS = 13


class Watched(ThreadPoolExecutor):
    """Notes what it was given."""

    def __init__(self, n_threads):
        super().__init__(n_threads)
        self.n_slots = []
        self.threads = set()

    def submit(self, work, /, kernel, call):
        self.n_slots.append(ctypes.c_int64.from_address(call + 8 * CallWord.N_SLOTS).value)

        def noted():
            self.threads.add(get_ident())
            return work(kernel, call)

        return super().submit(noted)


@pytest.fixture
def helpers():
    with Watched(2) as threads:
        yield threads


@pytest.fixture
def split_everything(monkeypatch):
    """Small nets, so that a test is quick."""
    monkeypatch.setattr(lane, "MIN_PART_MACS", 1)


def opened(model, helpers=None, **limits):
    engine = Engine(Limits(max_sessions=N_SESSIONS, **limits), helpers=helpers)
    engine.add_model("m", model)
    return engine, [engine.open("m") for _ in range(N_SESSIONS)]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("cell", ["lstm", "stacked", "classic"])
@pytest.mark.parametrize("max_threads", [2, 3])
def test_the_bits_are_those_of_one_thread(split_everything, helpers, cell, precision, max_threads):
    model = random_model(cell, 5, 19, precision=precision)
    engine, sessions = opened(model, helpers, max_threads=max_threads)
    alone, singles = opened(model)
    for frames in random_frames(model, 20, N_SESSIONS):
        assert same_bits(engine.step_many(sessions, frames), alone.step_many(singles, frames))
    assert len(helpers.n_slots) == 20 * (max_threads - 1)
    assert get_ident() not in helpers.threads
    assert [session.next_seq for session in sessions] == [20] * N_SESSIONS
    for session, single in zip(sessions, singles, strict=True):
        assert same_bits(session.state(), single.state())


def test_queued_frames_are_split_too(split_everything, helpers):
    model = random_model("gru", 5, 19)
    engine, sessions = opened(model, helpers, max_threads=3)
    _, singles = opened(model)
    frames = random_frames(model, N_SESSIONS, 4)
    for session, xs in zip(sessions, frames, strict=True):
        engine.push(session, 0, xs)
    outputs = {session: [] for session in sessions}
    while engine.n_pending:
        for output in engine.tick():
            outputs[output.session].append(output.ys)
    assert helpers.n_slots
    for session, single, xs in zip(sessions, singles, frames, strict=True):
        assert same_bits(np.concatenate(outputs[session]), single.run(xs))


@pytest.mark.parametrize("sick", [0, 6, 12])
def test_a_refused_frame_steps_no_part(split_everything, helpers, sick):
    model = random_model("lstm", 5, 19)
    engine, sessions = opened(model, helpers, max_threads=3)
    frames = random_frames(model, N_SESSIONS)
    frames[sick, 2] = np.nan
    with pytest.raises(FrameError, match=f"frame {sick}: value 2 is nan"):
        engine.step_many(sessions, frames)
    assert helpers.n_slots == []
    assert not any(session.state().any() or session.next_seq for session in sessions)


@pytest.mark.parametrize("n_taken", [0, 1])
def test_helpers_that_were_shut_down_lose_nothing(split_everything, helpers, n_taken, monkeypatch):
    """Even amid a batch: what they do not take is stepped by the caller."""
    model = random_model("lstm", 5, 19)
    engine, sessions = opened(model, helpers, max_threads=3)
    alone, singles = opened(model)
    submit = helpers.submit

    def until_shut_down(*work):
        if len(helpers.n_slots) >= n_taken:
            raise RuntimeError("cannot schedule new futures after shutdown")
        return submit(*work)

    monkeypatch.setattr(helpers, "submit", until_shut_down)
    frames = random_frames(model, N_SESSIONS)
    assert same_bits(engine.step_many(sessions, frames), alone.step_many(singles, frames))
    assert [session.next_seq for session in sessions] == [1] * N_SESSIONS


def test_a_small_batch_stays_in_its_thread(helpers):
    model = random_model("lstm", 5, 19)
    engine, sessions = opened(model, helpers, max_threads=3)
    engine.step_many(sessions, random_frames(model, N_SESSIONS))
    sessions[0].run(random_frames(model, 100))
    assert helpers.n_slots == []


def test_a_big_batch_is_split_evenly(helpers):
    model = random_model("lstm", 80, 256)
    engine, sessions = opened(model, helpers, max_threads=2)
    assert N_SESSIONS * model.program.n_macs < 2 * lane.MIN_PART_MACS
    engine.step_many(sessions, random_frames(model, N_SESSIONS))
    assert helpers.n_slots == []
    larger = random_model("lstm", 128, 800)
    engine, sessions = opened(larger, helpers, max_threads=2)
    engine.step_many(sessions, random_frames(larger, N_SESSIONS))
    assert helpers.n_slots == [7]


def test_threads_without_helpers_are_refused():
    with pytest.raises(OptionError, match=r"max_threads is 3: expected helpers, such as ThreadPoolExecutor\(2\)"):
        Engine(Limits(max_threads=3))


@pytest.mark.parametrize("is_held", [False, True])
def test_a_long_call_lets_other_threads_run(monkeypatch, is_held):
    """Threads take no turns here but when one lets go: the other one gets its turn within the call, or after it."""
    if is_held:
        monkeypatch.setattr(lane, "HELD_MACS", 10**15)
    model = random_model("lstm", 128, 512)
    session = opened(model)[1][0]
    frames, go, turns = random_frames(model, 6000), Event(), []

    def wait_for_a_turn():
        go.wait()
        turns.append(1)

    thread = Thread(target=wait_for_a_turn)
    thread.start()
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(100)
    try:
        go.set()
        session.run(frames)
        had_its_turn = bool(turns)
    finally:
        sys.setswitchinterval(before_s)
    thread.join()
    assert had_its_turn != is_held


def test_a_short_call_keeps_the_gil():
    """It costs less, and a thread that lets go may wait milliseconds for its next turn."""
    small, large = (opened(random_model("lstm", *sizes))[1][0].lane for sizes in ((5, 19), (128, 1024)))
    assert small.invoke is small.invoker(1) is not small.invoker(1_000_000)
    assert large.invoke is small.invoker(1_000_000)
