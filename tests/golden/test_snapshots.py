"""Snapshots of every version that there ever was are still read, and their sessions go on where they were."""

from __future__ import annotations

import numpy as np
import pytest

import streamrnn
from streamrnn.engine.snapshot import SIGNED
from tests.golden.make_snapshots import FOLDER, KEY, N_BEFORE

VERSIONS = sorted(FOLDER.glob("version_*.bin"))


def test_there_is_one_of_each_version():
    assert [path.stem for path in VERSIONS] == [f"version_{n}" for n in range(1, SIGNED + 1)]


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_it_goes_on(path):
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1), snapshot_key=KEY if path.stem == "version_2" else None)
    engine.add_model("m", streamrnn.load_model(FOLDER / "model.safetensors"))
    session = engine.restore(path.read_bytes())
    assert (session.id, session.next_seq) == ("golden", N_BEFORE)
    with np.load(FOLDER / "course.npz") as course:
        # Not bit by bit: a later release may compute an activation more exactly.
        np.testing.assert_allclose(session.run(course["xs"]), course["ys"], atol=1e-5)
