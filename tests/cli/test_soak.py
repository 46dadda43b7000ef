"""A minute of sessions coming and going (`SOAK_S` says otherwise): outputs are right and the server does not grow."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

import streamrnn
from streamrnn.commands.demonstration.check import faults_of
from streamrnn.commands.demonstration.sessions import Load, play_all

SOAK_S = float(os.environ.get("SOAK_S", "60"))
N_SESSIONS = 12
GROWTH_BYTES = 8 * 1024 * 1024


def resident_bytes(pid):
    """Memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory from /proc")
async def test_the_server_neither_errs_nor_grows(server, model_files):
    import streamrnn_client

    models = {"temp": streamrnn.load_model(model_files["temp"])}
    rng = np.random.default_rng(5)
    settled_bytes, n_rounds, end_s = 0, 0, time.monotonic() + SOAK_S
    while time.monotonic() < end_s:
        load = Load(float("inf"), window=int(rng.integers(16, 256)), chunk=int(rng.integers(1, 16)))
        recordings = [rng.normal(80, 5, (int(rng.integers(1, 600)), 1)).astype(np.float32) for _ in range(N_SESSIONS)]
        async with streamrnn_client.connect(server.url) as client:
            assert faults_of(models, await play_all(client, "temp", recordings, load)) == []
        n_rounds += 1
        if time.monotonic() < end_s - SOAK_S * 0.8:
            settled_bytes = resident_bytes(server.pid)
    growth_bytes = resident_bytes(server.pid) - settled_bytes
    print(f"{n_rounds} rounds of {N_SESSIONS} sessions, {growth_bytes / 1024:,.0f} KiB growth after the first fifth")
    assert server.metrics()["streamrnn_sessions"] == 0
    assert growth_bytes < GROWTH_BYTES
