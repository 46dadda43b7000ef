"""Natural batching: one flush a loop iteration ticks the engine and writes each connection's replies at once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from streamrnn.serving.hub import Hub
from streamrnn.serving.peer import Peer

if TYPE_CHECKING:
    from streamrnn.server.connection import Connection

clock_ns = time.monotonic_ns


class Pump:
    """Runs the hub whenever there is something to do, and never otherwise.

    `wake` asks for one flush at the end of the present loop iteration, so all frames that arrived in it form one batch.
    A flush steps one tick; while frames are left it asks for the next, and the loop reads sockets in between.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, hub: Hub) -> None:
        self.hub = hub
        self.writers: dict[Peer, Connection] = {}
        self._loop = loop
        self._is_awake = False

    def wake(self) -> None:
        """Ask for a flush, once."""
        if not self._is_awake:
            self._is_awake = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_awake = False
        hub = self.hub
        if hub.n_pending:
            begin_ns = clock_ns()
            # A tick that steps nothing has failed: asking for the next at once would spin.
            if hub.tick(begin_ns) and hub.n_pending:
                self.wake()
            hub.tally.step_ns.add(clock_ns() - begin_ns)
        if hub.dirty:
            self.write()

    def write(self) -> None:
        """Write what waits in every peer, one write a connection."""
        dirty, self.hub.dirty = self.hub.dirty, {}
        for peer in dirty:
            writer = self.writers.get(peer)
            if writer is not None:
                writer.deliver(peer)
