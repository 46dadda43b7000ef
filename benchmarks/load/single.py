"""One run against a server that is there already, beside the same load against a bare echo."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import streamrnn
from benchmarks import report
from benchmarks.load import tables
from benchmarks.load.checking import check
from benchmarks.load.figures import figures_of
from benchmarks.load.headroom import headroom
from benchmarks.load.options import load_of, parser
from benchmarks.load.plan import Load
from benchmarks.load.run import play
from benchmarks.load.sockets import LoadError


def described(load: Load) -> dict[str, Any]:
    """A load as it stands in JSON."""
    return {key: value for key, value in asdict(load).items() if value is not None and key != "model_file"}


def run(arguments: Sequence[str]) -> None:
    """Measure, show and write as the command line says.

    Raises:
        LoadError: it cannot be run, or outputs differ.
    """
    told = parser().parse_args(arguments)
    load = load_of(told)
    if told.check and told.model_file is None:
        raise LoadError("expected --model-file with --check")
    free = sorted(os.sched_getaffinity(0))
    core = free[-1] if told.core is None else told.core
    others = [other for other in free if other != core]
    server_core = (others or free)[0] if told.server_core is None else told.server_core
    if told.core is not None:
        os.sched_setaffinity(0, {core})
    played = play(load)
    figures: dict[str, Any] = {"load": described(played.load), "run": figures_of(played)}
    if told.check:
        figures["check"] = check(played, streamrnn.load_model(told.model_file))
    tables.show(title_of(load), [("this server", figures["run"])])
    print("\n".join(tables.remarks(figures["run"])))
    if told.check:
        print("checked: {n_frames:,} frames, equal bit for bit: {is_bit_equal}".format(**figures["check"]))
    if not told.no_headroom:
        figures["headroom"] = headroom(played.load, server_core, told.echo)
        print("\n".join(headroom_lines(figures["headroom"])))
    if told.json is not None:
        told.json.write_text(json.dumps({"environment": report.environment(), **figures}, indent=2) + "\n")


def title_of(load: Load) -> str:
    """What was asked of the server, in a line."""
    how = f"{load.hz:g} Hz {load.arrivals}" if load.loop == "open" else f"closed loop, window {load.window}"
    return f"{load.n_sessions} sessions on {load.n_connections} connections, {load.batch}, {how}, {load.duration_s:g} s"


def headroom_lines(found: dict[str, Any]) -> list[str]:
    """What a bare echo did under the same load."""
    lines = [f"bare echo ({found['echo']}), closed loop: {found['closed_frames_s']:,.0f} frames/s"]
    if found.get("open_latency_us"):
        latency, late = found["open_latency_us"], found["open_send_lateness_us"]
        lines.append(
            f"bare echo, the same open loop: p50 {latency['p50']:,.0f} us, p99 {latency['p99']:,.0f} us,"
            f" {found['open_deadline_misses']:,} misses; sends late by p99 {late['p99']:,.0f} us"
        )
    return lines
