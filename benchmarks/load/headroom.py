"""The generator's own limits, found against a bare echo server: no figure is shown without them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.load.figures import figures_of
from benchmarks.load.plan import Load
from benchmarks.load.run import play
from benchmarks.load.servers import echoed

SHORT_S = 5.0


def echo_load(load: Load, url: str) -> Load:
    """The same load against an echo."""
    dialect = load.dialect if load.dialect == "raw" else "echo"
    return replace(load, url=url, dialect=dialect, n_checked_frames=0)


def headroom(load: Load, core: int, kind: str) -> dict[str, Any]:
    """Play a load against a bare echo: as fast as it goes, and in its own time if the loop is open.

    Args:
        load: with its sizes.
        core: the server's.
        kind: of the echo.
    """
    brief = replace(load, duration_s=min(load.duration_s, SHORT_S), phases=(), warm_s=0.5)
    with echoed(load, core, kind) as (url, _):
        echo = echo_load(brief, url)
        closed = figures_of(play(replace(echo, loop="closed")))
        opened = figures_of(play(echo)) if load.loop == "open" else None
    found = {"echo": kind, "closed_frames_s": closed["achieved_frames_s"], "closed_latency_us": closed["latency_us"]}
    found["closed_busy_share"] = closed["generator"]["busy_share"]
    if opened is not None:
        found |= {"open_latency_us": opened["latency_us"], "open_deadline_misses": opened["n_deadline_misses"]}
        found["open_send_lateness_us"] = opened["generator"]["send_lateness_us"]
    return found
