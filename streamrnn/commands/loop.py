"""An event loop that wakes on time: `select` sleeps to the microsecond where `epoll` rounds up to a millisecond."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


def run_punctually(main: Coroutine[None, None, T]) -> T:
    """Run `main` to its end. For few sockets: `select` takes file numbers below 1024 only."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        return runner.run(main)
