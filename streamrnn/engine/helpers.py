"""Threads that the engine may use but never starts: whoever embeds it lends them, as it lends the clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Pending(Protocol):
    """Work under way."""

    def result(self) -> Any:
        """Wait for the end of the work; its result, or the exception that ended it."""


class Helpers(Protocol):
    """What the engine needs of a `concurrent.futures.ThreadPoolExecutor`."""

    def submit(self, work: Callable[..., Any], /, *args: Any) -> Pending:
        """Start `work(*args)` in another thread."""
