"""Run every benchmark, each in a process of its own: `python -m benchmarks`."""

from __future__ import annotations

import subprocess
import sys

RUNS = (
    *("start", "kernels", "imported", "serving", "clients", "peers", "load steady", "load gateway", "load overload"),
    *("generating", "decoders", "checkpoints", "workers"),
)
"""Modules, with their arguments."""

if __name__ == "__main__":
    for run in RUNS:
        print(f"== python -m benchmarks.{run}", flush=True)
        subprocess.run([sys.executable, "-m", *f"benchmarks.{run}".split()], check=True)
