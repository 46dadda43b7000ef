"""A thread that calls hooks, one after the other; it is there only once there is something to call."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Caller:
    """Hooks are called in order, by a thread that holds no lock of ours, so that they may use the client."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def call(self, hook: Callable[[], None]) -> None:
        """Have it called soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="streamrnn-client-hooks", daemon=True)
            self._thread.start()
        self._calls.put(hook)

    def stop(self) -> None:
        """End the thread behind what it still has to call."""
        if self._thread is not None:
            self._calls.put(None)

    def _run(self) -> None:
        while (hook := self._calls.get()) is not None:
            try:
                hook()
            except Exception as error:  # as a thread of its own would have it reported
                threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, None)))
