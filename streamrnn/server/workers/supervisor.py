"""Keeps N workers running on one port: starts them, starts them again when they die, and stops them."""

from __future__ import annotations

import asyncio
import logging
import signal

from streamrnn.server.workers.admin import Admin
from streamrnn.server.workers.options import WorkerOptions, WorkersOptions
from streamrnn.server.workers.overview import Overview
from streamrnn.server.workers.patience import Patience
from streamrnn.server.workers.ports import held
from streamrnn.server.workers.worker import Ending, Worker

log = logging.getLogger("streamrnn.server.workers")

FORCED = 1
"""Exit status after a second signal, or where a worker ended badly in the stop."""
STORE_S = 1.0
"""What a worker may take for its store, after the time to drain."""
MARGIN_S = 2.0
"""What it may take besides, on a busy machine, before it is killed."""


class Supervisor:
    """Runs one server as several processes; holds no model and steps no frame.

    Args:
        options: of the whole, and of each.

    Attributes:
        workers: as many as wanted, by number.
    """

    def __init__(self, options: WorkersOptions) -> None:
        self._options = options
        self._server = options.server
        self.workers = [Worker(number) for number in range(options.n_workers)]
        self._stopping = asyncio.Event()
        self._forcing = asyncio.Event()
        self._was_ready = asyncio.Event()
        self._status = 0
        self._admin = Admin(Overview(self.workers, self._stopping.is_set).pages())

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT, or until a worker cannot be started; the exit status.

        Raises:
            OptionError: this system cannot share a port.
            OSError: a port cannot be bound.
        """
        self._heed_signals()
        with held(self._server) as self._server:
            log.info("%d workers on %s port %d", len(self.workers), self._server.host, self._server.port)
            if self._options.admin_port is not None:
                port = await self._admin.open(self._server.host, self._options.admin_port)
                log.info("answering for all workers on %s port %d", self._server.host, port)
            tending = [asyncio.create_task(self._tend(worker)) for worker in self.workers]
            await self._stopping.wait()
            await self._end(asyncio.gather(*tending))
            self._admin.close()
        log.info("stopped")
        return self._status

    def stop(self) -> None:
        """Stop in order; called again, at once."""
        if self._stopping.is_set():
            self._forcing.set()
            self._blame(FORCED)
        self._stopping.set()

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        for worker in self.workers:
            worker.reload()

    def _blame(self, status: int) -> None:
        """Exit with this, unless something went wrong before."""
        self._status = self._status or status

    async def _tend(self, worker: Worker) -> None:
        try:
            await self._keep(worker)
        except Exception:
            log.exception("worker %d cannot be kept any more", worker.number)
            self._blame(FORCED)
        self._stopping.set()

    async def _keep(self, worker: Worker) -> None:
        """Keep one worker running until the stop, or until it cannot be started."""
        if worker.number > 0:
            # Where no kernel is compiled yet the first one does it, and the others load what it has written.
            await self._first_of(self._was_ready, self._stopping)
        patience = Patience()
        while not self._stopping.is_set():
            ending = await self._run_once(worker)
            if self._stopping.is_set():
                self._blame(0 if ending.is_well else FORCED)
                return
            delay_s = patience.delay_s(ending.served_s, self._was_ready.is_set())
            if delay_s is None:
                self._give_up(worker, ending, patience.n_failed_starts)
                return
            log.error("worker %d %s; started again in %g s", worker.number, ending, delay_s)
            if delay_s:
                await self._first_of(self._stopping, timeout_s=delay_s)

    async def _run_once(self, worker: Worker) -> Ending:
        is_alone = not any(other.is_ready for other in self.workers)
        try:
            await worker.start(WorkerOptions(self._server, worker.number, is_alone, self._options.log_level))
        except OSError as fault:
            log.error("worker %d cannot be started: %s", worker.number, fault)
            return Ending(FORCED, None)
        log.info("worker %d is process %s", worker.number, worker.pid)
        if self._stopping.is_set():  # the stop has not met it
            worker.send(signal.SIGTERM)
        return await worker.run(self._was_ready.set)

    def _give_up(self, worker: Worker, ending: Ending, n_starts: int) -> None:
        self._blame(128 - ending.status if ending.status < 0 else ending.status or FORCED)
        times = "" if n_starts == 1 else f" {n_starts} times in a row"
        log.error("worker %d %s before it was ready%s: stopping all", worker.number, ending, times)

    async def _end(self, tending: asyncio.Future[list[None]]) -> None:
        """Have every worker drain and wait for it; kill those that overrun, or all after a second signal."""
        log.info("stopping %d workers", self._n_running)
        self._send(signal.SIGTERM)
        patience_s = self._server.limits.drain_ms / 1000 + STORE_S + MARGIN_S
        forcing = asyncio.ensure_future(self._forcing.wait())
        await asyncio.wait((tending, forcing), timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        forcing.cancel()
        if not tending.done():
            log.error("killing %d workers that have not stopped", self._n_running)
            self._blame(FORCED)
            self._send(signal.SIGKILL)
        await tending

    @property
    def _n_running(self) -> int:
        return sum(worker.pid is not None for worker in self.workers)

    def _send(self, number: signal.Signals) -> None:
        for worker in self.workers:
            worker.send(number)

    async def _first_of(self, *events: asyncio.Event, timeout_s: float | None = None) -> None:
        tasks = [asyncio.create_task(event.wait()) for event in events]
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
