"""One worker as the supervisor sees it: a process that is started, asked, signalled and missed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from streamrnn.server.workers.channel import MAX_LINE_BYTES, Channel, Page, WorkerGoneError, line_of
from streamrnn.server.workers.command import command_of
from streamrnn.server.workers.options import WorkerOptions

PROGRAM = "streamrnn.server.workers.program"
PAGE_TIMEOUT_S = 2.0
LAST_WORDS_S = 1.0
"""How long to read what a process that ended has said."""


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        status: that it exited with, or a signal's number, negative.
        served_s: from when it was ready, or None if it never was.
    """

    status: int
    served_s: float | None

    @property
    def is_well(self) -> bool:
        """It stopped as told; one that has no handler yet dies of the signal itself."""
        return self.status == 0 or (self.status == -signal.SIGTERM and self.served_s is None)

    def __str__(self) -> str:
        if self.status >= 0:
            return f"ended with {self.status}"
        try:
            return f"died of {signal.Signals(-self.status).name}"
        except ValueError:
            return f"died of signal {-self.status}"


class Worker:
    """A process, and those after it under the same number.

    Attributes:
        number: from 0.
        n_restarts: starts after the first; -1 before that.
        is_ready: it takes frames.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.n_restarts = -1
        self.is_ready = False
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel | None = None
        self._is_reload_due = False

    @property
    def pid(self) -> int | None:
        """Of the process that runs now, or None."""
        return self._process.pid if self._process is not None else None

    async def start(self, options: WorkerOptions) -> None:
        """Start a process; by exec, and so with nothing of the supervisor in it.

        It is in a process group of its own: Ctrl-C in a terminal goes to the supervisor alone, also while the worker is
        still loading and would end with a traceback.

        Raises:
            OSError: the system has no room for it.
        """
        self.n_restarts += 1
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                command = command_of(PROGRAM, str(self.number))  # the number is for who lists processes
                self._process = await asyncio.create_subprocess_exec(*command, stdin=theirs.fileno(), process_group=0)
            except OSError:
                ours.close()
                raise
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=MAX_LINE_BYTES)
        writer.write(line_of(options))
        self._channel = Channel(reader, writer)

    async def run(self, on_ready: Callable[[], object]) -> Ending:
        """Wait until the process has ended; `on_ready` is called once it takes frames."""
        assert self._process is not None and self._channel is not None
        ready_s: float | None = None
        clock = asyncio.get_running_loop().time

        def note_ready() -> None:
            nonlocal ready_s
            ready_s = clock()
            self._note_ready()
            on_ready()

        listening = asyncio.create_task(self._channel.listen(note_ready))
        try:
            status = await self._process.wait()
            await asyncio.wait((listening,), timeout=LAST_WORDS_S)
        finally:
            listening.cancel()
            self._channel.close()
            self._process = self._channel = None
            self.is_ready = self._is_reload_due = False
        return Ending(status, None if ready_s is None else clock() - ready_s)

    async def ask(self, path: str) -> Page | None:
        """Its answer for a page, or None where it is not there, or has none in time."""
        if self._channel is None:
            return None
        try:
            return await asyncio.wait_for(self._channel.ask(path), PAGE_TIMEOUT_S)
        except (TimeoutError, WorkerGoneError):
            return None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def reload(self) -> None:
        """Have it read its models again; one that is not ready yet does so then, for it may have read some already."""
        if self.is_ready:
            self.send(signal.SIGHUP)
        else:
            self._is_reload_due = True

    def _note_ready(self) -> None:
        self.is_ready = True
        if self._is_reload_due:
            self._is_reload_due = False
            self.reload()
