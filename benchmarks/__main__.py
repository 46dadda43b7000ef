"""Run every benchmark, each in a process of its own: `python -m benchmarks`."""

from __future__ import annotations

import subprocess
import sys

NAMES = (
    *("start", "kernels", "imported", "serving", "clients", "peers"),
    *("generating", "decoders", "checkpoints", "workers"),
)

if __name__ == "__main__":
    for name in NAMES:
        print(f"== python -m benchmarks.{name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
