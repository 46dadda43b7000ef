"""Several real processes on one port: sessions that outlive one of them, what is counted, and how it all ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from streamrnn_client import Reconnected, sync

import streamrnn
from tests.server.workers.several import READY_S, Several, are_gone
from tests.serving.house import random_frames
from tests.serving.small_models import lstm_model

MODEL = lstm_model()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Several]:
    """One for all tests that leave two workers running."""
    with Several(tmp_path_factory.mktemp("several"), {"lstm": MODEL}) as several:
        yield several
        several.stop()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Several]]:
    """A function that starts one."""
    made: list[Several] = []

    def start(*options: str, n_workers: int = 2) -> Several:
        made.append(Several(tmp_path, {"lstm": MODEL}, *options, n_workers=n_workers).__enter__())
        return made[-1]

    yield start
    for several in made:
        several.__exit__(None, None, None)


def home_of(several: Several, of: str = "streamrnn_connections") -> int:
    """The one worker that has a connection."""
    (number,) = [number for number, n in several.counted(of).items() if n]
    assert number is not None
    return number


def test_the_first_worker_is_ready_before_the_others_start(lasting: Several) -> None:
    log = lasting.log()
    assert log.index("worker 0: ready: lstm") < log.index("worker 1 is process")
    assert log.index("worker 0: listening") < log.index("worker 0: ready"), "it says that it is not ready"


def test_a_session_goes_on_at_the_other_worker_bit_for_bit(lasting: Several) -> None:
    frames = random_frames(3000)
    engine = streamrnn.Engine()
    engine.add_model("lstm", MODEL)
    heard: list[Reconnected] = []
    homes: list[int] = []

    with sync.connect(lasting.url, on_reconnect=heard.append, reconnect_timeout_s=READY_S) as client:

        def flowing() -> Iterator[np.ndarray]:
            for i, frame in enumerate(frames):
                if i in (1000, 2000):
                    homes.append(home_of(lasting))
                    lasting.kill(homes[-1])
                yield frame
                if i == 1500:  # the next blow falls when both are there
                    lasting.wait(lasting.is_ready)

        session = client.open("lstm", window=32)
        outputs = list(session.stream(flowing(), timeout_s=READY_S))
        assert home_of(lasting) != homes[-1]
    lasting.wait(lasting.is_ready)
    assert len(heard) == 2 and len(set(homes)) == 2
    assert [output.seq for output in outputs] == list(range(3000))
    assert np.array_equal(np.stack([output.y for output in outputs]), engine.open("lstm").run(frames))
    assert all(lasting.counted("streamrnn_worker_restarts_total").values())
    assert "died of SIGKILL; started again" in lasting.log()


def test_every_sample_tells_its_worker(lasting: Several) -> None:
    lasting.wait(lasting.is_ready)
    with sync.connect(lasting.url) as client:
        client.open("lstm").step([0.0, 0.0, 0.0])
        assert lasting.counted("streamrnn_worker_up") == {0: 1, 1: 1}
        assert sum(lasting.counted("streamrnn_connections").values()) == 1
        assert lasting.counted("streamrnn_batch_sessions_bucket").keys() == {0, 1}
        (number,) = lasting.counted("streamrnn_frames_total", lasting.port)
        assert number in (0, 1)
    page = lasting.get("/metrics")[1]
    heads = [line for line in page.splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads)) > 20


def test_the_supervisors_pages(lasting: Several) -> None:
    assert lasting.get("/v2/health/live") == (200, "live\n")
    assert lasting.get("/v2/health/ready?now") == (200, "ready\n")
    assert lasting.get("/v2/models")[0] == 404
    with socket.create_connection(("127.0.0.1", lasting.admin)) as plug:
        plug.sendall(b"POST /metrics HTTP/1.1\r\n\r\n")
        assert plug.recv(100).startswith(b"HTTP/1.1 405 ")
    with socket.create_connection(("127.0.0.1", lasting.admin)) as plug:
        plug.sendall(b"nonsense\r\n\r\n")
        assert plug.recv(100).startswith(b"HTTP/1.1 400 ")


def test_connections_are_dealt_out_to_all(lasting: Several) -> None:
    """Each of 64 goes to either by a hash of its addresses: that all go to one happens once in 2^63 runs."""
    lasting.wait(lasting.is_ready)
    plugs = [socket.create_connection(("127.0.0.1", lasting.port)) for _ in range(64)]
    homes = {number for plug in plugs for number in [_home_by_page(plug)]}
    assert homes == {b'worker="0"', b'worker="1"'}


def _home_by_page(plug: socket.socket) -> bytes:
    with plug, plug.makefile("rb") as answer:
        plug.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        line = next(line for line in answer if line.startswith(b"streamrnn_sessions"))
    return line.partition(b"{")[2].partition(b"}")[0]


def test_a_model_is_replaced_in_every_worker(make: Callable[..., Several]) -> None:
    several = make()
    lstm_model(seed=9).save(several.folder / "lstm.safetensors")
    several.process.send_signal(signal.SIGHUP)
    several.wait(lambda: all(f"worker {number}: reloaded: lstm" in several.log() for number in (0, 1)))
    assert several.stop() == 0


def test_a_stop_drains_every_worker(make: Callable[..., Several]) -> None:
    several = make("--drain-ms=2000")
    pids = list(several.pids().values())
    with sync.connect(several.url, reconnect_timeout_s=0.2) as client:
        session = client.open("lstm")
        several.process.terminate()
        several.wait(lambda: several.log().count("stopping: ") == 2)
        assert len(session.step([1.0, 2.0, 3.0])) == 2, "until the deadline frames are answered as ever"
        assert several.process.wait(READY_S) == 0
    assert several.log().count(": stopped\n") == 3
    assert are_gone(pids)


def test_who_stops_all_processes_at_once_stops_them_in_order(make: Callable[..., Several]) -> None:
    several = make("--drain-ms=2000")
    with sync.connect(several.url, reconnect_timeout_s=0.2) as client:
        session = client.open("lstm")
        for pid in (*several.pids().values(), several.process.pid):
            os.kill(pid, signal.SIGTERM)
        several.wait(lambda: "stopping 2 workers" in several.log() and several.log().count("stopping: ") == 2)
        assert len(session.step([1.0, 2.0, 3.0])) == 2
        assert several.process.wait(READY_S) == 0


def test_ctrl_c_is_one_signal_although_the_terminal_sends_it_to_all(make: Callable[..., Several]) -> None:
    several = make("--drain-ms=500")
    with sync.connect(several.url, reconnect_timeout_s=0.2) as client:
        client.open("lstm")
        os.killpg(several.process.pid, signal.SIGINT)
        assert several.process.wait(READY_S) == 0


def test_a_second_signal_ends_it_at_once(make: Callable[..., Several]) -> None:
    several = make("--drain-ms=600000")
    pids = list(several.pids().values())
    with sync.connect(several.url, reconnect_timeout_s=0.2) as client:
        client.open("lstm")
        several.process.terminate()
        several.wait(lambda: "stopping 2 workers" in several.log())
        several.process.terminate()
        assert several.process.wait(READY_S) == 1
    assert are_gone(pids)


def test_a_worker_that_does_not_stop_is_killed(make: Callable[..., Several]) -> None:
    several = make("--drain-ms=1")
    pids = several.pids()
    os.kill(pids[1], signal.SIGSTOP)
    assert several.stop() == 1
    assert "killing 1 workers" in several.log()
    assert are_gone(list(pids.values()))


def test_workers_do_not_outlive_a_killed_supervisor(make: Callable[..., Several]) -> None:
    several = make()
    pids = list(several.pids().values())
    several.process.kill()
    several.process.wait(READY_S)
    several.wait(lambda: are_gone(pids))
    assert several.log().count("the supervisor is gone") == 2


def test_a_port_that_somebody_listens_on_is_refused(lasting: Several, tmp_path: Path) -> None:
    second = Several(tmp_path, {"lstm": MODEL}, f"--port={lasting.port}")
    done = subprocess.run(second._command, capture_output=True, text=True, timeout=READY_S)
    assert done.returncode == 1
    assert f"error [io]: supervisor: cannot listen on 127.0.0.1 port {lasting.port}: " in done.stderr


def test_a_start_that_cannot_succeed_is_tried_once(tmp_path: Path) -> None:
    broken = Several(tmp_path, {"lstm": MODEL})
    (tmp_path / "lstm.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{not json at all")
    done = subprocess.run(broken._command, capture_output=True, text=True, timeout=READY_S)
    assert done.returncode == 1
    assert "error [bad_model_file]: worker 0: " in done.stderr
    assert "worker 0 ended with 1 before it was ready: stopping all" in done.stderr
    assert done.stderr.count("is process") == 1


def test_a_worker_that_cannot_be_started_again_ends_the_whole(make: Callable[..., Several]) -> None:
    several = make()
    (several.folder / "lstm.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{not json at all")
    several.kill(0)
    assert several.process.wait(READY_S) == 1
    assert "worker 0 ended with 1 before it was ready 5 times in a row: stopping all" in several.log()
    assert "worker 1: stopped" in several.log()


def test_the_supervisor_loads_no_compiler() -> None:
    code = "import sys, streamrnn.server.workers.__main__; print({'numba', 'numpy', 'typer'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
