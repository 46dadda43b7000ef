"""The machine's own read bandwidth from each level of its memory, as a lone session reads its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streamrnn.commands.machine import gbytes_per_s
from streamrnn.kernels.packing import aligned_zeros

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
USUAL_BYTES = {1: 32 * 1024, 2: 512 * 1024, 3: 16 * 1024 * 1024}
"""Sizes of the caches where the system does not tell them."""
FILLS = (0.25, 0.5, 0.75)
"""Parts of a cache that are read: which of them is fastest differs between machines."""
MEMORY_BYTES = 256 * 1024 * 1024


def cache_bytes() -> dict[int, int]:
    """Sizes of the data caches of the first core by level."""
    found = dict(USUAL_BYTES)
    for folder in sorted(CACHES.glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
            if kind != "Instruction" and size.endswith("K"):
                found[int(level)] = int(size[:-1]) * 1024
        except (OSError, ValueError):
            continue
    return {level: found[level] for level in sorted(found)}


def _read(n_bytes: int) -> float:
    weights = aligned_zeros(n_bytes // 4)
    weights[:] = 0  # else every page is the same page of zeros
    return gbytes_per_s(weights)


def measure_levels() -> list[dict[str, Any]]:
    """Name, size and bandwidth of each level, nearest first: the slowest and the fastest of several sizes within it."""
    levels = []
    smaller = 0
    for level, size in cache_bytes().items():
        sizes = [max(int(size * fill), smaller + (size - smaller) // 8) for fill in FILLS]
        rates = [_read(n_bytes) for n_bytes in sizes]
        levels.append({"name": f"L{level}", "bytes": size, "slowest_gb_s": min(rates), "fastest_gb_s": max(rates)})
        smaller = size
    rate = _read(max(MEMORY_BYTES, 4 * smaller))
    levels.append({"name": "memory", "bytes": None, "slowest_gb_s": rate, "fastest_gb_s": rate})
    return levels
