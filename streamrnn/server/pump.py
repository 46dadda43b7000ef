"""Natural batching: one flush a loop iteration ticks the engine and writes each connection's replies at once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from streamrnn.serving.hub import Hub
from streamrnn.serving.party import Party

if TYPE_CHECKING:
    from streamrnn.server.keeper import Keeper
    from streamrnn.server.shells import Shell

clock_ns = time.monotonic_ns


class Pump:
    """Runs the hub whenever there is something to do, and never otherwise.

    `wake` asks for one flush at the end of the present loop iteration, so all frames that arrived in it form one batch.
    A flush steps one tick; while frames are left it asks for the next, and the loop reads sockets in between.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, hub: Hub) -> None:
        self.hub = hub
        self.writers: dict[Party, Shell] = {}
        self.keeper: Keeper | None = None
        self._loop = loop
        self._is_awake = False
        self._now_ns = 0

    def wake(self) -> int:
        """Ask for a flush, once. Returns the clock of this loop iteration, ns."""
        if not self._is_awake:
            self._is_awake = True
            self._now_ns = clock_ns()
            self._loop.call_soon(self._flush)
        return self._now_ns

    def _flush(self) -> None:
        self._is_awake = False
        hub = self.hub
        if hub.engine.n_pending:
            begin_ns = clock_ns()
            n_sessions = hub.tick(begin_ns)
            if n_sessions:  # a tick that steps nothing has failed: asking for the next at once would spin
                hub.tally.count_tick(n_sessions, clock_ns() - begin_ns)
                if hub.engine.n_pending:
                    self.wake()
        if hub.dirty:
            self.write()
        if self.keeper is not None:
            if hub.checkpoints.next_ns == 0:
                hub.advance(clock_ns())
            if hub.errands:
                self.keeper.take()

    def write(self) -> None:
        """Write what waits in every peer, one write a connection."""
        dirty, self.hub.dirty = self.hub.dirty, {}
        for peer in dirty:
            writer = self.writers.get(peer)
            if writer is not None:
                writer.deliver(peer)
