"""Runs a server in a program of its own: its event loop, and the signals that it heeds."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

from streamrnn.server.app import FORCED, Server
from streamrnn.server.repeats import Repeats

LOGGERS = ("streamrnn.server", "streamrnn.serving")
"""Those in which clients cause lines."""


def run(server: Server) -> int:
    """Serve until SIGTERM or SIGINT and return the exit status; a second signal exits at once. SIGHUP reloads.

    Prints nothing; what happens is logged under `streamrnn.server` and `streamrnn.serving`, what repeats itself not
    without end.

    Raises:
        OSError: the port cannot be bound.
    """
    repeats = Repeats()
    for name in LOGGERS:
        logging.getLogger(name).addFilter(repeats)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve_until_signal(server))


async def _serve_until_signal(server: Server) -> int:
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if server.is_stopping:
            server.status = FORCED
            server.abort()
        else:
            server.begin_stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    loop.add_signal_handler(signal.SIGHUP, server.reload)
    return await server.serve()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where it is installed; it serves a message in half the time of asyncio's."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
