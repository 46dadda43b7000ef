"""Law 5 across processes: a snapshot goes on in another process with the same bits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import streamrnn
from tests.laws.examples import tried
from tests.laws.nets import CELLS, random_frames, random_model, same_bits

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import sys
from pathlib import Path
import numpy as np
import streamrnn

for folder in sorted(Path(sys.argv[1]).iterdir()):
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=2))
    engine.add_model("there", streamrnn.load_model(folder / "model.safetensors"))
    session = engine.restore((folder / "snapshot").read_bytes())
    np.save(folder / "ys.npy", session.run(np.load(folder / "xs.npy")))
"""

SIDED_CHILD = """
import sys
from pathlib import Path
import numpy as np
import streamrnn

folder = Path(sys.argv[1])
engine = streamrnn.Engine(streamrnn.Limits(max_sessions=2))
engine.add_model("there", streamrnn.load_model(folder / "model.safetensors"))
xs, times = np.load(folder / "xs.npy"), np.load(folder / "times.npy")
for at in range(len(xs)):
    session = engine.restore((folder / f"{at}.snapshot").read_bytes())
    np.save(folder / f"{at}.npy", [session.step(x, time_us=int(t)) for x, t in zip(xs[at:], times[at:])])
    session.close()
"""


def test_a_session_goes_on_in_another_process(tmp_path):
    expected = []
    for i, cell in enumerate(CELLS):
        tried(5, f"{cell}, float32")
        folder = tmp_path / f"{i:02}"
        folder.mkdir()
        model = random_model(cell, 7, 19, seed=i)
        model.save(folder / "model.safetensors")
        engine = streamrnn.Engine(streamrnn.Limits(max_sessions=2))
        engine.add_model("here", model)
        session, xs = engine.open("here"), random_frames(model, 40, seed=i)
        session.run(xs[:25])
        (folder / "snapshot").write_bytes(session.snapshot())
        np.save(folder / "xs.npy", xs[25:])
        expected.append(session.run(xs[25:]))
    subprocess.run([sys.executable, "-W", "error", "-c", CHILD, tmp_path], cwd=ROOT, check=True, timeout=120)
    for i in range(len(CELLS)):
        assert same_bits(np.load(tmp_path / f"{i:02}" / "ys.npy"), expected[i])


@pytest.mark.parametrize("policy", ["hold", "linear"])
def test_a_session_goes_on_amid_a_gap_and_a_warm_reset(tmp_path, policy):
    model = random_model("stacked", 7, 19)
    model.save(tmp_path / "model.safetensors")
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=2))
    engine.add_model("here", model)
    session = engine.open("here", gaps=streamrnn.Gaps(policy, 10, reset_after_us=100))
    xs = random_frames(model, 16)
    steps = [10, 10, 30, 10, 70, 10, 10, 10, 20, 10, 10, 200, 10, 40, 10, 10]
    times, ys = np.cumsum(steps), []
    for at, x in enumerate(xs):
        if at in (3, 12):
            session.reset(warm_frames=6)
        (tmp_path / f"{at}.snapshot").write_bytes(session.snapshot())
        ys.append(session.step(x, time_us=int(times[at])))
    np.save(tmp_path / "xs.npy", xs)
    np.save(tmp_path / "times.npy", times)
    subprocess.run([sys.executable, "-W", "error", "-c", SIDED_CHILD, tmp_path], cwd=ROOT, check=True, timeout=120)
    for at in range(len(xs)):
        end = next((reset for reset in (3, 12) if reset > at), len(xs))  # what was taken before it goes on without it
        assert same_bits(np.load(tmp_path / f"{at}.npy")[: end - at], np.array(ys[at:end]))
