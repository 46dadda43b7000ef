"""The command line of a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.load.plan import Load

EPILOG = """presets, each of which starts its servers itself: steady, gateway, overload
  python -m benchmarks.load steady --help"""


def parser() -> argparse.ArgumentParser:
    """The options; their defaults are those of `Load`."""
    base = Load()
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description="Load a server, and show what it did beside what a bare echo did under the same load.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--url", default=base.url, help=f"of the server (default {base.url})")
    add("--model", default=base.model, help="its name on the server")
    add("--sessions", type=int, default=1, metavar="N", help="in all, spread over the connections")
    add("--connections", type=int, metavar="M", help="default: one a session")
    add("--hz", type=float, default=base.hz, help="frames a second of each session, in the open loop")
    add("--arrivals", choices=("constant", "poisson"), default=base.arrivals)
    add("--batch", default=base.batch, help="single: a message a frame; columns: one for all sessions; chunk:K frames")
    add("--loop", choices=("open", "closed"), default=base.loop)
    add("--window", type=int, default=1, metavar="W", help="closed loop: messages under way on each session")
    add("--duration", type=float, default=base.duration_s, metavar="S")
    add("--warm", type=float, default=base.warm_s, metavar="S", help="time at the start that is not counted")
    add("--grace", type=float, default=base.grace_s, metavar="S", help="how long the last answers are waited for")
    add("--dialect", choices=("streamrnn", "raw"), default=base.dialect, help="raw: float32 in, float32 out")
    add("--input-size", type=int, default=0, help="raw dialect: values of a frame")
    add("--output-size", type=int, default=0, help="raw dialect: values of an output")
    add("--give-up-ms", type=float, default=0.0, help="leave out what could not be sent for so long; 0: never")
    add("--max-unanswered", type=int, default=0, metavar="N", help="messages of a session, open loop; 0: any number")
    add("--send-buffer", type=int, default=0, metavar="BYTES", help="of each socket; 0: the system's")
    add("--overload", choices=("reject", "drop_oldest", "skip_output"), default=base.overload, help="asked at open")
    add("--queue", type=int, metavar="N", help="frames of a session that may wait, asked at open")
    add("--deadline-ms", type=float, default=base.deadline_ms, help="later answers count as misses")
    add("--seed", type=int, default=0)
    add("--core", type=int, metavar="K", help="pin the generator")
    add("--server-core", type=int, metavar="K", help="where the echo runs (default: the first other core)")
    add("--echo", default="splitter", metavar="KIND", help="kind of the bare echo, see benchmarks.echo")
    add("--no-headroom", action="store_true", help="leave out the same load against a bare echo")
    add("--check", action="store_true", help="compare outputs of some sessions with an embedded engine's")
    add("--model-file", type=Path, help="the model, for --check")
    add("--check-frames", type=int, default=200, help="how many of each session that is checked")
    add("--json", type=Path, metavar="PATH", help="write all figures here")
    return made


def load_of(told: argparse.Namespace) -> Load:
    """The run that a command line asks for.

    Raises:
        LoadError: it asks for what cannot be run.
    """
    return Load(
        url=told.url,
        model=told.model,
        n_sessions=told.sessions,
        n_connections=told.sessions if told.connections is None else told.connections,
        hz=told.hz,
        arrivals=told.arrivals,
        batch=told.batch,
        loop=told.loop,
        window=told.window,
        duration_s=told.duration,
        warm_s=told.warm,
        grace_s=told.grace,
        give_up_ms=told.give_up_ms,
        max_unanswered=told.max_unanswered,
        send_buffer_bytes=told.send_buffer,
        dialect=told.dialect,
        overload=told.overload,
        queue_frames=told.queue,
        input_size=told.input_size,
        output_size=told.output_size,
        deadline_ms=told.deadline_ms,
        seed=told.seed,
        model_file=told.model_file,
        n_checked_frames=told.check_frames if told.check else 0,
    )
