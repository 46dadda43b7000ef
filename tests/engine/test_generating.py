"""Generation in the engine: what is refused, what ends it, and what becomes of it under every turn of a session."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn import Generation
from streamrnn.decode.settings import SamplerSettings
from streamrnn.engine.gaps import Gaps
from streamrnn.engine.snapshot import encode
from streamrnn.errors import GeneratingError, OptionError, QueueFullError, SequenceError, SnapshotError, UsageError
from tests.laws.nets import N_TOKENS, random_frames, random_model, same_bits
from tests.laws.test_laws import engine_of

SAMPLER = SamplerSettings(input="logit")
PROMPT = np.array([[3], [1], [4]], np.float32)


@pytest.fixture
def model():
    return random_model("embedding", 1, 5)


@pytest.fixture
def engine(model):
    return engine_of(model)


@pytest.fixture
def session(engine):
    session = engine.open("m", "s", decoder=SAMPLER)
    session.run(PROMPT)
    return session


def tokens_of(outputs):
    """The tokens in the events of outputs, and the causes."""
    events = [event for output in outputs for event in output.events]
    return [event.token for event in events], [event.cause for event in events]


def ticked(engine):
    """All outputs until nothing waits."""
    outputs = []
    while engine.n_pending:
        outputs += engine.tick()
    return outputs


def test_greedy_tokens_are_those_of_stepping_by_hand(engine, session):
    by_hand = engine.open("m")
    y, expected = by_hand.run(PROMPT)[-1], []
    for _ in range(20):
        expected.append(int(np.argmax(y)))
        y = by_hand.step(np.array([expected[-1]], np.float32))
    assert session.generate(20, temperature=0.0) == expected
    assert session.next_seq == 23
    assert same_bits(session.state(), by_hand.state())


def test_direct_and_queued_are_the_same(engine, session):
    twin = session.fork()
    expected = session.generate(30, 0.8, 5, seed=7)
    engine.generate(twin, Generation(30, 0.8, 5, 7))
    outputs = ticked(engine)
    assert [output.seq for output in outputs] == list(range(3, 33))
    assert tokens_of(outputs) == (expected, [""] * 29 + ["length"])
    assert same_bits(session.state(), twin.state())
    assert session.snapshot()[100:] != b""
    assert not twin.is_generating and twin.n_pending == 0


def test_in_parts_as_in_one(session):
    twin = session.fork()
    assert session.generate(12, seed=3) == twin.generate(5, seed=3) + twin.generate(1, seed=3) + twin.generate(
        6, seed=3
    )


def test_another_seed_draws_others(session):
    twin = session.fork()
    assert session.generate(30, seed=1) != twin.generate(30, seed=2)


def test_the_stop_token_is_stepped_and_ends_it(session):
    twin, third = session.fork(), session.fork()
    tokens = session.generate(40, seed=5)
    stop = tokens[10]
    first = tokens.index(stop)
    assert twin.generate(40, seed=5, stop=stop) == tokens[: first + 1]
    assert twin.next_seq == 3 + first + 1
    third.run(np.array(tokens[: first + 1], np.float32)[:, None])
    assert same_bits(twin.state(), third.state())
    assert twin.last_events[-1].cause == "stop"


def test_finish_steps_it_to_its_end(engine, session):
    other = engine.open("m", decoder=SAMPLER)
    other.run(PROMPT)
    expected = session.fork().generate(9, seed=2)
    engine.generate(session, Generation(9, seed=2))
    engine.push(other, 3, PROMPT)
    assert tokens_of(engine.finish(session))[0] == expected
    assert engine.n_pending == 3
    assert len(ticked(engine)) == 1


def test_batch_mates_change_nothing(engine, session):
    twins = [session.fork() for _ in range(5)]
    expected = [twin.fork().generate(8 + i, seed=i) for i, twin in enumerate(twins)]
    for i, twin in enumerate(twins):
        engine.generate(twin, Generation(8 + i, seed=i))
    outputs = ticked(engine)
    for twin, tokens in zip(twins, expected, strict=True):
        assert tokens_of([output for output in outputs if output.session is twin])[0] == tokens


class TestRefusals:
    def test_without_a_sampler(self, engine):
        plain = engine.open("m")
        plain.run(PROMPT)
        with pytest.raises(OptionError, match="sampler"):
            plain.generate(3)

    def test_before_any_frame(self, engine):
        with pytest.raises(OptionError, match="at least one frame"):
            engine.open("m", decoder=SAMPLER).generate(3)

    def test_behind_a_reset(self, session):
        session.reset()
        with pytest.raises(OptionError, match="at least one frame"):
            session.generate(3)

    def test_with_a_gap_policy(self, engine):
        session = engine.open("m", decoder=SAMPLER, gaps=Gaps("reset_after", 10, 100))
        session.run(PROMPT, time_us=0)
        with pytest.raises(OptionError, match="gap policy"):
            session.generate(3)

    def test_of_a_model_without_tokens(self):
        with pytest.raises(OptionError, match="tokens"):
            engine_of(random_model("lstm", 3, 5)).open("m", decoder=SAMPLER)

    def test_while_frames_wait(self, engine, session):
        engine.push(session, 3, PROMPT)
        with pytest.raises(UsageError, match="frames waiting"):
            engine.generate(session, Generation(3))

    def test_while_it_generates(self, engine, session):
        engine.generate(session, Generation(5))
        for call in (
            lambda: session.step(PROMPT[0]),
            lambda: session.run(PROMPT),
            lambda: session.generate(2),
            lambda: engine.generate(session, Generation(2)),
            lambda: engine.step_many([session], PROMPT[:1]),
        ):
            with pytest.raises(UsageError, match="generates"):
                call()

    def test_frames_that_are_pushed(self, engine, session):
        engine.generate(session, Generation(5))
        with pytest.raises(GeneratingError, match="generates") as caught:
            engine.push(session, session.next_seq, PROMPT)
        assert isinstance(caught.value, QueueFullError)
        with pytest.raises(SequenceError, match="already taken"):
            engine.push(session, 1, PROMPT)
        assert len(ticked(engine)) == 5
        engine.push(session, 8, PROMPT)
        assert len(ticked(engine)[0].ys) == 3

    @pytest.mark.parametrize(
        "values", [{"n": 0}, {"n": 1, "temperature": -1.0}, {"n": 1, "top_k": -1}, {"n": 1, "seed": -1}]
    )
    def test_options_out_of_range(self, session, values):
        with pytest.raises(OptionError):
            session.generate(**values)


class TestTurns:
    """A generation of 12 tokens, with something done behind the fifth."""

    @pytest.fixture
    def expected(self, session):
        return session.fork().generate(12, seed=9)

    @pytest.fixture
    def amid(self, engine, session, expected):
        engine.generate(session, Generation(12, seed=9))
        outputs = [output for _ in range(5) for output in engine.tick()]
        assert tokens_of(outputs)[0] == expected[:5]
        return session

    def test_snapshot_and_restore(self, engine, model, amid, expected):
        blob = amid.snapshot()
        for where in (engine, engine_of(model)):
            copy = where.restore(blob, "copy")
            assert copy.n_applied == 8 and copy.is_generating
            assert tokens_of(where.finish(copy)) == (expected[5:], [""] * 6 + ["length"])

    def test_a_snapshot_whose_token_is_of_another_frame(self, engine, amid):
        record, n_before = engine.read(amid.snapshot()), engine.n_sessions
        with pytest.raises(SnapshotError, match="has drawn one of seq 8"):
            engine.restore(encode(record._replace(next_seq=7)), "copy")
        assert engine.n_sessions == n_before

    def test_fork(self, engine, amid, expected):
        twin = amid.fork()
        outputs = ticked(engine)
        for session in (amid, twin):
            assert tokens_of([output for output in outputs if output.session is session])[0] == expected[5:]

    def test_capture_and_rollback(self, engine, amid, expected):
        blob = amid.snapshot()
        ticked(engine)
        amid.rollback(blob)
        assert tokens_of(ticked(engine))[0] == expected[5:]
        engine.generate(amid, Generation(3))
        amid.rollback(blob)
        assert tokens_of(ticked(engine))[0] == expected[5:]
        assert engine.n_pending == 0

    def test_park_and_wake(self, engine, amid, expected):
        parked = engine.park(amid)
        assert engine.n_pending == 0
        assert tokens_of(engine.finish(engine.wake(parked)))[0] == expected[5:]

    def test_reset_ends_it(self, engine, amid):
        amid.reset()
        assert engine.n_pending == amid.n_pending == 0 and not amid.is_generating
        assert ticked(engine) == []
        fresh = engine.open("m")
        assert same_bits(amid.step(PROMPT[0]), fresh.step(PROMPT[0]))

    def test_warm_reset_ends_it(self, engine, amid):
        amid.reset(2)
        assert engine.n_pending == 0 and not amid.is_generating

    def test_stop_generating(self, engine, amid, expected):
        by_hand = engine.open("m")
        by_hand.run(np.concatenate([PROMPT, np.array(expected[:5], np.float32)[:, None]]))
        amid.stop_generating()
        amid.stop_generating()
        assert ticked(engine) == []
        assert same_bits(amid.state(), by_hand.state())
        assert amid.generate(7, seed=9) == expected[5:]

    def test_close(self, engine, amid):
        amid.close()
        assert engine.n_pending == 0

    def test_carried_to_another_version(self, engine, model, amid, expected):
        engine.replace_model("m", model, "carry")
        assert tokens_of(ticked(engine))[0] == expected[5:]

    def test_goes_on_from_the_start_in_another_version(self, engine, model, amid, expected):
        engine.replace_model("m", model, "reset")
        tokens, causes = tokens_of(ticked(engine))
        assert tokens[0] == expected[5] and causes == [""] * 6 + ["length"]
        by_hand = engine.open("m")
        by_hand.run(np.array(tokens, np.float32)[:, None])
        assert same_bits(amid.state(), by_hand.state())


def test_tokens_stay_tokens(model, session):
    assert set(session.generate(200, temperature=5.0)) <= set(range(N_TOKENS))
    assert random_frames(model, 4).max() < N_TOKENS
