"""Write the golden snapshots: one of each version, the model they are of, and how the session goes on.

One more is of a session in the middle of a warm reset and before a gap: its side has a version of its own.

`python -m tests.golden.make_snapshots`. Each later release must go on reading the files that are there, so a file that
exists is kept: a new version of the format adds one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import streamrnn
from streamrnn.engine.side_form import PLAIN as SIDE_VERSION
from streamrnn.engine.snapshot import PLAIN, SIGNED
from tests.laws.nets import random_frames, random_model

FOLDER = Path(__file__).parent / "snapshots"
KEY = b"the golden key, known to all"
N_BEFORE, N_AFTER = 11, 20
PERIOD_US = 20_000
SIDED_TIME_US = 20 * PERIOD_US


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
    make_sided(model)


def make_sided(model: streamrnn.Model) -> None:
    """Write the snapshot of a session that has a side."""
    path = FOLDER / f"side_{SIDE_VERSION}.bin"
    if path.exists():
        return
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
    engine.add_model("m", model)
    session = engine.open("m", "golden", gaps=streamrnn.Gaps("linear", PERIOD_US, 100 * PERIOD_US))
    session.run(random_frames(model, N_BEFORE, seed=1), time_us=0)
    session.reset(warm_frames=8)
    session.run(random_frames(model, 3, seed=3), time_us=N_BEFORE * PERIOD_US)
    path.write_bytes(session.snapshot())
    xs = random_frames(model, N_AFTER, seed=2)
    ys = session.run(xs, time_us=SIDED_TIME_US)
    np.savez(FOLDER / f"side_{SIDE_VERSION}_course.npz", xs=xs, ys=ys)


if __name__ == "__main__":
    main()
