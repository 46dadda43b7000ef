"""A second against a real server, from the command line: every frame is answered, and rightly."""

from __future__ import annotations

import json
import os

import pytest
from hdrh.histogram import HdrHistogram

from benchmarks.load.__main__ import main
from benchmarks.load.servers import make_net, served

NET = "gru40x64"
OPEN = ["--hz", "50", "--duration", "0.8", "--warm", "0.2"]
CLOSED = ["--loop", "closed", "--duration", "0.3", "--warm", "0.1"]


@pytest.fixture(scope="module")
def url():
    with served(NET, min(os.sched_getaffinity(0))) as (found, _):
        yield found


@pytest.mark.parametrize(
    "options",
    [
        [*OPEN, "--sessions", "4", "--arrivals", "poisson"],
        [*CLOSED, "--sessions", "8", "--connections", "2", "--batch", "columns"],
        [*CLOSED, "--sessions", "3", "--connections", "2", "--batch", "chunk:7", "--window", "2"],
    ],
)
def test_every_frame_is_answered_and_equal(url, tmp_path, options):
    model, out = tmp_path / "net.safetensors", tmp_path / "out.json"
    make_net(NET).save(model)
    checked = ["--check", "--model-file", str(model), "--check-frames", "20"]
    main(["--url", url, *options, *checked, "--no-headroom", "--json", str(out), "--grace", "60"])
    written = json.loads(out.read_text())
    run = written["run"]
    assert run["frames"]["answered"] == run["frames"]["due"] > 0
    assert run["frames"]["unanswered"] == run["n_stray_answers"] == run["n_lost_connections"] == 0
    assert not run["errors"]
    assert HdrHistogram.decode(run["histogram"]).get_total_count() == run["n_messages_answered"]
    assert written["check"]["is_bit_equal"] and written["check"]["n_frames"] > 0


def test_an_output_that_differs_stops_it(url, tmp_path):
    from benchmarks.nets import Net, make_model

    model = tmp_path / "other.safetensors"
    make_model(Net("gru", 40, 64), seed=1).save(model)
    with pytest.raises(SystemExit, match="equal to the embedded engine's"):
        main(["--url", url, *OPEN, "--check", "--model-file", str(model), "--no-headroom"])


def test_the_headroom_is_that_of_an_echo(url, tmp_path):
    out = tmp_path / "out.json"
    main(["--url", url, *OPEN, "--duration", "0.3", "--json", str(out)])
    found = json.loads(out.read_text())["headroom"]
    assert found["echo"] == "splitter" and found["closed_frames_s"] > 0 and found["open_latency_us"]["p99"] > 0


@pytest.mark.parametrize("url_told", ["http://127.0.0.1:1", "ws://127.0.0.1", "ws://127.0.0.1:1"])
def test_a_server_that_is_not_there_is_named(url_told):
    with pytest.raises(SystemExit, match="expected"):
        main(["--url", url_told])
