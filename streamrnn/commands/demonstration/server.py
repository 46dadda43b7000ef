"""A server in a child process: started on a free port, asked for its metrics, stopped as an operator would."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from streamrnn.errors import InternalError

HOST = "127.0.0.1"
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class ChildServer:
    """`streamrnn serve` in a child process; a context manager that waits until it is ready and stops it at the end."""

    def __init__(self, models: dict[str, Path]) -> None:
        self.port = free_port()
        self.ready_s = 0.0
        self._models = models
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115, closed in __exit__
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where a client connects."""
        return f"ws://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        """Start it and wait until it answers frames.

        Raises:
            InternalError: it ended, or was not ready in time; the message holds the end of its log.
        """
        options = [f"--model={name}={path}" for name, path in self._models.items()]
        command = [sys.executable, "-m", "streamrnn", "serve", *options, f"--host={HOST}", f"--port={self.port}"]
        started_s = time.monotonic()
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        while not self._is_ready():
            if not self.is_alive or time.monotonic() - started_s > READY_TIMEOUT_S:
                state = "was not ready in time" if self.is_alive else "ended before it was ready"
                fault = InternalError(f"the server {state}; its log ends:\n{self.log_tail()}")
                self._end()
                raise fault
            time.sleep(0.05)
        self.ready_s = time.monotonic() - started_s
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, if `stop` did not."""
        self._end()

    @property
    def pid(self) -> int:
        """Its process id, 0 before it was started."""
        return self._child.pid if self._child is not None else 0

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.poll() is None

    def stop(self) -> int:
        """Ask it to stop with SIGTERM and return its exit code; one that does not stop in time is killed (-9)."""
        if self._child is None:
            return -9
        if self.is_alive:
            self._child.send_signal(signal.SIGTERM)
        try:
            return self._child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self._child.wait()

    def metrics(self) -> dict[str, float]:
        """Return every sample of /metrics by its name with labels, such as `steps_total{model="temp"}`.

        Raises:
            InternalError: the server did not answer with them.
        """
        status, text = self._get("/metrics")
        if status != 200:
            raise InternalError(f"expected metrics of the server, got status {status}")
        samples = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def log_tail(self, n_lines: int = 12) -> str:
        """Return the last lines that it wrote."""
        self._log.flush()
        self._log.seek(0)
        return "\n".join(self._log.read().decode("utf-8", "replace").splitlines()[-n_lines:])

    def _end(self) -> None:
        if self._child is not None and self.is_alive:
            self._child.kill()
            self._child.wait()
        self._log.close()

    def _is_ready(self) -> bool:
        return self._get("/v2/health/ready")[0] == 200

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()
