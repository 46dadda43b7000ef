"""A million steps leave nothing behind: neither Python's allocators nor the process grow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.allocation import N_STEPS, STATM

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not STATM.exists(), reason="reads /proc")
@pytest.mark.parametrize("kind", ["step", "step, out", "step_many", "step_many, out"])
def test_a_million_steps_leave_nothing(kind, record_property):
    child = subprocess.run(
        [sys.executable, "-m", "tests.engine.allocation", kind], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert child.returncode == 0, child.stderr
    grown = json.loads(child.stdout)
    figure = f"{kind}: {N_STEPS:,} steps, RSS +{grown['rss']} bytes, traced +{grown['traced']} bytes"
    record_property("figure", figure)
    assert grown["traced"] == 0, grown
    assert grown["rss"] <= 16 * os.sysconf("SC_PAGE_SIZE")
