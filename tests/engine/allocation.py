"""What a million steps leave behind, in a process that does nothing else: `python -m tests.engine.allocation CALL`."""

from __future__ import annotations

import gc
import json
import os
import sys
import tracemalloc
from itertools import repeat
from pathlib import Path

import numpy as np

from tests.laws.nets import random_frames, random_model
from tests.laws.test_laws import engine_of

N_STEPS = 1_000_000
N_SESSIONS = 10
STATM = Path("/proc/self/statm")


def calls():
    """Each call that is repeated, and how many steps it makes."""
    model = random_model("lstm", 8, 16)
    engine = engine_of(model)
    sessions = [engine.open("m") for _ in range(N_SESSIONS)]
    frames = random_frames(model, N_SESSIONS)
    outs = np.empty((N_SESSIONS, 16), np.float32)
    return {
        "step": (lambda: sessions[0].step(frames[0]), 1),
        "step, out": (lambda: sessions[0].step(frames[0], out=outs[0]), 1),
        "step_many": (lambda: engine.step_many(sessions, frames), N_SESSIONS),
        "step_many, out": (lambda: engine.step_many(sessions, frames, out=outs), N_SESSIONS),
    }


def rss_bytes():
    """Memory of this process."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(kind):
    """Growth of the process over a million steps, and of what Python's allocators hold over another million."""
    call, n_steps = calls()[kind]

    def step_a_million():
        for _ in repeat(None, N_STEPS // n_steps):  # counts without making an int
            call()

    step_a_million()
    gc.collect()
    before_rss = rss_bytes()
    step_a_million()
    grown_rss = rss_bytes() - before_rss
    tracemalloc.start()
    call()
    before = tracemalloc.take_snapshot()
    step_a_million()
    changes = tracemalloc.take_snapshot().compare_to(before, "lineno")
    mine = [each for each in changes if each.traceback[0].filename not in (tracemalloc.__file__, __file__)]
    return {"rss": grown_rss, "traced": sum(each.size_diff for each in mine), "lines": [str(each) for each in mine[:5]]}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
