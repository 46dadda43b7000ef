"""Vectors of 4, 8 and 16 lanes give the same bits, so a snapshot moves between hosts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import hashlib
from streamrnn.kernels.simd import WIDTH
from tests.laws.nets import CELLS, PRECISIONS, random_frames, random_model
from tests.laws.test_laws import engine_of

print("width", WIDTH)
for cell in CELLS:
    for precision in PRECISIONS:
        digest = hashlib.sha256()
        for i, h in (1, 1), (3, 17), (20, 40), (33, 70):
            model = random_model(cell, i, h, precision=precision, paired=h > 20)
            engine = engine_of(model)
            sessions = [engine.open("m") for _ in range(7)]
            for frames in random_frames(model, 20, 7):
                digest.update(engine.step_many(sessions, frames).tobytes())
            digest.update(sessions[0].run(random_frames(model, 40)).tobytes())
            digest.update(sessions[0].state().tobytes())
        print(cell, precision, digest.hexdigest())
"""


def started(width):
    """A process of that vector width."""
    environment = {**os.environ, "STREAMRNN_VECTOR_WIDTH": width}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", CHILD], cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True
    )


def test_every_width_gives_the_same_bits():
    children = {width: started(width) for width in ("4", "8", "16")}  # at once: each may have to compile
    found = {}
    for width, child in children.items():
        out, err = child.communicate(timeout=240)
        assert child.returncode == 0, err
        first, _, found[width] = out.partition("\n")
        assert first == f"width {width}"
    assert found["4"].count("\n") > 10
    assert found["4"] == found["8"] == found["16"]


def test_another_width_is_refused():
    child = started("5")
    _, err = child.communicate(timeout=60)
    assert child.returncode != 0
    assert "STREAMRNN_VECTOR_WIDTH must be 4, 8 or 16, got '5'" in err
