"""What the supervisor is told, and what it tells each worker: JSON on standard input, so that no list of processes
shows the password in a store's URL."""

from __future__ import annotations

from dataclasses import dataclass

from streamrnn.server.options import ServerOptions

MAX_WORKERS = 256
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@dataclass(frozen=True)
class WorkersOptions:
    """A server of several processes.

    Attributes:
        server: what each of them serves; a port of 0 is chosen once, for all.
        n_workers: 1 to `MAX_WORKERS`.
        admin_port: where the supervisor answers for all of them; 0: a free one; None: nowhere.
        log_level: of all of them.
    """

    server: ServerOptions
    n_workers: int
    admin_port: int | None = None
    log_level: str = "info"


@dataclass(frozen=True)
class WorkerOptions:
    """One of them.

    Attributes:
        server: what it serves, with the ports that were chosen.
        number: from 0.
        is_alone: no other worker is ready: open the port at once, so that somebody says "not ready yet". Else the port
            is opened once the kernels are there, and no client meets a worker that refuses it.
        log_level: a name that `logging` knows.
    """

    server: ServerOptions
    number: int
    is_alone: bool
    log_level: str
