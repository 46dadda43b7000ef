"""Servers over one store: hubs whose ticks, errands, crashes and stops are events on the world's clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from streamrnn.engine.engine import Engine
from streamrnn.errors import StoreError, StreamrnnError
from streamrnn.limits import Limits
from streamrnn.model.model import Model
from streamrnn.serving.errands import Errand
from streamrnn.serving.hub import Hub
from streamrnn.serving.party import Party
from streamrnn.stores.running import run
from streamrnn.stores.store import Store
from streamrnn.wire.codec import MSGPACK
from tests.simulation.cable import Cable
from tests.simulation.clock import Clock


class FlakyStore:
    """Runs errands in a store that fails at times: before it did what was asked, or after."""

    def __init__(self, store: Store, random: Random, fault_rate: float) -> None:
        self.store = store
        self.fault_rate = fault_rate
        self._random = random

    def run(self, errand: Errand, now_s: float) -> tuple[Any, StreamrnnError | None]:
        """The result of an errand, or its fault."""
        fault = StoreError("injected", operation="any", cause="EIO")
        fails = self._random.random() < self.fault_rate
        if fails and self._random.random() < 0.5:
            return None, fault
        try:
            result = run(errand, self.store, now_s)
        except StreamrnnError as raised:
            return None, raised
        return (None, fault) if fails else (result, None)


class SimulatedServer:
    """One server: up or down, over a store that outlives it.

    Args:
        clock, random: the world's.
        models: by name.
        limits: bounds.
        store: shared by all servers, or None.
    """

    def __init__(
        self, clock: Clock, random: Random, models: Mapping[str, Model], limits: Limits, store: FlakyStore | None
    ) -> None:
        self._clock = clock
        self._random = random
        self._models = models
        self._limits = limits
        self._store = store
        self._n_ids = 0
        self.n_crashes = 0
        self.hub: Hub | None = None
        self.start()

    def start(self) -> None:
        """Come up, knowing nothing but what the store knows."""
        engine = Engine(limits=self._limits, make_id=lambda: f"{self._random.getrandbits(64):016x}")
        for name, model in self._models.items():
            engine.add_model(name, model)
        self.hub = Hub(
            engine,
            self._limits,
            has_store=self._store is not None,
            new_token=lambda: f"{self._random.getrandbits(256):064x}",
        )
        self._cables: dict[Party, Cable] = {}
        self._is_flushing = False
        self._is_draining = False
        self._n_errands = 0
        self._look_at_clock(self.hub)

    def crash(self, down_ms: float) -> None:
        """Lose everything in memory, and come up again after a while."""
        self.n_crashes += 1
        self.hub = None
        for cable in list(self._cables.values()):
            cable.cut()
        self._clock.after(down_ms, self.start)

    def drain(self, down_ms: float) -> None:
        """Stop in order, and come up again after a while."""
        hub = self.hub
        if hub is None or self._is_draining:
            return
        self._is_draining = True
        hub.drain(20)
        self._flush_soon()
        self._clock.after(20, lambda: self._end(hub, down_ms))

    def connect(self, cable: Cable) -> Callable[[bytes], None] | None:
        """Take a connection; what the client sends is to be given to what is returned. None: nobody listens."""
        hub = self.hub
        if hub is None or self._is_draining:
            return None
        peer = hub.attach(MSGPACK)
        self._cables[peer] = cable

        def receive(message: bytes) -> None:
            if self.hub is hub:
                peer.receive(message, False, self._clock.server_ns)
                self._flush_soon()

        def end() -> None:
            if self.hub is hub and self._cables.pop(peer, None) is not None:
                hub.detach(peer, self._clock.server_ns)
                self._flush_soon()

        cable.on_server_end = end
        return receive

    # ---- pieces

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            self._clock.after(0.02, self._flush)

    def _flush(self) -> None:
        """What the pump does: one tick, replies, errands."""
        self._is_flushing = False
        hub = self.hub
        if hub is None:
            return
        if hub.n_pending:
            hub.tick(self._clock.server_ns)
            if hub.n_pending:
                self._flush_soon()
        self._write(hub)
        if hub.checkpoints.next_ns == 0:
            hub.advance(self._clock.server_ns)
        self._take_errands(hub)

    def _write(self, hub: Hub) -> None:
        dirty, hub.dirty = hub.dirty, {}
        for peer in dirty:
            cable = self._cables.get(peer)
            messages = peer.take()
            if cable is None:
                continue
            for message in messages:
                cable.down.put(message)
            is_slow = cable.down.n_under_way > self._limits.max_outbox_bytes
            if is_slow or peer.close_code is not None:
                # A close reaches the client behind what was sent before it; a slow reader is cut off at once.
                self._clock.after(0 if is_slow else 8, cable.cut)

    def _look_at_clock(self, hub: Hub) -> None:
        if self.hub is hub:
            hub.advance(self._clock.server_ns)
            self._flush_soon()
            self._clock.after(10, lambda: self._look_at_clock(hub))

    def _take_errands(self, hub: Hub) -> None:
        while hub.errands:
            errand = hub.errands.popleft()
            self._n_errands += 1
            if self._n_errands == 1:
                self._run_next(hub, [errand])
            else:
                self._queue.append(errand)

    def _run_next(self, hub: Hub, queue: list[Errand]) -> None:
        """One errand after the other, each at some moment: a crash comes before it, or between it and its answer."""
        self._queue = queue

        def act() -> None:
            if self.hub is not hub:
                return
            assert self._store is not None
            errand = self._queue.pop(0)
            result, fault = self._store.run(errand, self._clock.server_ns / 1e9)
            self._clock.after(self._random.choice((0.1, 3.0)), lambda: self._hand_back(hub, errand, result, fault))

        self._clock.after(self._random.choice((0.1, 1.0, 20.0)), act)

    def _hand_back(self, hub: Hub, errand: Errand, result: Any, fault: StreamrnnError | None) -> None:
        if self.hub is not hub:
            return
        errand.then(result, fault, self._clock.server_ns)
        self._n_errands -= 1
        if self._n_errands:
            self._run_next(hub, self._queue)
        self._flush_soon()

    def _end(self, hub: Hub, down_ms: float, n_tries: int = 40) -> None:
        if self.hub is not hub:
            return
        now_ns = self._clock.server_ns
        hub.settle(now_ns)
        self._take_errands(hub)
        self._write(hub)
        if not hub.is_settled and n_tries:
            self._clock.after(5, lambda: self._end(hub, down_ms, n_tries - 1))
            return
        hub.end(now_ns)
        self._write(hub)

        def leave() -> None:
            if self.hub is hub:
                self.hub = None
                for cable in list(self._cables.values()):
                    cable.cut()
                self._clock.after(down_ms, self.start)

        self._clock.after(10, leave)
