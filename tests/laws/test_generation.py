"""What a session draws depends on its outputs, the seed and the seq alone: not on mates, cuts, copies or processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamrnn import Generation
from streamrnn.decode.settings import SamplerSettings
from tests.laws.nets import N_TOKENS, random_model, same_bits
from tests.laws.test_laws import engine_of

ROOT = Path(__file__).resolve().parents[2]
SAMPLER = SamplerSettings(input="logit")
CELL = "embedding"
N = 24

GENERATIONS = st.builds(
    Generation,
    n=st.integers(1, N),
    temperature=st.sampled_from((0.0, 0.3, 1.0, 4.0)),
    top_k=st.integers(0, 6),
    seed=st.integers(0, 2**53 - 1),
    stop=st.integers(-1, 3),
)
PROMPTS = st.lists(st.integers(0, N_TOKENS - 1), min_size=1, max_size=6)


def begun(engine, prompt):
    """A session that has seen the prompt."""
    session = engine.open("m", decoder=SAMPLER)
    session.run(np.array(prompt, np.float32)[:, None])
    return session


def direct(session, generation):
    """The tokens, drawn directly."""
    return session.generate(generation.n, generation.temperature, generation.top_k, generation.seed, generation.stop)


@given(st.data(), PROMPTS, GENERATIONS, st.integers(0, 5))
def test_among_others_as_alone(data, prompt, generation, n_mates):
    """In batches with others that generate or are fed, and finished at any moment."""
    model = random_model(CELL, 1, 5, seed=2)
    engine = engine_of(model)
    session = begun(engine, prompt)
    alone = session.fork()
    expected = direct(alone, generation)
    mates = [begun(engine, data.draw(PROMPTS)) for _ in range(n_mates)]
    engine.generate(session, generation)
    for mate in mates:
        if data.draw(st.booleans()):
            engine.generate(mate, data.draw(GENERATIONS))
        else:
            engine.push(mate, mate.next_seq, np.full((data.draw(st.integers(1, 9)), 1), 3, np.float32))
    outputs = []
    for _ in range(data.draw(st.integers(0, N))):
        outputs += engine.tick()
    outputs += engine.finish(session)
    mine = [output for output in outputs if output.session is session]
    events = [event for output in mine for event in output.events]
    assert [event.token for event in events] == expected
    assert [event.seq for event in events] == list(range(len(prompt), len(prompt) + len(expected)))
    assert same_bits(session.state(), alone.state())


@given(st.data(), PROMPTS, GENERATIONS)
def test_cut_into_calls(data, prompt, generation):
    engine = engine_of(random_model(CELL, 1, 5, seed=2))
    session = begun(engine, prompt)
    other, expected = session.fork(), direct(session, generation)
    got: list[int] = []
    while len(got) < len(expected):
        n = data.draw(st.integers(1, len(expected) - len(got)))
        got += other.generate(n, generation.temperature, generation.top_k, generation.seed, generation.stop)
    assert got == expected


@given(st.data(), PROMPTS, GENERATIONS)
def test_copied_at_every_token(data, prompt, generation):
    """Restored here or in another engine, forked, parked, taken back or carried over, before any token."""
    model = random_model(CELL, 1, 5, seed=2)
    engine, there = engine_of(model), engine_of(model)
    session = begun(engine, prompt)
    alone = session.fork()
    expected = direct(alone, generation)
    engine.generate(session, generation)
    got: list[int] = []
    turns = st.sampled_from(["tick", "restore", "fork", "park", "rollback", "move", "away"])
    while session.is_generating:
        match data.draw(turns):
            case "restore":
                blob = session.snapshot()
                session.close()
                session = engine.restore(blob)
            case "fork":
                before, session = session, session.fork()
                before.close()
            case "park":
                session = engine.wake(engine.park(session))
            case "rollback":
                blob = session.snapshot()
                engine.tick()
                session.rollback(blob)
            case "move":
                engine.replace_model("m", model, "carry")
            case "away":
                blob = session.snapshot()
                session.close()
                engine, there = there, engine
                session = engine.restore(blob)
        got += [event.token for output in engine.tick() for event in output.events]
    assert got == expected
    assert same_bits(session.state(), alone.state())
    assert engine.n_pending == there.n_pending == 0


CHILD = """
import json
import sys
from pathlib import Path
import streamrnn

folder = Path(sys.argv[1])
engine = streamrnn.Engine(streamrnn.Limits(max_sessions=2))
engine.add_model("there", streamrnn.load_model(folder / "model.safetensors"))
session = engine.restore((folder / "snapshot").read_bytes())
events = [event for output in engine.finish(session) for event in output.events]
print(json.dumps([[event.token for event in events], session.generate(30, seed=8)]))
"""


def test_in_another_process(tmp_path):
    model = random_model(CELL, 1, 5, seed=2)
    model.save(tmp_path / "model.safetensors")
    engine = engine_of(model)
    session = begun(engine, [3, 1, 4])
    engine.generate(session, Generation(40, 0.9, seed=5))
    for _ in range(13):
        engine.tick()
    (tmp_path / "snapshot").write_bytes(session.snapshot())
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rest = [event.token for output in engine.finish(session) for event in output.events]
    assert json.loads(done.stdout) == [rest, session.generate(30, seed=8)]
    assert len(rest) == 27
