"""What the presets share: options, cores, and servers and echoes that take turns."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from benchmarks import report
from benchmarks.load import tables
from benchmarks.load.figures import figures_of, merged
from benchmarks.load.plan import Load
from benchmarks.load.run import Watch, play
from benchmarks.load.servers import cores

ECHO_KIND = "splitter"


def preset_parser(name: str, about: str | None, duration_s: float) -> argparse.ArgumentParser:
    """A preset's options: how long, and where the JSON goes."""
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.load {name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--duration", type=float, default=duration_s, metavar="S", help=f"default {duration_s:g}")
    made.add_argument("--echo", default=ECHO_KIND, metavar="KIND", help="kind of the bare echo, see benchmarks.echo")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--name", default=f"load_{name}", help="of the file in benchmarks/results")
    return made


def pin() -> int:
    """Pin this process to the generator's core; the servers' core.

    Raises:
        LoadError: there is only one core.
    """
    server_core, own_core = cores()
    os.sched_setaffinity(0, {own_core})
    return server_core


def take_turns(loads: dict[str, Load], n_turns: int, watch: Watch | None = None) -> dict[str, dict[str, Any]]:
    """Play each load in turn, `n_turns` times over, so that noise hits all of them; figures by name.

    Returns:
        the merged figures of each, those of its turns in `turns`.
    """
    played: dict[str, list[dict[str, Any]]] = {name: [] for name in loads}
    for turn in range(n_turns):
        for name, load in loads.items():
            figures = figures_of(play(load, watch))
            played[name].append(figures)
            print(f"turn {turn + 1} of {n_turns}, {name}: " + "; ".join(tables.remarks(figures)), flush=True)
    return {name: {**merged(turns), "turns": turns} for name, turns in played.items()}


def write(name: str, figures: dict[str, Any]) -> None:
    """Write the result, and say where."""
    path = report.write(name, figures)
    print(f"written: {path.relative_to(path.parent.parent.parent)}")


def load_average() -> float:
    """Of the last minute: a busy machine shows here."""
    return round(os.getloadavg()[0], 2)


def ratio(ours: dict[str, Any], echo: dict[str, Any], key: Sequence[str]) -> float | None:
    """Ours over the echo's, of the figure that `key` leads to; None where one is missing."""
    a: Any = ours
    b: Any = echo
    for part in key:
        a, b = (a or {}).get(part), (b or {}).get(part)
    return a / b if a and b else None
