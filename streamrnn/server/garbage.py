"""The cyclic garbage collector of a program that is a server: its pauses are short, counted, and rarely in the way.

Nearly all that a server lets go of is freed by reference counts; what a collection looks through is thousands of
sessions that live on. So what has survived one is frozen: the next looks at no more than what is new since.
"""

from __future__ import annotations

import asyncio
import gc
import time
from types import TracebackType
from typing import Self

from streamrnn.serving.hub import Hub

YOUNG = 2000
"""Objects more than freed since the last collection of the young, upon which the next comes."""
MIDDLE = 5
"""Collections of the young before one that takes in their survivors: at most 12,000 objects, some 3 ms."""
NEVER = 1_000_000_000
MAX_MIDDLE = 2
"""After so many the survivors are looked through and frozen: during a rush of clients too, none grow old by many."""
LOOK_S = 0.25
NS_PER_S = 1_000_000_000
IDLE_NS = 1 * NS_PER_S
"""Time without a frame after which the server is idle."""
FULL_IDLE_NS, FULL_NS = 5 * NS_PER_S, 60 * NS_PER_S
"""From one look at all that is new to the next, while idle and at work."""
THAW_IDLE_NS, THAW_NS = 600 * NS_PER_S, 3600 * NS_PER_S
"""The same for all there is, if sessions have come or gone: no other finds cycles of what was frozen alive."""


class Garbage:
    """Collects for one program, whose only server this is; leave it, and all is as it was.

    Not for a server inside another program, whose heap is not ours to freeze. Pauses are counted in the hub's tally.

    Args:
        hub: whose frames tell whether the server is idle.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._threshold = gc.get_threshold()
        self._began_ns = 0
        self._n_frames = 0
        self._n_young = self._n_middle = self._n_turns = 0
        self._full_ns = self._thaw_ns = self._busy_ns = 0

    def __enter__(self) -> Self:
        gc.callbacks.append(self._on_collection)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.callbacks.remove(self._on_collection)
        gc.set_threshold(*self._threshold)
        gc.unfreeze()

    async def tend(self, ready: asyncio.Event) -> None:
        """Begin once the server is ready, and look again and again until cancelled."""
        await ready.wait()
        self.begin(time.monotonic_ns())
        while True:
            await asyncio.sleep(LOOK_S)
            self.look(time.monotonic_ns())

    def begin(self, now_ns: int) -> None:
        """Freeze what is there: modules, kernels and models stay as long as the program."""
        gc.set_threshold(YOUNG, MIDDLE, NEVER)
        self._busy_ns = now_ns
        self._thaw(now_ns)

    def look(self, now_ns: int) -> None:
        """Collect if it is time, better while nothing is to be stepped."""
        n_frames = self._hub.tally.n_frames
        if n_frames != self._n_frames or self._hub.n_pending:
            self._n_frames, self._busy_ns = n_frames, now_ns
        is_idle = now_ns - self._busy_ns >= IDLE_NS
        thaw_ns, full_ns = (THAW_IDLE_NS, FULL_IDLE_NS) if is_idle else (THAW_NS, FULL_NS)
        if self._n_turns != self._hub.tally.turns.total() and now_ns - self._thaw_ns >= thaw_ns:
            self._thaw(now_ns)
        elif self._n_middle >= MAX_MIDDLE or (self._n_young and now_ns - self._full_ns >= full_ns):
            self._collect(now_ns)

    def _thaw(self, now_ns: int) -> None:
        gc.unfreeze()
        self._collect(now_ns)
        self._thaw_ns, self._n_turns = now_ns, self._hub.tally.turns.total()

    def _collect(self, now_ns: int) -> None:
        gc.collect()
        gc.freeze()
        self._full_ns = now_ns
        self._n_young = self._n_middle = 0

    def _on_collection(self, phase: str, details: dict[str, int]) -> None:
        """Called by the collector, in whatever thread it has come up."""
        if phase == "start":
            self._began_ns = time.perf_counter_ns()
            return
        self._hub.tally.gc_pause_ns.add(time.perf_counter_ns() - self._began_ns)
        self._n_young += 1
        self._n_middle += details["generation"] == 1
