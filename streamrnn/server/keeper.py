"""The thread that owns the store: it runs the hub's errands in order, and hands the results back to the loop."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from streamrnn.errors import InternalError, StreamrnnError
from streamrnn.server.pump import clock_ns
from streamrnn.serving.errands import Errand
from streamrnn.serving.hub import Hub
from streamrnn.stores.running import run
from streamrnn.stores.store import Store

log = logging.getLogger("streamrnn.server")

EXPIRE_EVERY_S = 60.0
NICENESS = 10
"""Of the thread: where there is one core for both, frames come first."""


class Keeper:
    """One store, one thread; the frame path only puts errands into a queue.

    Args:
        loop: the hub's.
        hub: whose errands are run.
        store: closed by `stop`.
        key: seals the records.
        do: calls what it is given in the loop, once the hub may be touched.
        wake: called in the loop after each errand.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        hub: Hub,
        store: Store,
        key: bytes | None,
        do: Callable[..., None],
        wake: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._hub = hub
        self._store = store
        self._key = key
        self._do = do
        self._wake = wake
        self._waiting: queue.SimpleQueue[Errand | None] = queue.SimpleQueue()
        self._n_under_way = 0
        self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Every errand has been handed back."""
        return self._n_under_way == 0

    def take(self) -> None:
        """Take over what the hub wants."""
        errands = self._hub.errands
        while errands:
            self._n_under_way += 1
            self._waiting.put(errands.popleft())

    def stop(self) -> None:
        """Run what was taken over, then close the store; does not wait for it."""
        self._waiting.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait until the store is closed, or for that long."""
        self._thread.join(timeout_s)

    def _work(self) -> None:
        _give_way()
        expired_s = 0.0
        while True:
            errand = self._take_one()
            if errand is None:
                break
            if isinstance(errand, Errand):
                self._run(errand)
            if time.monotonic() - expired_s > EXPIRE_EVERY_S:
                expired_s = time.monotonic()
                self._expire()
        with suppress(StreamrnnError):
            self._store.close()

    def _take_one(self) -> Errand | bool | None:
        try:
            return self._waiting.get(timeout=EXPIRE_EVERY_S)
        except queue.Empty:
            return False

    def _run(self, errand: Errand) -> None:
        result: Any = None
        fault: StreamrnnError | None = None
        try:
            result = run(errand, self._store, time.time(), self._key)
        except StreamrnnError as raised:
            fault = raised
        except Exception:
            log.exception("the store failed in an unknown way")
            fault = InternalError("the store failed in an unknown way")
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._do, self._hand_back, errand, result, fault)

    def _hand_back(self, errand: Errand, result: Any, fault: StreamrnnError | None) -> None:
        self._n_under_way -= 1
        errand.then(result, fault, clock_ns())
        self._wake()

    def _expire(self) -> None:
        try:
            n_expired = self._store.expire(time.time() - self._hub.limits.expire_stored_ms / 1000)
        except StreamrnnError as fault:
            log.warning("old sessions stay in the store: %s", fault)
        except Exception:  # whatever it is, the next errand is to be run
            log.exception("old sessions stay in the store")
        else:
            if n_expired:
                log.info("%d old sessions have expired in the store", n_expired)


def _give_way() -> None:
    """Let the thread that steps frames run first; where a thread has no priority of its own nothing changes."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
