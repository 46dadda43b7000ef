"""What the supervisor says of all its workers at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus

from streamrnn.server.workers.admin import Answer, Page
from streamrnn.server.workers.merging import family_page, merged
from streamrnn.server.workers.worker import Worker

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Overview:
    """The pages of the admin port.

    Args:
        workers: all that there should be.
        is_stopping: whether the whole is.
    """

    def __init__(self, workers: Sequence[Worker], is_stopping: Callable[[], bool]) -> None:
        self._workers = workers
        self._is_stopping = is_stopping

    def pages(self) -> dict[str, Page]:
        """By path."""
        return {"/v2/health/live": self.live, "/v2/health/ready": self.ready, "/metrics": self.metrics}

    async def live(self) -> Answer:
        """The supervisor runs."""
        return Answer(HTTPStatus.OK, "live\n")

    async def ready(self) -> Answer:
        """Whether every worker takes frames. The shared port answers as soon as one does."""
        late = ", ".join(str(worker.number) for worker in self._workers if not worker.is_ready)
        if self._is_stopping():
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, "not ready: the server is stopping\n")
        if late:
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: worker {late}\n")
        return Answer(HTTPStatus.OK, "ready\n")

    async def metrics(self) -> Answer:
        """What every worker has counted, and the supervisor of them; one that is not there has no samples."""
        found = await asyncio.gather(*(worker.ask("/metrics") for worker in self._workers))
        is_up = [page is not None and worker.is_ready for worker, page in zip(self._workers, found, strict=True)]
        own = (
            family_page(
                *("streamrnn_worker_up", "gauge", "1 for a worker that takes frames and answers for itself"),
                [(worker.number, up) for worker, up in zip(self._workers, is_up, strict=True)],
            ),
            family_page(
                *("streamrnn_worker_restarts_total", "counter", "Starts of a worker after its first"),
                [(worker.number, max(worker.n_restarts, 0)) for worker in self._workers],
            ),
        )
        return Answer(HTTPStatus.OK, merged([*own, *(page.body for page in found if page is not None)]), PROMETHEUS)
