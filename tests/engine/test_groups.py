"""Groups: columns of many sessions beside lone frames and chunks; each session's frames stay in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamrnn import Engine, Limits
from streamrnn.engine.gaps import Gaps
from streamrnn.engine.lane import Lane
from streamrnn.errors import SessionClosedError, UsageError
from tests.laws.nets import random_frames, random_model, same_bits

N_SESSIONS = 6
LIMITS = Limits(max_sessions=N_SESSIONS + 2, max_batch=2, max_queue_frames=6, max_run_frames=8)
MODEL = random_model("gru", 3, 5)


def made(model=MODEL, limits=LIMITS, n=N_SESSIONS):
    engine = Engine(limits)
    engine.add_model("m", model)
    return engine, [engine.open("m", f"s{i}") for i in range(n)]


def push_group(engine, group, frames, seqs=None):
    """Push a frame of each; their seqs are the next ones unless others are given."""
    seqs = [session.next_seq for session in group.sessions] if seqs is None else seqs
    return engine.push_group(group, np.array(seqs, np.int64), np.asarray(frames, np.float32).tobytes())


class Watched:
    """An engine, and beside it the frames that each session should have stepped since its state was new."""

    def __init__(self):
        self.engine, self.sessions = made()
        self.frames = {session: [] for session in self.sessions}
        self.ys = {session: [] for session in self.sessions}
        self.n_answered = dict.fromkeys(self.sessions, 0)
        self.groups = []
        self.n_pushed = 0

    def some(self, n):
        self.n_pushed += 1
        return random_frames(MODEL, n, seed=self.n_pushed)

    def take(self, outputs):
        for output in outputs:
            assert output.seq == self.n_answered[output.session], "in order, without a gap"
            self.n_answered[output.session] += len(output.ys)
            self.ys[output.session].append(output.ys)

    def push(self, session, n):
        if session.n_pending + n <= LIMITS.max_queue_frames:
            frames = self.some(n)
            self.engine.push(session, session.next_seq, frames.tobytes())
            self.frames[session].append(frames)

    def push_columns(self, picked):
        group = next((g for g in self.groups if g.is_whole and g.sessions == picked), None)
        if group is None:
            group = self.engine.group(picked)
            self.groups.append(group)
        frames = self.some(len(picked))
        if push_group(self.engine, group, frames):
            for session, frame in zip(picked, frames, strict=True):
                self.frames[session].append(frame[None])
        else:
            for session, frame in zip(picked, frames, strict=True):
                if session.n_pending < LIMITS.max_queue_frames:
                    self.engine.push(session, session.next_seq, frame)
                    self.frames[session].append(frame[None])

    def check(self, session):
        """Step what waits in it, and compare all that came since its state was new with a session alone."""
        self.take(self.engine.finish(session))
        alone = self.engine.open("m")
        if self.frames[session]:
            expected = alone.run(np.concatenate(self.frames[session]))
            assert same_bits(np.concatenate(self.ys[session]), expected)
        else:
            assert not self.ys[session]
        assert same_bits(session.state(), alone.state())
        alone.close()

    def replace(self, session):
        """Close a session, whatever waits, and open another."""
        session.close()
        place = self.sessions.index(session)
        new = self.sessions[place] = self.engine.open("m", session.id)
        self.frames[new], self.ys[new], self.n_answered[new] = [], [], 0


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_mixture_gives_each_session_what_it_would_have_alone(data):
    world = Watched()
    one = st.sampled_from(range(N_SESSIONS))
    moves = st.sampled_from(
        [
            "lone",
            "lone ones",
            "lone ones",
            "chunk",
            "columns",
            "columns",
            "all",
            "tick",
            "tick",
            "check",
            "reset",
            "close",
        ]
    )
    for _ in range(data.draw(st.integers(1, 40))):
        move = data.draw(moves)
        session = world.sessions[data.draw(one)]
        if move == "lone":
            world.push(session, 1)
        elif move == "lone ones":
            for i in data.draw(st.permutations(range(N_SESSIONS)))[: data.draw(st.integers(2, N_SESSIONS))]:
                world.push(world.sessions[i], 1)
        elif move == "chunk":
            world.push(session, data.draw(st.integers(2, 4)))
        elif move in ("columns", "all"):
            picked = data.draw(st.permutations(range(N_SESSIONS)))[: data.draw(st.integers(2, N_SESSIONS))]
            world.push_columns([world.sessions[i] for i in (range(N_SESSIONS) if move == "all" else picked)])
        elif move == "tick":
            world.take(world.engine.tick())
        elif move == "close":
            world.replace(session)
        else:
            world.check(session)
            if move == "reset":
                session.reset()
                world.frames[session], world.ys[session] = [], []
    while world.engine.n_pending:
        world.take(world.engine.tick())
    for session in world.sessions:
        world.check(session)


def test_columns_are_one_call_of_each_batch(monkeypatch):
    engine, sessions = made(limits=Limits(max_sessions=8, max_batch=8))
    calls = []
    run = Lane.run
    monkeypatch.setattr(Lane, "run", lambda lane, slots, x, y: calls.append(x.shape) or run(lane, slots, x, y))
    group = engine.group(sessions)
    frames = random_frames(MODEL, N_SESSIONS)
    assert push_group(engine, group, frames)
    assert (engine.n_pending, [session.n_pending for session in sessions]) == (N_SESSIONS, [1] * N_SESSIONS)
    outputs = engine.tick()
    assert [(output.session, output.seq, len(output.ys)) for output in outputs] == [(s, 0, 1) for s in sessions]
    assert calls == [(1, N_SESSIONS, 3)]
    assert engine.n_pending == 0 and group.is_whole


def test_several_wait_and_are_answered_in_order():
    engine, sessions = made()
    group = engine.group(sessions)
    for _ in range(LIMITS.max_queue_frames):
        assert push_group(engine, group, random_frames(MODEL, N_SESSIONS))
    assert not push_group(engine, group, random_frames(MODEL, N_SESSIONS)), "the queues are full"
    seqs = []
    while engine.n_pending:
        seqs += [output.seq for output in engine.tick() if output.session is sessions[3]]
    assert seqs == list(range(LIMITS.max_queue_frames))


@pytest.mark.parametrize("what", ["gap", "again", "nan", "short", "long"])
def test_what_is_refused_disturbs_nobody(what):
    engine, sessions = made()
    group = engine.group(sessions)
    frames = random_frames(MODEL, N_SESSIONS)
    seqs = [0] * N_SESSIONS
    if what == "gap":
        seqs[2] = 1
    elif what == "again":
        seqs[2] = -1
    elif what == "nan":
        frames[4, 1] = np.nan
    elif what == "short":
        frames = frames[:-1]
    else:
        frames = np.concatenate([frames, frames[:1]])
    assert not push_group(engine, group, frames, seqs)
    assert engine.n_pending == 0 and all(session.next_seq == 0 for session in sessions)
    assert push_group(engine, group, random_frames(MODEL, N_SESSIONS))


@pytest.mark.parametrize("end", ["close", "park", "rollback", "warm reset", "another group", "move"])
def test_a_group_is_whole_until_something_happens_to_a_member(end):
    engine, sessions = made()
    group, session = engine.group(sessions), sessions[2]
    if end == "close":
        session.close()
    elif end == "park":
        engine.park(session)
    elif end == "rollback":
        session.rollback(session.snapshot())
    elif end == "warm reset":
        session.reset(warm_frames=2)
    elif end == "move":
        engine.replace_model("m", random_model("gru", 3, 5, seed=9), live="carry")
    else:
        engine.group(sessions[2:])
    assert not group.is_whole
    assert not push_group(engine, group, random_frames(MODEL, N_SESSIONS), [0] * N_SESSIONS)
    assert engine.n_pending == 0


def test_columns_that_wait_follow_a_session_to_a_newer_version():
    engine, sessions = made()
    group = engine.group(sessions)
    frames = random_frames(MODEL, N_SESSIONS)
    assert push_group(engine, group, frames)
    newer = random_model("gru", 3, 5, seed=9)
    engine.replace_model("m", newer, live="reset")
    ys = {output.session: output.ys[0] for _ in range(3) for output in engine.tick()}
    other = Engine(LIMITS)
    other.add_model("m", newer)
    for session, frame in zip(sessions, frames, strict=True):
        assert same_bits(ys[session], other.open("m").step(frame))


def test_a_group_is_of_plain_sessions_of_one_model():
    engine, sessions = made()
    engine.add_model("n", random_model("gru", 3, 5, seed=1))
    for odd in (
        engine.open("n"),
        engine.open("m", overload="drop_oldest"),
        engine.open("m", gaps=Gaps("hold", 10)),
        sessions[0],
    ):
        with pytest.raises(UsageError):
            engine.group([*sessions, odd])
        if odd is not sessions[0]:
            odd.close()
    with pytest.raises(UsageError):
        engine.group([])
    sessions[1].close()
    with pytest.raises(SessionClosedError):
        engine.group(sessions)


def test_lone_frames_are_gathered_as_they_come():
    engine, sessions = made(limits=Limits(max_sessions=8, max_batch=4))
    frames = random_frames(MODEL, N_SESSIONS)
    for session, frame in zip(sessions, frames, strict=True):
        engine.push(session, 0, frame.tobytes())
        assert not session.queue.n_frames, "it waits beside the others"
    ticks = []
    while engine.n_pending:
        ticks.append({output.session: output.ys[0] for output in engine.tick()})
    assert sorted(len(tick) for tick in ticks) in ([6], [2, 4])
    found = {session: y for tick in ticks for session, y in tick.items()}
    for session, frame in zip(sessions, frames, strict=True):
        session.reset()
        assert same_bits(found[session], session.step(frame))
