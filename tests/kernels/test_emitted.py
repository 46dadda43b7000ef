"""The machine code: fused multiply-adds on whole registers, nothing spilled in the loop over k, no scalar gates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamrnn.kernels.floatmode import X86

ROOT = Path(__file__).resolve().parents[2]
AVX2 = "+sse2,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+popcnt,+f16c,+movbe"
HOSTS = {
    "this one": {},
    "AVX2": {"STREAMRNN_VECTOR_WIDTH": "8", "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": AVX2},
    "AVX-512": {
        "STREAMRNN_VECTOR_WIDTH": "16",
        "NUMBA_CPU_NAME": "skylake-avx512",
        "NUMBA_CPU_FEATURES": f"{AVX2},+avx512f,+avx512vl,+avx512bw,+avx512dq",
    },
}
"""Environments of processes that compile for a host; the code for another is only read, never run."""


pytestmark = pytest.mark.skipif(not X86, reason="reads x86 code")


def emitted(host, *arguments):
    """What `tests.kernels.emitted` tells of the code for a host."""
    child = subprocess.run(
        [sys.executable, "-m", "tests.kernels.emitted", *arguments],
        cwd=ROOT,
        env={**os.environ, **HOSTS[host]},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert child.returncode == 0, child.stderr
    return [json.loads(line) for line in child.stdout.splitlines()]


@pytest.mark.parametrize("host", HOSTS)
def test_tiles_and_cells_are_whole_vectors_without_spills(host):
    found = emitted(host)
    tiles, cells = [each for each in found if "tile" in each], [each for each in found if "cell" in each]
    assert len(tiles) >= 17
    for tile in tiles:
        assert tile["n_fmas"] == tile["n_full"] == tile["n_vectors"], tile
        assert tile["on_stack"] == [], tile
    assert len(cells) == 7
    for cell in cells:
        assert cell["scalar"] == [], cell
        assert cell["n_divisions"] >= (cell["cell"] != "ssm_update") and cell["n_fmas"] >= 8, cell


def test_a_spill_would_be_seen():
    """Six sessions by two panels need 24 accumulators, and AVX2 has 16 registers."""
    (tile,) = emitted("AVX2", "6", "2")
    assert tile["on_stack"]
