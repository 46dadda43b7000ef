"""A server process that is killed amid a generation, again and again: the same tokens, each exactly once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamrnn_client import Reconnected, sync

from streamrnn.commands.demonstration.server import free_port
from tests.client.conftest import MODELS, READY_S
from tests.client.test_generate import PROMPT, SAMPLER, alone

N, N_KILLS = 4000, 3


class Server:
    """A `streamrnn serve` that keeps its sessions in `folder`, and is killed and started over the same files."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        MODELS["text"].save(folder / "text.safetensors")
        self._command = [
            *(sys.executable, "-m", "streamrnn", "serve", "--model", f"text={folder / 'text.safetensors'}"),
            *(f"--port={self.port}", f"--state={folder / 'state'}", "--checkpoint-ms=20"),
        ]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self._process = subprocess.Popen(self._command, env=os.environ, stderr=subprocess.DEVNULL)
        end_s = time.monotonic() + READY_S
        while self._process.poll() is None and time.monotonic() < end_s:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2/health/ready", timeout=5).close()
                return
            except (urllib.error.URLError, ConnectionError) as error:
                if isinstance(error, urllib.error.HTTPError):
                    error.close()
                time.sleep(0.05)
        raise AssertionError("the server is not ready")

    def kill(self) -> None:
        """SIGKILL: it has no time for anything."""
        self._process.kill()
        self._process.wait(READY_S)


@pytest.fixture
def killed_server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.kill()


def test_every_token_comes_once_and_is_the_same(killed_server: Server) -> None:
    expected = alone(PROMPT).generate(N, 0.9, seed=21)
    heard: list[Reconnected] = []
    url = f"ws://127.0.0.1:{killed_server.port}"
    with sync.connect(url, on_reconnect=heard.append, reconnect_timeout_s=READY_S) as client:
        session = client.open("text", decoder=SAMPLER, window=256)
        got = []
        for token in session.generate(N, PROMPT, temperature=0.9, seed=21, timeout_s=READY_S):
            got.append((token.seq, token.token))
            if len(got) % (N // (N_KILLS + 1)) == 0 and len(heard) < N_KILLS:
                killed_server.kill()
                killed_server.start()
        assert got == [(3 + i, token) for i, token in enumerate(expected)]
        assert session.next_seq == 3 + N
        assert client.n_reconnects >= N_KILLS
