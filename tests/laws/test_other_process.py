"""Law 5 across processes: a snapshot goes on in another process with the same bits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

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
