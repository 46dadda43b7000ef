"""`streamrnn serve --workers` as its user meets it: real processes, told apart by what they log and count."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from streamrnn.model.model import Model

READY_S = 90.0
STARTED = re.compile(r"worker (\d+) is process (\d+)")


class Several:
    """One server of several processes, over a folder of its own; killed at the end, if it was not stopped."""

    def __init__(self, folder: Path, models: dict[str, Model], *options: str, n_workers: int = 2) -> None:
        self.folder = folder
        self._log = folder / "log"
        self._command = [sys.executable, "-m", "streamrnn", "serve", f"--workers={n_workers}", "--port=0"]
        self._command += ["--admin-port=0", f"--state={folder / 'state'}", "--checkpoint-ms=50", *options]
        for name, model in models.items():
            model.save(folder / f"{name}.safetensors")
            self._command.append(f"--model={name}={folder / f'{name}.safetensors'}")

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(self._command, stderr=log, start_new_session=True)
        self.admin = self._port("answering for all workers on 127.0.0.1 port")
        self.wait(self.is_ready)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            for pid in (self.process.pid, *self.pids().values()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(READY_S)
        if kind is not None:
            print(self.log())

    @property
    def port(self) -> int:
        """That of all workers."""
        return self._port("workers on 127.0.0.1 port")

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"ws://127.0.0.1:{self.port}"

    def log(self) -> str:
        """All that was logged."""
        return self._log.read_text()

    def pids(self) -> dict[int, int]:
        """The last process of each worker, by its number."""
        return {int(number): int(pid) for number, pid in STARTED.findall(self.log())}

    def is_ready(self) -> bool:
        """Every worker is."""
        return self.get("/v2/health/ready")[0] == 200

    def get(self, path: str, port: int | None = None) -> tuple[int, str]:
        """Status and body of a page, of the supervisor's port if of no other; 0 where there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port or self.admin}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()
        except OSError:
            return 0, ""

    def counted(self, name: str, port: int | None = None) -> dict[int | None, float]:
        """The value of a sample by the worker that it is of, None where it has no such label."""
        families = text_string_to_metric_families(self.get("/metrics", port)[1])
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return {int(w) if (w := sample.labels.get("worker")) else None: sample.value for sample in samples}

    def wait(self, is_so: object, what: str = "it is so") -> None:
        """Wait until a question is answered with yes."""
        assert callable(is_so)
        end_s = time.monotonic() + READY_S
        while not is_so():
            assert time.monotonic() < end_s, f"not {what} in time\n{self.log()}"
            time.sleep(0.02)

    def kill(self, number: int) -> None:
        """Kill a worker as the system would."""
        os.kill(self.pids()[number], signal.SIGKILL)

    def stop(self, timeout_s: float = READY_S) -> int:
        """Stop it as an operator would; its exit status."""
        self.process.terminate()
        return self.process.wait(timeout_s)

    def _port(self, text: str) -> int:
        found: list[str] = []

        def is_told() -> bool:
            found.extend(re.findall(rf"{text} (\d+)", self.log()))
            return bool(found) or self.process.poll() is not None

        self.wait(is_told)
        assert found, self.log()
        return int(found[0])


def are_gone(pids: Iterator[int] | list[int]) -> bool:
    """Whether none of these processes is left."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return False
    return True
