"""Our server, a bare echo and other servers of the same network under the same load: `python -m benchmarks.peers`.

FastAPI on uvicorn (uvloop, httptools, the faster of its websocket implementations) with onnxruntime or PyTorch called
for every message, and with a micro-batcher of 10 ms before onnxruntime; each as its users write it, on one thread, its
outputs checked against the embedded engine before it is timed. All servers run at once on one core, the generator
(`benchmarks.load`) has the other; rounds of all of them alternate. One session a connection, one frame a message.

CPU is the server's own; `ours x` and `x ours` are ratios within each round. A mark `!` stands where the generator was
busy for more than nine tenths of its time or sent later than a millisecond: then it is the limit. A frame is missed
when its answer comes later than 10 ms after its intended send time, or not at all. A server that does not keep up (p99
of 100 ms, or frames unanswered after two more seconds) is not tried with more sessions.

Writes `results/peers.json`, `peers.md` and `peers.svg`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks import report
from benchmarks.load.servers import cores
from benchmarks.load.sockets import LoadError
from benchmarks.nets import Net
from benchmarks.peers import plot, scenarios, tables
from benchmarks.peers.contenders import CONTENDERS, OURS, Running, check
from benchmarks.peers.rounds import MIN_DURATION_S, Plan
from benchmarks.serving import NET, OUTPUT_SIZE


def measure(names: Sequence[str], plan: Plan) -> dict[str, Any]:
    """Start and check the named servers, then play both scenarios.

    Raises:
        SystemExit: outputs differ, or a server does not settle.
        LoadError: there is only one core, or a server cannot be reached.
    """
    server_core, generator_core = cores()
    os.sched_setaffinity(0, {generator_core})
    with ExitStack() as stack:
        runnings = [Running(name, *stack.enter_context(CONTENDERS[name].start(server_core))) for name in names]
        errors = {running.name: check(running) for running in runnings}
        print(f"checked: {', '.join(name for name, error in errors.items() if error is not None)}", flush=True)
        closed = scenarios.measure_closed(runnings, plan)
        print("measured: closed loop", flush=True)
        opened = scenarios.measure_open(runnings, plan)
    return {"net": net_name(NET), "max_abs_difference": errors, "closed": closed, "open": opened}


def net_name(net: Net) -> str:
    """The served network in words."""
    return f"{net.name} + linear {OUTPUT_SIZE}"


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--seconds", type=float, default=1.5, help="of one round of one server (default 1.5)")
    add("--rounds", type=int, default=3, help="of all servers in turns, at each load (default 3)")
    add("--only", action="append", choices=sorted(CONTENDERS), help=f"beside {OURS}; nothing is written then")
    told = parser.parse_args()
    if told.seconds < MIN_DURATION_S or told.rounds < 1:
        parser.error(f"expected at least {MIN_DURATION_S} seconds and one round")
    return told


def main() -> None:
    """Measure, show and write."""
    told = parsed()
    names = [name for name in CONTENDERS if told.only is None or name == OURS or name in told.only]
    try:
        figures = measure(names, Plan(told.seconds, told.rounds))
    except LoadError as fault:
        raise SystemExit(f"benchmarks.peers: {fault}") from None
    made = tables.tables_of(figures)
    for table in made:
        report.show(table)
    aim = tables.aim_of(figures)
    if aim:
        print(aim)
    if told.only is None:
        about = "\n\n".join(text.strip() for text in (__doc__ or "", aim or ""))
        paths = (
            report.write("peers", figures),
            report.write_page("peers", f"Servers of {figures['net']}", about, made, "peers.svg"),
            plot.draw(figures, report.RESULTS / "peers.svg"),
        )
        print("written:", ", ".join(path.name for path in paths))


if __name__ == "__main__":
    main()
