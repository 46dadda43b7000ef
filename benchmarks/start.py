"""How long `streamrnn serve` takes until it is ready: cold, warm, from a read-only cache and with no cache at all."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks import report
from streamrnn import bundled

MODEL = "temperature_anomaly"


def ready_s(cache: Path) -> float:
    """Seconds from the start of a server process, its kernels cached in `cache`, until it says that it is ready."""
    command = [sys.executable, "-m", "streamrnn", "serve", "--model", f"m={bundled.path(MODEL)}", "--port", "0"]
    started = time.perf_counter()
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "STREAMRNN_CACHE_DIR": str(cache)}
    ) as server:
        assert server.stderr is not None
        log = ""
        for line in server.stderr:
            log += line
            if " ready: " in line:
                seconds = time.perf_counter() - started
                break
        else:
            raise SystemExit(f"the server ended before it was ready:\n{log}")
        server.send_signal(signal.SIGTERM)
        server.communicate()
    if server.returncode != 0:
        raise SystemExit(f"the server stopped with status {server.returncode}")
    return seconds


def main() -> None:
    """Measure every kind of start; print the table and write `results/start.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    n_repeats = parser.parse_args().repeats
    seconds: dict[str, list[float]] = {"cold": [], "warm": [], "read-only cache": [], "no cache": []}
    for _ in range(n_repeats):
        with tempfile.TemporaryDirectory() as folder:
            cache = Path(folder) / "kernels"
            seconds["cold"].append(ready_s(cache))
            seconds["warm"].append(ready_s(cache))
            cache.chmod(0o500)
            seconds["read-only cache"].append(ready_s(cache))
            cache.chmod(0o700)
            no_directory = Path(folder) / "file"
            no_directory.touch()
            seconds["no cache"].append(ready_s(no_directory / "kernels"))
    rows = [[kind, f"{median(values):.2f}", f"{max(values):.2f}"] for kind, values in seconds.items()]
    report.show(report.Table("`streamrnn serve` until ready", ["start", "median s", "longest s"], rows))
    figures = {kind: report.spread(values) for kind, values in seconds.items()}
    print("written:", report.write("start", {"ready_s": figures}).name)


if __name__ == "__main__":
    main()
