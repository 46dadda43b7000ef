"""The connections that have sent more than one turn of the loop may cost, served in slices, each in its turn."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from streamrnn.server.pump import Pump, clock_ns

if TYPE_CHECKING:
    from streamrnn.server.connection import Connection

SLICE_NS = 1_000_000
"""Time after which a connection that has more to read lets others go first."""
TURN_NS = 2_000_000
"""Time that all of them together may take of one loop iteration, but for the message at its end."""


class Backlog:
    """Connections that wait for their next slice, in order.

    A slice is bounded by the clock, not by a count: a message may cost a microsecond (a ping), or a thousand times
    that (a `flush` that steps its session's queue).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, pump: Pump) -> None:
        self._loop = loop
        self._pump = pump
        self._waiting: deque[Connection] = deque()
        self._held: list[Connection] = []
        self._is_scheduled = False
        self._iteration_ns = 0
        self._until_ns = 0

    def until(self, iteration_ns: int) -> int:
        """When the reading of what has just come is to stop, ns; one time for all that is read in a loop iteration.

        Args:
            iteration_ns: tells one loop iteration from the next, see `Pump.wake`.
        """
        if iteration_ns != self._iteration_ns:
            self._iteration_ns = iteration_ns
            self._until_ns = clock_ns() + SLICE_NS
        return self._until_ns

    def put(self, connection: Connection, *, is_held: bool = False) -> None:
        """Give `connection` a slice in a later loop iteration; it must not be waiting already.

        Args:
            connection: whose.
            is_held: not before stepping has caught up: it has sent more than it is worth to take now.
        """
        if is_held:
            self._held.append(connection)
            self._pump.when_caught_up(self._release)
        else:
            self._waiting.append(connection)
            self._schedule()

    def read(self, until_ns: int) -> None:
        """Read what has come, of all that wait, before something ends; until `until_ns` at most."""
        self._release()
        while self._waiting and clock_ns() < until_ns:
            connection = self._waiting.popleft()
            if connection.go_on(until_ns):
                self._waiting.append(connection)

    def _release(self) -> None:
        self._waiting.extend(self._held)
        self._held.clear()
        self._schedule()

    def _schedule(self) -> None:
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        if self._pump.is_stepping:
            self._pump.do(self._run)  # between two ticks: where one follows on the other there is no other time
            return
        self._is_scheduled = False
        waiting = self._waiting
        now_ns = clock_ns()
        turn_ends_ns = now_ns + TURN_NS
        try:
            for _ in range(len(waiting)):
                connection = waiting.popleft()
                if self._pump.is_behind and connection.is_ahead:
                    self.put(connection, is_held=True)
                elif connection.go_on(now_ns + SLICE_NS):
                    waiting.append(connection)
                now_ns = clock_ns()
                if now_ns >= turn_ends_ns:
                    break
        finally:
            self._schedule()
