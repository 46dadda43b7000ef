"""Three times the sustainable rate for a minute, and back: memory, answers, goodput and the way back to normal.

First a closed loop finds the most that the server sustains. Then, in one open loop: half of that rate, three times that
rate, and half of it again. A session leaves twice as many frames unanswered as the server lets wait, so that most are
refused in words; what cannot be sent for a while is left out, as a sensor would do, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.load import stage, tables
from benchmarks.load.arrivals import Phase
from benchmarks.load.figures import Outcome, codes_of, figures_of
from benchmarks.load.headroom import headroom
from benchmarks.load.plan import Load
from benchmarks.load.run import Played, play
from benchmarks.load.servers import rss_bytes, served, sizes_of
from benchmarks.load.single import described, headroom_lines

NET = "lstm64x128"
FACTOR, NORMAL = 3.0, 0.5
BEFORE_S, AFTER_S = 5.0, 20.0
WINDOW_NS = 250_000_000
N_CALM = 4
"""Windows in a row that must be calm before all is called normal again."""
CALM = 1.5
"""Times the highest p99 of a window before the overload."""


def run(arguments: Sequence[str]) -> None:
    """Measure, show and write.

    Raises:
        LoadError: there is one core only.
    """
    parser = stage.preset_parser("overload", __doc__, 60.0)
    parser.add_argument("--sessions", type=int, default=128)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--queue", type=int, default=64, help="frames of a session that may wait on the server")
    parser.add_argument("--max-unanswered", type=int, default=64, help="frames that a session leaves unanswered")
    parser.add_argument("--overload", choices=("reject", "drop_oldest", "skip_output"), default="reject")
    parser.add_argument("--give-up-ms", type=float, default=100.0, help="as of python -m benchmarks.load")
    told = parser.parse_args(arguments)
    core, busy = stage.pin(), stage.load_average()
    base = Load(
        n_sessions=told.sessions,
        n_connections=told.connections,
        queue_frames=told.queue,
        overload=told.overload,
        give_up_ms=told.give_up_ms,
        max_unanswered=told.max_unanswered,
        send_buffer_bytes=65536,
        seed=told.seed,
    ).with_sizes(*sizes_of(NET), 0)
    with served(NET, core) as (url, pid):
        load = replace(base, url=url)
        closed = figures_of(play(replace(load, loop="closed", duration_s=min(10.0, told.duration))))
        most = closed["achieved_frames_s"]
        rates = (NORMAL * most, FACTOR * most, NORMAL * most)
        spans = (BEFORE_S, told.duration, AFTER_S)
        hz = [Phase(rate / load.n_sessions, span) for rate, span in zip(rates, spans, strict=True)]
        memory: list[tuple[float, int]] = []
        played = play(replace(load, phases=tuple(hz)), lambda at_s: memory.append((at_s, rss_bytes(pid))))
    proven = headroom(replace(base, loop="closed"), core, told.echo)
    figures = {"most_frames_s": most, "closed": closed, **told_of(played, told.duration, most, memory)}
    show(figures, proven)
    about = {"load_average_before": busy, "net": NET, "load": described(base), "headroom": proven}
    stage.write(told.name, {**about, **figures})


def told_of(played: Played, duration_s: float, most: float, memory: list[tuple[float, int]]) -> dict[str, Any]:
    """The figures of the open loop: each phase, memory, goodput and recovery."""
    begin_s = played.load.warm_s + BEFORE_S
    end_s = begin_s + duration_s
    bounds = {"before": (played.load.warm_s, begin_s), "overload": (begin_s, end_s), "after": (end_s, None)}
    phases = {name: figures_of(played, *span) for name, span in bounds.items()}
    goodput = [row["answered"] for row in phases["overload"]["seconds"] if begin_s <= row["second"] < end_s]
    return {
        "phases": {name: {**figures, "seconds": None, "histogram": None} for name, figures in phases.items()},
        "seconds": Outcome(played).seconds(),
        "errors": codes_of(played),
        "goodput_share": float(np.mean(goodput)) / most,
        "recovery_s": recovery_s(played, begin_s, end_s),
        "rss_bytes": {
            "before": max(size for at_s, size in memory if at_s < begin_s),
            "most": max(size for _, size in memory),
            "end": memory[-1][1],
            "by_second": {f"{at_s:.1f}": size for at_s, size in memory[::4]},
        },
    }


def recovery_s(played: Played, begin_s: float, end_s: float) -> float | None:
    """Time from the end of the overload until p99 is back to what it was before it; None: not within the run."""
    before = window_p99s(Outcome(played, played.load.warm_s, begin_s), played)
    after = window_p99s(Outcome(played, end_s), played)
    calm_ns = CALM * max(before, default=0.0)
    is_calm = [value <= calm_ns for value in after]
    for window in range(len(is_calm) - N_CALM + 1):
        if all(is_calm[window : window + N_CALM]):
            return window * WINDOW_NS / 1e9
    return None


def window_p99s(outcome: Outcome, played: Played) -> list[float]:
    """p99 in nanoseconds of each window of a span that has answers; one where nothing came is infinite."""
    due_ns = played.board.due_ns[outcome.is_answered] - played.start_ns - int(outcome.from_s * 1e9)
    window = due_ns // WINDOW_NS
    n = int((outcome.until_s - outcome.from_s) * 1e9 // WINDOW_NS)
    order = np.argsort(window, kind="stable")
    bounds = np.searchsorted(window[order], np.arange(n + 1))
    latencies = outcome.latencies_ns[order]
    parts = [latencies[a:b] for a, b in pairwise(bounds)]
    return [float(np.percentile(part, 99)) if len(part) else float("inf") for part in parts]


def show(figures: dict[str, Any], proven: dict[str, Any]) -> None:
    """Print the figures."""
    tables.show_seconds("second by second", figures["seconds"])
    phases = figures["phases"]
    tables.show(f"{NET}: overload at {FACTOR:g} times the most", [("closed loop", figures["closed"]), *phases.items()])
    for name, part in phases.items():
        print(f"{name}: " + "; ".join(tables.remarks({**part, "errors": {}})))
    print("\n".join(headroom_lines(proven)))
    rss = {name: f"{size / 2**20:,.1f}" for name, size in figures["rss_bytes"].items() if name != "by_second"}
    recovery = figures["recovery_s"]
    rows = [
        ["most in closed loop, frames/s", f"{figures['most_frames_s']:,.0f}"],
        ["goodput under overload", f"{figures['goodput_share']:.1%}"],
        ["back to normal after", "not within the run" if recovery is None else f"{recovery:.2f} s"],
        ["resident memory, MiB: before / most / end", f"{rss['before']} / {rss['most']} / {rss['end']}"],
        *([f"errors: {code}", f"{count:,}"] for code, count in figures["errors"].items()),
    ]
    report.show(report.Table("under overload", ("", "measured"), rows))
