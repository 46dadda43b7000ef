"""One simulated world: what a seed makes of it, and what must hold in it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cache
from random import Random

from streamrnn_client.options import Options

from streamrnn.engine.engine import Engine
from streamrnn.limits import Limits
from streamrnn.model.model import Model
from streamrnn.stores import MemoryStore
from tests.serving.small_models import lstm_model, token_model
from tests.simulation.clock import Clock
from tests.simulation.house import FlakyStore, SimulatedServer
from tests.simulation.visitor import Visitor

LIMITS = Limits(
    max_sessions=32, max_queue_frames=64, max_batch=4, max_run_frames=8, checkpoint_ms=40, checkpoint_frames=12,
    park_ms=60, max_outbox_bytes=4096, max_ring_bytes=4096,
)  # fmt: skip
LIMIT_MS = 120_000


@dataclass
class Report:
    """What came of one world."""

    seed: int
    faults: list[str] = field(default_factory=list)
    n_outputs: int = 0
    n_generated: int = 0
    n_crashes: int = 0
    n_cuts: int = 0
    n_reconnects: int = 0
    n_replayed: int = 0


@cache
def models() -> dict[str, Model]:
    """The nets that every world serves: one of values, and one that feeds itself with tokens."""
    return {"net": lstm_model(), "text": token_model()}


class Ear(logging.Handler):
    """Hears what the server calls a bug."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note an exception that nobody expected."""
        if record.exc_info:
            self.heard.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


class World:
    """Everything in it comes from `seed`."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random = Random(seed)
        self.clock = Clock()
        self.memory = MemoryStore()
        self.has_store = random.random() < 0.85
        self.store = FlakyStore(self.memory, random, random.choice((0.0, 0.0, 0.1, 0.5))) if self.has_store else None
        n_servers = random.choice((1, 2)) if self.has_store else 1
        self.servers = [SimulatedServer(self.clock, random, models(), LIMITS, self.store) for _ in range(n_servers)]
        options = Options(reconnect_timeout_s=10**6, reconnect_first_s=0.01, reconnect_max_s=0.2)
        duplicate_rate = random.choice((0.0, 0.1))
        self.visitors = [
            Visitor(
                self.clock,
                random,
                self.servers,
                6 if is_gateway else random.randint(1, 3),
                25,
                options,
                duplicate_rate,
                is_gateway,
            )
            for is_gateway in random.choice(((False,), (True,), (False, False), (True, False)))
        ]
        self.n_cuts = 0
        self._trouble_later()

    def _trouble_later(self) -> None:
        self.clock.after(self.random.choice((5, 20, 60, 150)), self._trouble)

    def _trouble(self) -> None:
        """Something goes wrong."""
        random = self.random
        server = random.choice(self.servers)
        cables = [visitor.cable for visitor in self.visitors if visitor.cable is not None]
        match random.choices(("cut", "crash", "drain", "stall", "jump"), (10, 3, 2, 2, 1))[0]:
            case "cut" if cables:
                self.n_cuts += 1
                cable = random.choice(cables)
                random.choice((cable.up, cable.down)).cut_after = random.randint(0, 200)
            case "crash" if server.hub is not None:
                server.crash(random.choice((5, 40, 200)))
            case "drain":
                server.drain(random.choice((5, 40)))
            case "stall" if cables:
                random.choice(cables).down.stalled_until_ns = self.clock.now_ns + random.randint(1, 300) * 1_000_000
            case "jump":
                self.clock.jumped_ns += random.choice((10**6, 10**9, 60 * 10**9))
        self._trouble_later()

    def run(self) -> Report:
        """Let it run to its end, then look whether all that must hold does."""
        ear = Ear()
        log = logging.getLogger("streamrnn")
        before = log.level, log.propagate
        log.addHandler(ear)
        log.setLevel(logging.WARNING)
        log.propagate = False
        try:
            is_over = self.clock.run_until(lambda: all(visitor.is_done for visitor in self.visitors), LIMIT_MS)
        finally:
            log.removeHandler(ear)
            log.level, log.propagate = before
        report = self._counts()
        report.faults += ear.heard
        if not is_over:
            report.faults.append(f"not done after {LIMIT_MS} ms")
        for visitor in self.visitors:
            for oracle in visitor.oracles:
                engine = Engine(limits=Limits(max_sessions=2))
                engine.add_model(oracle.model, models()[oracle.model])
                alone = engine.open(oracle.model, session_id="alone", gaps=oracle.gaps, decoder=oracle.decoder)
                report.faults += oracle.faults(alone)
                answered = [call for call in oracle.calls if call.kind in ("frames", "generate")]
                report.n_outputs += sum(len(call.pending.value or ()) for call in answered)
                report.n_generated += sum(call.kind == "generate" for call in answered)
        return report

    def _counts(self) -> Report:
        dialogues = [visitor.dialogue for visitor in self.visitors]
        return Report(
            self.seed,
            n_crashes=sum(server.n_crashes for server in self.servers),
            n_cuts=self.n_cuts,
            n_reconnects=sum(dialogue.n_reconnects for dialogue in dialogues),
            n_replayed=sum(dialogue.table.n_replayed for dialogue in dialogues),
        )


def simulate(seed: int) -> Report:
    """Run the world of a seed."""
    world = World(seed)
    try:
        return world.run()
    except Exception as fault:  # of the client, or of the world itself
        return Report(seed, [f"{type(fault).__name__}: {fault}"])
