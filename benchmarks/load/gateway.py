"""One connection with 256 sessions of GRU 40/64 in columnar batches, in turn against a bare echo of the same bytes.

Closed loop, with 1, 2 and 4 batches under way; a latency is that of a whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.load import stage, tables
from benchmarks.load.checking import check
from benchmarks.load.headroom import echo_load
from benchmarks.load.plan import Load
from benchmarks.load.run import play
from benchmarks.load.servers import echoed, make_net, served, sizes_of
from benchmarks.load.single import described

NET = "gru40x64"
WINDOWS = (1, 2, 4)
N_TURNS = 3


def run(arguments: Sequence[str]) -> None:
    """Measure, show and write.

    Raises:
        LoadError: there is one core only, or an output differs.
    """
    parser = stage.preset_parser("gateway", __doc__, 15.0)
    parser.add_argument("--sessions", type=int, default=256)
    told = parser.parse_args(arguments)
    core, busy = stage.pin(), stage.load_average()
    base = Load(
        n_sessions=told.sessions,
        batch="columns",
        loop="closed",
        duration_s=told.duration / N_TURNS,
        warm_s=0.5,
        seed=told.seed,
    ).with_sizes(*sizes_of(NET), 0)
    rows: list[dict[str, Any]] = []
    with served(NET, core) as (url, _), echoed(base, core, told.echo) as (echo_url, _):
        ours = replace(base, url=url)
        checked = check(play(replace(ours, duration_s=1.0, warm_s=0.0, n_checked_frames=100)), make_net(NET))
        for window in WINDOWS:
            loads = {"bare echo": echo_load(base, echo_url), "streamrnn": ours}
            found = stage.take_turns({name: replace(load, window=window) for name, load in loads.items()}, N_TURNS)
            ratio = stage.ratio(found["streamrnn"], found["bare echo"], ("achieved_frames_s",))
            rows.append({"window": window, "rate_ratio": ratio, "runs": found})
    title = f"{NET}: one connection, {told.sessions} sessions in columnar batches; latencies of a batch"
    shown = [(f"{name}, {row['window']} under way", figures) for row in rows for name, figures in row["runs"].items()]
    tables.show(title, shown)
    about = {"load_average_before": busy, "net": NET, "load": described(base), "check": checked}
    stage.write(told.name, {**about, "figures": rows})
