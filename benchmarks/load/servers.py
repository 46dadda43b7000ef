"""Servers of the scenarios, each in a process of its own, pinned to one core: `served`, `echoed`.

`python -m benchmarks.load.servers NET KEY=VALUE ...` is the first one's process: it serves one of `NETS` under the name
`net`, on a free port that it logs, with limits as told.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamrnn
from benchmarks import serving
from benchmarks.load.packets import CODEC, SEQ_MARK
from benchmarks.load.plan import Load
from benchmarks.load.sockets import LoadError
from benchmarks.nets import Net, make_model
from streamrnn.limits import Limits
from streamrnn.wire import messages as m

NETS: dict[str, tuple[Net, int | None]] = {
    "lstm64x128": (serving.NET, serving.OUTPUT_SIZE),
    "gru40x64": (Net("gru", 40, 64), None),
}
"""Nets that can be served, with the size of a linear head."""


def make_net(name: str) -> streamrnn.Model:
    """One of `NETS`, its weights drawn from a fixed seed."""
    return make_model(*NETS[name])


def sizes_of(name: str) -> tuple[int, int]:
    """Input and output size of one of `NETS`."""
    net, output_size = NETS[name]
    return net.input_size, output_size or net.hidden_size


def cores() -> tuple[int, int]:
    """The core of servers and that of the generator.

    Raises:
        LoadError: there is only one.
    """
    free = sorted(os.sched_getaffinity(0))
    if len(free) < 2:
        raise LoadError("expected two cores: one for the servers, one for the generator")
    return free[0], free[-1]


@contextmanager
def served(name: str, core: int, **limits: int) -> Iterator[tuple[str, int]]:
    """Serve one of `NETS` on one core; its URL and process id."""
    told = [f"{key}={value}" for key, value in limits.items()]
    with serving.served(core, "benchmarks.load.servers", name, *told) as (port, pid):
        yield f"ws://127.0.0.1:{port}", pid


def reply_bytes(load: Load) -> int:
    """Size of the answer to one message of a load, without the websocket header."""
    row = bytes(4 * load.output_size)
    if load.dialect == "raw":
        return len(row)
    if load.batch == "columns":
        n = max(load.session_counts)
        return len(CODEC.encode(m.Outputs(list(range(n)), [SEQ_MARK] * n, row * n)))
    return len(CODEC.encode(m.Output(1, SEQ_MARK, row * load.chunk, load.chunk)))


@contextmanager
def echoed(load: Load, core: int, kind: str = "splitter") -> Iterator[tuple[str, int]]:
    """Run a bare echo on one core that answers as many bytes as the server of a load; its URL and process id."""
    with serving.echoed(core, reply_bytes(load), kind) as (port, pid):
        yield f"ws://127.0.0.1:{port}", pid


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def core_of(pid: int) -> int | None:
    """The core that a process is pinned to, or None."""
    allowed = os.sched_getaffinity(pid)
    return next(iter(allowed)) if len(allowed) == 1 else None


def main() -> None:
    """Serve until stopped."""
    from streamrnn.server.app import Server
    from streamrnn.server.running import run

    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    name, *told = sys.argv[1:]
    limits = {key: int(value) for key, _, value in (item.partition("=") for item in told)}
    sys.exit(run(Server({"net": make_net(name)}, port=0, limits=Limits(**{"drain_ms": 200, **limits}))))


if __name__ == "__main__":
    main()
