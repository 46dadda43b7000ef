"""How every kernel is compiled: the options that keep the bits, in one place.

- `fastmath` stays off: it deletes NaN checks and reorders sums, and then a batch differs from a lone step.
- `error_model="numpy"`: the default puts a zero-division branch into every `/`.
- `nogil`: a tick may run in a worker thread while the event loop goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from streamrnn.kernels.cache import kernel_cache

OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": False, "error_model": "numpy", "boundscheck": False}

ENTRIES: list[tuple[Any, str]] = []
"""Entry kernels with their only signature, for `warmup`."""


def inlined(function: Callable[..., Any]) -> Any:
    """A building block of a kernel: always inlined, so that vectors stay in registers."""
    return njit(forceinline=True, **OPTIONS)(function)


def outlined(function: Callable[..., Any]) -> Any:
    """A part of a kernel that is compiled once and called, to keep compile time and code size down."""
    return njit(**OPTIONS)(function)


def entry(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """A kernel called from Python, of one signature: compiled or loaded from the cache by `warmup`, never at import."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(**OPTIONS)(function)
        dispatcher._cache = kernel_cache(function)
        ENTRIES.append((dispatcher, signature))
        return dispatcher

    return decorate
