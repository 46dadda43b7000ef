"""Natural batching: one flush a loop iteration ticks the engine and writes each connection's replies at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from streamrnn.engine.tick import Tick
from streamrnn.server.pace import Pace
from streamrnn.serving.hub import Hub
from streamrnn.serving.party import Party

if TYPE_CHECKING:
    from streamrnn.server.connection import Connection
    from streamrnn.server.keeper import Keeper

clock_ns = time.monotonic_ns


class Pump:
    """Runs the hub whenever there is something to do, and never otherwise.

    `wake` asks for one flush at the end of the present loop iteration, so all frames that arrived in it form one batch.
    A flush steps one tick; while frames are left it asks for the next, and the loop reads sockets in between. A tick
    that would keep the loop for long is stepped in a thread; until it has ended, what is wanted of the hub waits, and
    nothing else does.

    Attributes:
        is_stepping: a tick is under way in the thread, and the hub must be left alone: use `do`.
        is_behind: more waits to be stepped than can be in a while.
        is_busy: one of these: what comes has to wait, or somebody may have to.
        n_threaded: ticks that were stepped in the thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, hub: Hub) -> None:
        self.hub = hub
        self.writers: dict[Party, Connection] = {}
        self.keeper: Keeper | None = None
        self.is_stepping = self.is_behind = self.is_busy = False
        self.n_threaded = 0
        self._loop = loop
        self._is_awake = False
        self._now_ns = 0
        self._pace = Pace()
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: tuple[Tick, Future[None], int] | None = None
        self._waiting: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._on_caught_up: Callable[[], None] | None = None

    def wake(self) -> int:
        """Ask for a flush, once. Returns the clock of this loop iteration, ns."""
        if not self._is_awake:
            self._is_awake = True
            self._now_ns = clock_ns()
            self._loop.call_soon(self._flush)
        return self._now_ns

    def do(self, work: Callable[..., object], *arguments: Any) -> None:
        """Call `work(*arguments)`, which touches the hub: at once, or when the tick that is under way has ended."""
        if self.is_stepping:
            self._waiting.append((work, arguments))
        else:
            work(*arguments)

    def when_caught_up(self, work: Callable[[], None]) -> None:
        """Call `work` when stepping is not behind any more; it is now, and of several calls the last one counts."""
        self._on_caught_up = work

    def join(self) -> None:
        """Wait for the tick that is under way, if one is, and for all that waits for it."""
        if self._under_way is not None:
            tick, future, begin_ns = self._under_way
            future.exception()
            self._end(tick, future, begin_ns)

    def stop(self) -> None:
        """Need no thread any more."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    def _flush(self) -> None:
        self._is_awake = False
        if self.is_stepping:
            return  # there will be one when it has ended
        hub = self.hub
        if hub.engine.n_pending:
            begin_ns = clock_ns()
            tick = hub.begin_tick()
            if tick is not None:
                if self._pace.is_long(tick):
                    self._step_in_thread(tick, begin_ns)
                else:
                    fault: Exception | None = None
                    try:
                        tick.run()
                    except Exception as raised:
                        fault = raised
                    self._count(tick, fault, begin_ns)
        self._judge()
        if hub.dirty:
            self.write()
        if self.keeper is not None and not self.is_stepping:
            if hub.checkpoints.next_ns == 0:
                hub.advance(clock_ns())
            if hub.errands:
                self.keeper.take()

    def _count(self, tick: Tick, fault: Exception | None, begin_ns: int) -> None:
        hub, end_ns = self.hub, clock_ns()
        self._pace.note(tick, end_ns - begin_ns)
        n_sessions = hub.end_tick(tick, fault, end_ns)
        if n_sessions:  # a tick that steps nothing has failed: asking for the next at once would spin
            hub.tally.count_tick(n_sessions, end_ns - begin_ns)
            if hub.engine.n_pending:
                self.wake()

    def _judge(self) -> None:
        """See whether stepping is behind, and tell who waits for the end of that."""
        is_behind = self._pace.is_behind(self.hub.engine.n_pending, was_behind=self.is_behind)
        if is_behind != self.is_behind:
            self.is_behind = is_behind
            self.is_busy = is_behind or self.is_stepping
            work, self._on_caught_up = self._on_caught_up, None
            if work is not None:
                work()

    # ---- in the thread

    def _step_in_thread(self, tick: Tick, begin_ns: int) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "tick")
        self.is_stepping = self.is_busy = True
        self.n_threaded += 1
        future = self._thread.submit(tick.run)
        self._under_way = (tick, future, begin_ns)
        future.add_done_callback(lambda _: self._call_back(tick, future, begin_ns))

    def _call_back(self, tick: Tick, future: Future[None], begin_ns: int) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._end, tick, future, begin_ns)

    def _end(self, tick: Tick, future: Future[None], begin_ns: int) -> None:
        if self._under_way is None or self._under_way[0] is not tick:
            return  # somebody has waited for it
        self._under_way = None
        self.is_stepping = False
        self.is_busy = self.is_behind
        fault = future.exception()
        self._count(tick, fault if isinstance(fault, Exception) else None, begin_ns)
        waiting, self._waiting = self._waiting, []
        for work, arguments in waiting:
            work(*arguments)
        self.wake()

    def write(self) -> None:
        """Write what waits in every peer, one write a connection."""
        dirty, self.hub.dirty = self.hub.dirty, {}
        for peer in dirty:
            writer = self.writers.get(peer)
            if writer is not None:
                writer.deliver(peer)
