"""Run worlds by their seeds: `python -m tests.simulation 0 2000`, or one alone: `python -m tests.simulation 168`."""

from __future__ import annotations

import sys

from tests.simulation.world import simulate


def main() -> None:
    """Print what each faulty world did wrong, and the sums."""
    first, end = (int(text) for text in (sys.argv[1:] * 2)[:2])
    reports = [simulate(seed) for seed in range(first, max(end, first + 1))]
    for report in reports:
        for fault in report.faults:
            print(f"seed {report.seed}: {fault}")
    names = ("n_outputs", "n_crashes", "n_cuts", "n_reconnects", "n_replayed")
    sums = ", ".join(f"{name[2:]} {sum(getattr(report, name) for report in reports)}" for name in names)
    print(f"{len(reports)} worlds, {sum(bool(report.faults) for report in reports)} with faults; {sums}")


if __name__ == "__main__":
    main()
