"""Models read again while sessions live: new sessions get the newer version, open ones finish on theirs."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import numpy as np
import pytest

from streamrnn import Card, Engine, Limits
from streamrnn.errors import ModelFileError
from streamrnn.server.app import Server
from streamrnn.wire import messages as m
from tests.laws.nets import random_frames, random_model
from tests.server.clients import PATIENCE_S, client_of
from tests.server.test_http import ask

LIMITS = Limits(max_sessions=4, drain_ms=200)


@pytest.fixture
def old():
    return random_model("lstm", 3, 5, seed=1)


@pytest.fixture
def new():
    return random_model("lstm", 3, 5, seed=2)


async def outputs_of(client, handle, xs, start=0):
    """The outputs to frames `start, start + 1, ...` of a session."""
    await client.say(m.Frame(handle, start, xs.tobytes(), len(xs)))
    output = await client.hear()
    return np.frombuffer(output.payload, "<f4").reshape(len(xs), -1)


def run(model, xs):
    engine = Engine(Limits(max_sessions=1))
    engine.add_model("m", model)
    return engine.open("m").run(xs)


async def reloaded(server, caplog, text):
    """Reload, and wait for a line of the log."""
    caplog.clear()
    with caplog.at_level("INFO", "streamrnn.server"):
        server.reload()
        async with asyncio.timeout(PATIENCE_S):
            while not any(text in record.getMessage() for record in caplog.records):
                await asyncio.sleep(0.005)


async def test_open_sessions_finish_on_their_version(old, new, caplog):
    xs = random_frames(old, 8)
    async with (
        Server({"m": old}, port=0, limits=LIMITS, load=lambda: {"m": new}) as server,
        client_of(server.port) as client,
    ):
        assert (await client.open(1, "m")).digest == old.digest
        first = await outputs_of(client, 1, xs[:3])
        await reloaded(server, caplog, "reloaded: m")
        assert (await client.open(2, "m")).digest == new.digest
        rest = await outputs_of(client, 1, xs[3:], start=3)
        assert np.concatenate([first, rest]).tobytes() == run(old, xs).tobytes()
        assert (await outputs_of(client, 2, xs)).tobytes() == run(new, xs).tobytes()
        _, _, text = await ask(server.port, "/v2/models")
        assert json.loads(text)["models"][0]["digest"] == new.digest
        assert [n for _, n in server.hub.engine.versions("m")] == [1, 1]
        await client.say(m.Close(1))
        await client.hear_until(m.Closed)
        assert [n for _, n in server.hub.engine.versions("m")] == [1]


async def test_the_same_models_are_nothing_new(old, caplog):
    async with Server({"m": old}, port=0, limits=LIMITS, load=lambda: {"m": old, "other": old}) as server:
        await reloaded(server, caplog, "reloaded: nothing is new")
        assert server.hub.engine.versions("m") == [(old, 0)]
        assert set(server.hub.engine.models) == {"m"}


async def test_what_cannot_be_read_changes_nothing(old, caplog):
    def load():
        raise ModelFileError("m.safetensors was cut short")

    async with Server({"m": old}, port=0, limits=LIMITS, load=load) as server:
        await reloaded(server, caplog, "the models that are served go on: m.safetensors was cut short")
        async with client_of(server.port) as client:
            assert (await client.open(1, "m")).digest == old.digest


async def test_a_version_that_failed_its_proof_is_not_swapped_in(old, new, caplog):
    failed = new.with_card(Card(certificate={"framework": "torch 2", "passed": False, "max_abs_error": 0.5}))
    async with Server({"m": old}, port=0, limits=LIMITS, load=lambda: {"m": failed}) as server:
        await reloaded(server, caplog, "reloaded: nothing is new")
        assert (
            "the version that is served goes on: model 'm' is not served: it differs from torch 2 by 0.5" in caplog.text
        )
        async with client_of(server.port) as client:
            assert (await client.open(1, "m")).digest == old.digest
    async with Server({"m": old}, port=0, limits=LIMITS, load=lambda: {"m": failed}, is_forced=True) as server:
        await reloaded(server, caplog, "reloaded: m")
        assert "model m is served by force: it differs" in caplog.text


async def test_a_server_without_files_says_so(old, caplog):
    async with Server({"m": old}, port=0, limits=LIMITS) as server:
        await reloaded(server, caplog, "not reloading: no models to read again")


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_sighup_reads_the_files_again(old, new, tmp_path):
    path = tmp_path / "m.safetensors"
    old.save(path)
    command = ["-m", "streamrnn", "serve", "--model", f"m={path}", "--port", "0", "--drain-ms", "200"]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=asyncio.subprocess.PIPE)

    async def line_with(text):
        async with asyncio.timeout(60):
            while text not in (line := (await process.stderr.readline()).decode()):
                assert line, "the server ended"
        return line

    try:
        port = int((await line_with(" port ")).rsplit(maxsplit=1)[1])
        await line_with(" ready: ")
        async with client_of(port) as client:
            assert (await client.open(1, "m")).digest == old.digest
            new.save(path)
            process.send_signal(signal.SIGHUP)
            await line_with("reloaded: m")
            assert (await client.open(2, "m")).digest == new.digest
            path.write_bytes(path.read_bytes()[:100])
            process.send_signal(signal.SIGHUP)
            await line_with("the models that are served go on")
            assert (await client.open(3, "m")).digest == new.digest
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
