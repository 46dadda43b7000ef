"""Write the golden snapshots: one of each version, the model they are of, and how the session goes on.

`python -m tests.golden.make_snapshots`. Each later release must go on reading the files that are there, so a file that
exists is kept: a new version of the format adds one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import streamrnn
from streamrnn.engine.snapshot import PLAIN, SIGNED
from tests.laws.nets import random_frames, random_model

FOLDER = Path(__file__).parent / "snapshots"
KEY = b"the golden key, known to all"
N_BEFORE, N_AFTER = 11, 20


def main() -> None:
    """Write what is missing."""
    FOLDER.mkdir(exist_ok=True)
    model_file, course_file = FOLDER / "model.safetensors", FOLDER / "course.npz"
    if not model_file.exists():
        random_model("stacked", 3, 10, seed=5).save(model_file)
    model = streamrnn.load_model(model_file)
    for version, key in ((PLAIN, None), (SIGNED, KEY)):
        engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1), snapshot_key=key)
        engine.add_model("m", model)
        session = engine.open("m", "golden")
        session.run(random_frames(model, N_BEFORE, seed=1))
        path = FOLDER / f"version_{version}.bin"
        if not path.exists():
            path.write_bytes(session.snapshot())
        if not course_file.exists():
            xs = random_frames(model, N_AFTER, seed=2)
            np.savez(course_file, xs=xs, ys=session.run(xs))


if __name__ == "__main__":
    main()
