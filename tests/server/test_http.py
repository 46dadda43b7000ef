"""The pages on the websocket's port, and the handshakes that are refused."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamrnn.server import app
from streamrnn.server.app import Server
from tests.server.clients import client_of, handshake, raw_of
from tests.server.conftest import LIMITS
from tests.serving.house import MODELS, frame, random_frames


async def ask(port: int, path: str, method: str = "GET", body: bytes = b"") -> tuple[int, dict[str, str], str]:
    """Status, headers and body of a plain HTTP request."""
    async with raw_of(port) as raw:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        await raw.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{length}\r\n".encode() + body)
        head = (await raw.head()).decode()
        lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        text = (await raw.rest()).decode()
        assert len(text.encode()) == int(headers["content-length"])
        return int(lines[0].split()[1]), headers, text


async def test_health(server):
    assert (await ask(server.port, "/v2/health/live"))[0] == 200
    assert (await ask(server.port, "/v2/health/ready"))[0] == 200
    assert (await ask(server.port, "/v2/health/ready?verbose=1"))[0] == 200


async def test_models(server):
    status, headers, text = await ask(server.port, "/v2/models")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(text)["limits"] == {"max_message_bytes": 100_000, "max_chunk_frames": 128}
    listed = {model["name"]: model for model in json.loads(text)["models"]}
    assert set(listed) == set(MODELS)
    assert listed["lstm"]["digest"] == MODELS["lstm"].digest
    assert listed["lstm"]["precision"] == "float32"
    assert listed["lstm"]["input"] == {"size": 3, "names": ["in0", "in1", "in2"]}
    assert listed["lstm"]["labels"] == ["a", "b"]
    assert listed["token"]["input"] == {"size": 1, "kind": "token", "n_tokens": 7}


@pytest.mark.parametrize("path", ["/v2", "/v2/health", "/favicon.ico", "/metrics/x", "/../etc/passwd"])
async def test_other_paths(server, path):
    status, _, text = await ask(server.port, path)
    assert status == 404
    assert "/v2/health/ready" in text


@pytest.mark.parametrize("method", ["POST", "HEAD", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/metrics", "/"])
async def test_other_methods(server, method, path):
    status, headers, _ = await ask(server.port, path, method)
    assert (status, headers["allow"]) == (405, "get")


async def test_a_body_is_refused(server):
    assert (await ask(server.port, "/metrics", "POST", b"x" * 10_000))[0] == 400


async def test_metrics_count_what_happened(server):
    async with client_of(server.port) as client:
        await client.open(1)
        await client.say(frame(1, 0, random_frames(3)))
        await client.hear()
        await client.say(frame(1, 9, random_frames(1)))
        await client.hear()
        _, headers, text = await ask(server.port, "/metrics")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["streamrnn_sessions",] == 1
    assert found["streamrnn_connections",] == 1
    assert found["streamrnn_frames_total",] == 3
    assert found["streamrnn_outputs_total",] == 3
    assert found["streamrnn_ticks_total",] == 1
    assert found["streamrnn_errors_total", "bad_seq"] == 1
    assert found["streamrnn_batch_sessions_bucket", "1"] == 1
    assert found["streamrnn_batch_sessions_count",] == 1
    assert found["streamrnn_step_seconds_count",] == 1
    assert 0 < found["streamrnn_step_seconds_sum",] < 1


async def test_two_servers_count_for_themselves(serve):
    one, two = await serve(), await serve()
    async with client_of(one.port) as client:
        await client.open(1)
        assert "streamrnn_sessions 1.0" in (await ask(one.port, "/metrics"))[2]
        assert "streamrnn_sessions 0.0" in (await ask(two.port, "/metrics"))[2]


@pytest.mark.parametrize("protocol", [None, "streamrnn.v2.msgpack", "mqtt", "streamrnn.v1"])
async def test_a_wrong_or_missing_sub_protocol_is_refused_by_name(server, protocol):
    async with raw_of(server.port) as raw:
        await raw.send(handshake(protocol=protocol))
        assert b"HTTP/1.1 400 " in await raw.head()
        body = (await raw.rest()).decode()
    assert "streamrnn.v1.msgpack" in body and "streamrnn.v1.json" in body
    assert (protocol or "none") in body


async def test_the_default_is_msgpack_whatever_the_order(server):
    async with raw_of(server.port) as raw:
        await raw.send(handshake(protocol="x, streamrnn.v1.json, streamrnn.v1.msgpack"))
        assert b"Sec-WebSocket-Protocol: streamrnn.v1.msgpack" in await raw.head()


@pytest.mark.parametrize(
    ("shake", "status"),
    [
        (handshake(path="/v2/stream"), 404),
        (handshake(Upgrade="", Connection="close"), 426),
        (handshake(Sec_WebSocket_Key="short"), 400),
        (handshake(Sec_WebSocket_Key=""), 400),
        (handshake(Sec_WebSocket_Version="12"), 400),
        (b"GET / HTTP/1.1\r\n" + b"X-Many: 1\r\n" * 200 + b"\r\n", 431),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 9000 + b"\r\n\r\n", 431),
    ],
)
async def test_broken_handshakes(server, shake, status):
    async with raw_of(server.port) as raw:
        await raw.send(shake)
        assert f" {status} ".encode() in await raw.head()


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 50 + b"\r\n\r\n", b"hello\r\n\r\n", b"\n"]
)
async def test_what_is_not_http_is_dropped(server, noise):
    async with raw_of(server.port) as raw:
        await raw.send(noise + b"\n" * 3)
        assert (await raw.rest()).startswith(b"HTTP/1.1 400 ")
    assert (await ask(server.port, "/v2/health/live"))[0] == 200


async def test_no_more_websockets_than_allowed(serve):
    server = await serve(max_connections=2)
    async with client_of(server.port), client_of(server.port) as second:
        async with raw_of(server.port) as raw:
            await raw.send(handshake())
            head = await raw.head()
            assert b" 503 " in head and b"Retry-After: 1" in head
        assert (await ask(server.port, "/v2/health/ready"))[0] == 200
        await second.open(1)
    async with client_of(server.port) as third:
        await third.open(1)


async def test_live_at_once_and_ready_when_the_kernels_are(monkeypatch):
    warm = threading.Event()
    monkeypatch.setattr(app, "warmup", lambda: warm.wait(10))
    server = Server(MODELS, port=0, limits=LIMITS)
    await server.start()
    try:
        assert (await ask(server.port, "/v2/health/live"))[0] == 200
        status, headers, text = await ask(server.port, "/v2/health/ready")
        assert (status, headers["retry-after"]) == (503, "1")
        assert "compiled" in text
        assert "lstm" in (await ask(server.port, "/v2/models"))[2]
        async with raw_of(server.port) as raw:
            await raw.send(handshake())
            assert b" 503 " in await raw.head()
        warm.set()
        await asyncio.wait_for(server.ready.wait(), 10)
        assert (await ask(server.port, "/v2/health/ready"))[0] == 200
        async with client_of(server.port) as client:
            await client.open(1)
    finally:
        warm.set()
        await server.stop()


async def test_a_failed_warm_up_ends_the_server(monkeypatch, caplog):
    def broken():
        raise OSError("no cache, no compiler")

    monkeypatch.setattr(app, "warmup", broken)
    assert await asyncio.wait_for(Server(MODELS, port=0, limits=LIMITS).serve(), 10) == 1
    assert "no cache, no compiler" in caplog.text
