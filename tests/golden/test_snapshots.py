"""Snapshots of every version that there ever was are still read, and their sessions go on where they were."""

from __future__ import annotations

import numpy as np
import pytest

import streamrnn
from streamrnn.engine.side_form import PLAIN as SIDE_VERSION
from streamrnn.engine.snapshot import SIGNED
from tests.golden.make_snapshots import FOLDER, KEY, N_BEFORE, PERIOD_US, SIDED_TIME_US

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


@pytest.mark.parametrize("version", range(1, SIDE_VERSION + 1))
def test_a_session_with_a_side_goes_on(version):
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
    engine.add_model("m", streamrnn.load_model(FOLDER / "model.safetensors"))
    session = engine.restore((FOLDER / f"side_{version}.bin").read_bytes())
    assert session.gaps == streamrnn.Gaps("linear", PERIOD_US, 100 * PERIOD_US)
    assert (session.next_seq, session.last_time_us) == (N_BEFORE + 3, (N_BEFORE + 2) * PERIOD_US)
    with np.load(FOLDER / f"side_{version}_course.npz") as course:
        np.testing.assert_allclose(session.run(course["xs"], time_us=SIDED_TIME_US), course["ys"], atol=1e-5)
    assert (session.last_filled, session.last_was_reset) == (6, True)
