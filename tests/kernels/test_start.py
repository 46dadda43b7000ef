"""What a process compiles until its kernels are ready: cold, warm, and with the cache baked into a read-only image.

How long that takes is printed, and measured by `python -m benchmarks.start`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import json, time
import streamrnn
done = streamrnn.warmup()
ready_s = time.process_time()
from tests.laws.nets import CELLS, random_frames, random_model
from tests.laws.test_laws import engine_of

for cell in CELLS:
    model = random_model(cell, 3, 20)
    engine_of(model).open("m").run(random_frames(model, 2))
from streamrnn.kernels.warmup import n_compiled
print(json.dumps([done.n_compiled, n_compiled(), ready_s]))
"""


def start(directory):
    """Kernels compiled by the warm-up, and in all after thirteen models; processor seconds until ready."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        cwd=ROOT,
        env={**os.environ, "STREAMRNN_CACHE_DIR": str(directory)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert child.returncode == 0, child.stderr
    compiled, in_all, ready_s = json.loads(child.stdout)
    return compiled, in_all, ready_s, child.stderr


def test_cold_warm_and_read_only(tmp_path, record_property):
    place = tmp_path / "cache"
    compiled, in_all, cold_s, _ = start(place)
    assert compiled == in_all > 0
    compiled, in_all, warm_s, _ = start(place)
    assert compiled == in_all == 0
    for path in (*place.iterdir(), place):
        path.chmod(0o500 if path.is_dir() else 0o400)
    compiled, in_all, _, log = start(place)
    place.chmod(0o700)
    assert (compiled, in_all, log) == (0, 0, "")
    record_property("figure", f"kernels ready after {cold_s:.1f} s cold, {warm_s:.1f} s warm (processor time)")
