"""Who takes part: ours, the peers and a bare echo, each started on a core and checked before it is timed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from benchmarks.load import checking
from benchmarks.load.plan import Dialect, Load
from benchmarks.load.run import play
from benchmarks.serving import NET, OUTPUT_SIZE, echoed, make_net, served

TOLERANCE = 1e-5
N_CHECKED = 200
Start = Callable[[int], AbstractContextManager[tuple[int, int]]]
"""Starts a server on a core; its port and process id."""


@dataclass(frozen=True)
class Contender:
    """A server that can be started.

    Attributes:
        title: what it is called in tables.
        dialect: what its clients speak.
        start: how it is started.
        is_echo: it computes nothing, so there is nothing to check.
    """

    title: str
    dialect: Dialect
    start: Start
    is_echo: bool = False


def _peer(name: str) -> Start:
    return lambda core: served(core, "benchmarks.peers.server", name)


def _echo(core: int) -> AbstractContextManager[tuple[int, int]]:
    return echoed(core, 4 * OUTPUT_SIZE, "splitter")


OURS = "streamrnn"
CONTENDERS = {
    OURS: Contender("streamrnn", "streamrnn", served),
    "echo": Contender("bare echo", "raw", _echo, is_echo=True),
    "onnxruntime": Contender("FastAPI + onnxruntime", "raw", _peer("onnxruntime")),
    "torch": Contender("FastAPI + torch", "raw", _peer("torch")),
    "batching": Contender("micro-batcher", "raw", _peer("batching")),
}


@dataclass(frozen=True)
class Running:
    """A contender that runs.

    Attributes:
        name: its key in `CONTENDERS`.
        port, pid: where it serves, and its process.
    """

    name: str
    port: int
    pid: int

    @property
    def contender(self) -> Contender:
        """What it is."""
        return CONTENDERS[self.name]

    def load(self, n_sessions: int, **options: Any) -> Load:
        """A load of it, one session a connection; `options` are fields of `Load`."""
        return Load(
            url=f"ws://127.0.0.1:{self.port}",
            n_sessions=n_sessions,
            n_connections=n_sessions,
            dialect=self.contender.dialect,
            input_size=NET.input_size,
            output_size=OUTPUT_SIZE,
            **options,
        )


def check(running: Running) -> float | None:
    """The largest difference of its outputs from the embedded engine's, with 16 sessions at once; None of an echo.

    Raises:
        SystemExit: it is not below the tolerance.
        LoadError: no output came, or those of our own server differ by a bit.
    """
    if running.contender.is_echo:
        return None
    load = running.load(16, loop="closed", duration_s=1.0, warm_s=0.0, n_checked_frames=N_CHECKED)
    error = float(checking.check(play(load), make_net())["max_abs_error"])
    if not error < TOLERANCE:
        title = running.contender.title
        raise SystemExit(f"{title} differs from streamrnn by {error:.2g}, expected below {TOLERANCE}")
    return error
