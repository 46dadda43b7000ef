"""128 sessions at 100 Hz, one a connection, in turn against a bare echo and our server.

Open loop: every latency counts from the time at which its frame was meant to leave. Both servers are pinned to one
core, the generator has the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.load import stage, tables
from benchmarks.load.checking import check
from benchmarks.load.headroom import echo_load
from benchmarks.load.plan import Load
from benchmarks.load.run import play
from benchmarks.load.servers import echoed, make_net, served, sizes_of
from benchmarks.load.single import described

NET = "lstm64x128"
N_TURNS = 2


def run(arguments: Sequence[str]) -> None:
    """Measure, show and write.

    Raises:
        LoadError: there is one core only, or an output differs.
    """
    parser = stage.preset_parser("steady", __doc__, 60.0)
    parser.add_argument("--sessions", type=int, default=128)
    parser.add_argument("--hz", type=float, default=100.0)
    parser.add_argument("--arrivals", choices=("constant", "poisson"), default="constant")
    told = parser.parse_args(arguments)
    core, busy = stage.pin(), stage.load_average()
    input_size, output_size = sizes_of(NET)
    load = Load(
        n_sessions=told.sessions,
        n_connections=told.sessions,
        hz=told.hz,
        arrivals=told.arrivals,
        duration_s=told.duration / N_TURNS,
        seed=told.seed,
    ).with_sizes(input_size, output_size, 0)
    with served(NET, core) as (url, _), echoed(load, core, told.echo) as (echo_url, _):
        ours = replace(load, url=url)
        checked = check(play(replace(ours, duration_s=2.0, warm_s=0.0, n_checked_frames=100)), make_net(NET))
        found = stage.take_turns({"bare echo": echo_load(load, echo_url), "streamrnn": ours}, N_TURNS)
    title = f"{NET}: {load.n_sessions} sessions at {load.hz:g} Hz ({load.arrivals}), one a connection"
    tables.show(title, list(found.items()))
    ratio = stage.ratio(found["streamrnn"], found["bare echo"], ("latency_us", "p99"))
    print(f"p99 over the echo's: {ratio:.2f}" if ratio else "no p99")
    figures = {"load": described(load), "check": checked, "p99_ratio": ratio, "runs": found}
    stage.write(told.name, {"load_average_before": busy, "net": NET, **figures})
