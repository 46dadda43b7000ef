"""A million steps leave nothing behind: neither Python's allocator nor the process grows."""

from __future__ import annotations

import gc
import os
import tracemalloc
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

import streamrnn
from tests.laws.nets import random_frames, random_model
from tests.laws.test_laws import engine_of

N_STEPS = 1_000_000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
STATM = Path("/proc/self/statm")


def rss_bytes():
    return int(STATM.read_text().split()[1]) * PAGE_BYTES


def ours(snapshot):
    """Bytes that lines of the package hold; threads of the test runner may allocate meanwhile."""
    filters = [tracemalloc.Filter(True, str(Path(streamrnn.__file__).parent / "*"))]
    return sum(trace.size for trace in snapshot.filter_traces(filters).traces)


def calls(kind):
    """The call that is repeated, and how many steps it makes."""
    model = random_model("lstm", 8, 16)
    engine = engine_of(model)
    sessions = [engine.open("m") for _ in range(10)]
    frames = random_frames(model, 10)
    outs = np.empty((10, 16), np.float32)
    return {
        "step": (lambda: sessions[0].step(frames[0]), 1),
        "step, out": (lambda: sessions[0].step(frames[0], out=outs[0]), 1),
        "step_many": (lambda: engine.step_many(sessions, frames), 10),
        "step_many, out": (lambda: engine.step_many(sessions, frames, out=outs), 10),
    }[kind]


@pytest.mark.skipif(not STATM.exists(), reason="reads /proc")
@pytest.mark.parametrize("kind", ["step", "step, out", "step_many", "step_many, out"])
def test_a_million_steps_leave_nothing(kind, record_property):
    call, n_steps = calls(kind)

    def step_a_million():
        for _ in repeat(None, N_STEPS // n_steps):  # counts without making an int
            call()

    step_a_million()
    gc.collect()
    before_rss = rss_bytes()
    step_a_million()
    grown_rss = rss_bytes() - before_rss
    tracemalloc.start()
    try:
        call()
        before = ours(tracemalloc.take_snapshot())
        step_a_million()
        grown = ours(tracemalloc.take_snapshot()) - before
    finally:
        tracemalloc.stop()
    record_property("figure", f"{kind}: {N_STEPS:,} steps, RSS +{grown_rss} bytes, traced +{grown} bytes")
    assert grown == 0
    assert grown_rss <= 16 * PAGE_BYTES
