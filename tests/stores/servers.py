"""A real Valkey or Redis server for tests: on a socket or port of its own, without a disk, to be stopped and killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from typing import Self

import pytest
import redis

READY = "ready to accept connections"


def binary() -> str:
    """The server to start; without one the test is skipped, saying so, but fails where CI=true."""
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        missing = "needs valkey-server or redis-server: on Debian, apt-get install redis-server"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


class Server:
    """A server that holds all it knows in memory; started again, it knows nothing.

    Args:
        settings: its command line, such as `"--maxmemory", "2mb"`.
        port: on the loopback interface; 0 is a Unix socket.
    """

    def __init__(self, *settings: str, port: int = 0) -> None:
        program = binary()
        self._folder = tempfile.TemporaryDirectory(prefix="srnn-")  # a socket's path must be short
        socket = f"{self._folder.name}/socket"
        place = ("--bind", "127.0.0.1") if port else ("--unixsocket", socket)
        keep = ("--save", "", "--appendonly", "no", "--dir", self._folder.name)
        self._command = [program, "--port", str(port), *place, *keep, *settings]
        self.place = f"127.0.0.1:{port}" if port else socket
        self.url = f"redis://{self.place}" if port else f"unix://{socket}"
        self.start()

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self._running = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._running.stdout
        said = []
        for line in self._running.stdout:
            said.append(line)
            if READY in line.lower():
                return
        pytest.fail("the server ended: " + "".join(said))

    def kill(self) -> None:
        """End it as by `kill -9`."""
        self._running.kill()
        self._running.communicate()

    def stop(self) -> None:
        """Let it hang: it takes connections, and answers nothing."""
        self._running.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self._running.send_signal(signal.SIGCONT)

    def ask(self, *command: str | bytes | int) -> object:
        """What it answers, on a connection of the test's own."""
        with redis.Redis.from_url(self.url) as client:
            return client.execute_command(*command)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()
        self._folder.cleanup()
