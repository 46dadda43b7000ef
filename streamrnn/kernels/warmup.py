"""Compile or load every kernel before frames flow, and count what was compiled."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from streamrnn.kernels import runner
from streamrnn.kernels.cache import usable_directory
from streamrnn.kernels.jit import ENTRIES

__all__ = ["WarmUp", "n_compiled", "warmup"]

_lock = Lock()
_ = runner  # its import registers the entries


@dataclass(frozen=True)
class WarmUp:
    """What one warm-up did."""

    n_kernels: int
    n_compiled: int
    """Kernels compiled in this process, since import; the others came from the cache."""
    seconds: float
    cache_directory: Path | None


def n_compiled() -> int:
    """Entry kernels compiled (not loaded) in this process so far; it stays put once `warmup` has returned."""
    return sum(sum(dispatcher.stats.cache_misses.values()) for dispatcher, _ in ENTRIES)


def warmup() -> WarmUp:
    """Make every kernel ready and forbid later compilation. Safe to call again, and from several threads."""
    started = time.perf_counter()
    with _lock:
        for dispatcher, signature in ENTRIES:
            if not dispatcher.overloads:
                dispatcher.compile(signature)
                dispatcher.disable_compile()
    seconds = time.perf_counter() - started
    return WarmUp(len(ENTRIES), n_compiled(), seconds, usable_directory())
