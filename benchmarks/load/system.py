"""Calls of the C library from compiled code: the clock, `epoll_wait`, `send` and `recv`, each on bare memory."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
from numba import types
from numba.core.types import ExternalFunction

from benchmarks.load.compiling import compiled

clock_gettime: Any = ExternalFunction("clock_gettime", types.int32(types.int32, types.uintp))
c_send: Any = ExternalFunction("send", types.intp(types.int32, types.uintp, types.uintp, types.int32))
c_recv: Any = ExternalFunction("recv", types.intp(types.int32, types.uintp, types.uintp, types.int32))
epoll_wait: Any = ExternalFunction("epoll_wait", types.int32(types.int32, types.uintp, types.int32, types.int32))

CLOCK_MONOTONIC = 1
SEND_FLAGS = 0x40 | 0x4000
"""MSG_DONTWAIT and MSG_NOSIGNAL of Linux."""
RECV_FLAGS = 0x40
EVENT_WORDS = 3 if platform.machine() == "x86_64" else 4
"""int32 words of a `struct epoll_event`: packed on x86-64 alone."""
EVENT_FD = 1 if platform.machine() == "x86_64" else 2


as_int: Any = np.int64
"""Signed, whatever comes in: numba makes floats of signed and unsigned integers together."""


@compiled
def clock_ns(stamp: Any) -> int:
    """The clock of `time.monotonic_ns`; `stamp` is (2,) int64 scratch."""
    clock_gettime(CLOCK_MONOTONIC, stamp.ctypes.data)
    return stamp[0] * 1_000_000_000 + stamp[1]  # type: ignore[no-any-return]
