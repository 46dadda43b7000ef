"""What sessions weigh: parked ones, and those that are gone."""

from __future__ import annotations

import gc
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving import NET, make_net
from streamrnn.engine.engine import Engine
from streamrnn.limits import Limits
from streamrnn.serving.hub import Hub
from streamrnn.wire import messages as m
from streamrnn.wire.codec import MSGPACK

N_PARKED = 10_000
N_GONE = 1_000_000
PAGE_BYTES = 4096


@dataclass(frozen=True)
class Memory:
    """Bytes of a parked session, and the memory of the program before and after the sessions that came and went."""

    n_parked: int
    parked_bytes: float
    state_bytes: int
    n_gone: int
    before_bytes: int
    after_bytes: int

    def figures(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """For the table."""
        return [
            (f"bytes a parked session, of {self.n_parked}", f"{self.parked_bytes:.0f} (state {self.state_bytes})"),
            (f"memory after {self.n_gone} sessions opened and closed", f"{self.after_bytes / self.before_bytes:.4f} x"),
        ]


def resident_bytes() -> int:
    """Resident memory of this program."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def measure_memory(n_parked: int = N_PARKED, n_gone: int = N_GONE) -> Memory:
    """Park `n_parked` sessions of the net, each after one frame; then open and close `n_gone`, one after the other."""
    limits = Limits(max_sessions=16, max_sessions_per_connection=2 * n_parked)
    engine = Engine(limits=limits)
    model = make_net()
    engine.add_model("net", model)
    hub = Hub(engine, limits)
    peer = hub.attach(MSGPACK)
    codec = peer.codec
    payload = np.ones(NET.input_size, np.float32).tobytes()

    def say(*messages: Any) -> None:
        for message in messages:
            peer.receive(codec.encode(message), False, 0)
        while hub.n_pending:
            hub.tick(0)
        peer.take()

    def open_and_park(handle: int) -> None:
        say(m.Open(handle, "net", window=1), m.Frame(handle, 0, payload))
        hub.park(peer.sessions[handle], 0)
        peer.take()

    open_and_park(n_parked)  # what is made once is not counted
    before = resident_bytes()
    for handle in range(n_parked):
        open_and_park(handle)
    parked_bytes = (resident_bytes() - before) / n_parked
    for handle in range(n_parked + 1):
        say(m.Close(handle))
    for _ in range(n_gone // 100):
        say(m.Open(0, "net", window=1), m.Close(0))
    begin = resident_bytes()
    for _ in range(n_gone):
        say(m.Open(0, "net", window=1), m.Close(0))
    assert hub.n_sessions == 0
    return Memory(n_parked, parked_bytes, 4 * model.program.state_size, n_gone, begin, resident_bytes())
