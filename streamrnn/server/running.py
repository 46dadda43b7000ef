"""Runs a server in a program of its own: its event loop, and the signals that it heeds."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine

from streamrnn.server.app import FORCED, Server
from streamrnn.server.garbage import Garbage
from streamrnn.server.repeats import Repeats

Beside = Callable[[], Coroutine[object, object, None]]
LOGGERS = ("streamrnn.server", "streamrnn.serving")
"""Those in which clients cause lines."""


def run(server: Server, beside: Beside | None = None, *, heeds_second: bool = True) -> int:
    """Serve until SIGTERM or SIGINT and return the exit status; a second signal exits at once. SIGHUP reloads.

    Once it is ready the garbage of the whole program is collected as suits the server. Prints nothing; what happens is
    logged under `streamrnn.server` and `streamrnn.serving`, what repeats itself not without end.

    Args:
        beside: runs in the same loop from the start on, and is cancelled at the end.
        heeds_second: whether a second signal is one.

    Raises:
        OSError: the port cannot be bound.
    """
    repeats = Repeats()
    for name in LOGGERS:
        logging.getLogger(name).addFilter(repeats)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve_until_signal(server, beside, heeds_second))


async def _serve_until_signal(server: Server, beside: Beside | None, heeds_second: bool) -> int:
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if not server.is_stopping:
            server.begin_stop()
        elif heeds_second:
            server.status = FORCED
            server.abort()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    loop.add_signal_handler(signal.SIGHUP, server.reload)
    await server.start()
    with Garbage(server.hub) as garbage:
        running = [loop.create_task(garbage.tend(server.ready))]
        if beside is not None:
            running.append(loop.create_task(beside()))
        try:
            return await server.finished()
        finally:
            for task in running:
                task.cancel()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where it is installed; it serves a message in half the time of asyncio's."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
