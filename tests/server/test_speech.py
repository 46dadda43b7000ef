"""Published clients of Vosk and sherpa-onnx are served as they are, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import urllib.error
import urllib.request

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from streamrnn.errors import UnknownModelError
from streamrnn.limits import Limits
from streamrnn.server.app import Server
from streamrnn.server.listeners import SpeechOptions
from tests.server.clients import PATIENCE_S, client_of, close_in, handshake, masked, raw_of
from tests.server.conftest import LIMITS
from tests.server.speakers import play
from tests.serving.house import MODELS
from tests.serving.speech.talk import texts
from tests.serving.speech.tones import AT_16000, chunks_of, floats, speech, tone_model

SCRIPT = (0.1, "one", "two", 0.8, "three", 0.2, "four", "one", 0.1)
PCM = speech(SCRIPT).tobytes()
WIDE = floats(speech(SCRIPT, 16000))
HEARD = ["one two", "three four one"]
PAYLOADS = {"vosk": PCM, "sherpa": WIDE}
TONES = MODELS | {"tones": tone_model(), "late": tone_model(AT_16000)}


async def until(test):
    """Wait until `test()` holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not test():
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def serving(models=TONES, limits=LIMITS, model="tones"):
    """A server that hears, with a port for each protocol."""
    options = SpeechOptions(model, 0, 0)
    async with Server(models, port=0, limits=limits, speech=options) as server:
        yield server


@pytest.mark.parametrize("name", PAYLOADS)
async def test_a_published_client_on_the_port_of_its_protocol(name):
    async with serving() as server:
        assert texts(await play(name, server.speech_ports[name], PAYLOADS[name])) == HEARD


@pytest.mark.parametrize("name", PAYLOADS)
async def test_a_published_client_on_a_path(name):
    async with serving() as server:
        for port in (server.port, server.speech_ports["vosk"]):
            assert texts(await play(name, port, PAYLOADS[name], f"/{name}")) == HEARD
            assert texts(await play(name, port, PAYLOADS[name], f"/{name}/late")) == HEARD


async def test_many_clients_at_once_hear_what_each_hears_alone():
    async with serving() as server:
        ports = server.speech_ports
        alone = {name: await play(name, ports[name], PAYLOADS[name]) for name in PAYLOADS}
        names = ["vosk", "sherpa"] * 5
        heard = await asyncio.gather(*(play(name, ports[name], PAYLOADS[name]) for name in names))
        assert heard == [alone[name] for name in names]
        assert server.hub.n_sessions == 0


async def test_a_client_that_offers_a_sub_protocol_gets_none():
    async with serving() as server, connect(f"ws://localhost:{server.port}/vosk", subprotocols=["chat"]) as ws:
        assert ws.subprotocol is None
        await ws.send(PCM)
        assert "one two" in await asyncio.wait_for(ws.recv(), PATIENCE_S)


async def test_our_own_protocol_goes_on_beside_it():
    async with serving() as server, client_of(server.port) as client:
        assert (await client.open(1)).model == "lstm"
        with pytest.raises(InvalidStatus, match="400"):
            await connect(f"ws://localhost:{server.port}/")


@pytest.mark.parametrize(
    ("models", "path", "told"),
    [
        (MODELS, "/vosk", b"there is none"),
        (TONES, "/sherpa/lstm", b"there are late, tones"),
        (TONES, "/other", b"expected / for a websocket, /vosk or /sherpa"),
    ],
)
async def test_a_path_behind_which_nobody_hears(models, path, told):
    async with serving(models, model=None) as server:
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://localhost:{server.port}{path}")
        assert caught.value.response.status_code == 404
        assert told in caught.value.response.body


def test_a_chosen_model_that_cannot_hear():
    with pytest.raises(UnknownModelError, match="got 'lstm'"):
        Server(TONES, speech=SpeechOptions("lstm"))


async def test_pages_on_the_ports_of_speech():
    async with serving() as server:

        def status(port: int, path: str) -> int:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as page:
                    return int(page.status)
            except urllib.error.HTTPError as refused:
                with refused:
                    return refused.code

        port = server.speech_ports["vosk"]
        assert await asyncio.to_thread(status, port, "/v2/health/ready") == 200
        assert await asyncio.to_thread(status, port, "/") == 426
        assert await asyncio.to_thread(status, port, "/none") == 404


async def test_they_are_counted_as_others_are():
    async with serving() as server, connect(f"ws://localhost:{server.port}/vosk") as ws:
        await ws.send(PCM[:3200])
        await asyncio.wait_for(ws.recv(), PATIENCE_S)
        page = server.front.metrics.page().decode()
        assert "streamrnn_sessions 1.0" in page
        assert "streamrnn_connections 1.0" in page
        assert "streamrnn_frames_total 20.0" in page
        await ws.send("hello")
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(ws.recv(), PATIENCE_S)
        assert 'streamrnn_errors_total{code="malformed"} 1.0' in server.front.metrics.page().decode()


@pytest.mark.parametrize(
    ("name", "message", "code", "reason"),
    [
        ("vosk", "hello", 1007, "expected"),
        ("vosk", '{"config": {"sample_rate": -1}}', 1008, "sample_rate"),
        ("sherpa", np.array([np.nan], "<f4").tobytes(), 1007, "finite"),
        ("vosk", b"\0" * (LIMITS.max_message_bytes + 1), 1009, ""),
    ],
)
async def test_what_is_wrong_ends_the_connection_with_a_reason(name, message, code, reason):
    async with serving() as server:
        with contextlib.suppress(ConnectionError):
            async with connect(f"ws://localhost:{server.port}/{name}") as ws:
                with contextlib.suppress(ConnectionClosed):
                    await ws.send(message)
                await asyncio.wait_for(ws.wait_closed(), PATIENCE_S)
        assert ws.close_code == code
        assert reason in (ws.close_reason or "")
        assert texts(await play("vosk", server.speech_ports["vosk"], PCM)) == HEARD


async def test_a_chunk_in_fragments_and_all_in_one_packet():
    async with serving() as server, raw_of(server.port) as raw:
        half = len(PCM) // 2
        fragments = masked(PCM[:half], 2, fin=False) + masked(PCM[half:], 0)
        await raw.send(handshake("/vosk", None) + fragments + masked(b'{"eof" : 1}', 1))
        assert b" 101 " in await raw.head()
        assert b"one two" in (await raw.frame())[1]
        assert b"three four one" in (await raw.frame())[1]
        opcode, payload = await raw.frame()
        assert (opcode, close_in(payload)) == (8, 1000)


@pytest.mark.parametrize("name", PAYLOADS)
async def test_a_stop_loses_no_word_that_was_sent(name):
    async with serving() as server, connect(f"ws://localhost:{server.port}/{name}") as ws:
        for chunk in chunks_of(PAYLOADS[name], 40_000):
            await ws.send(chunk)
        await until(lambda: server.hub.tally.n_frames > 100)
        stopping = asyncio.create_task(server.stop())
        heard = [message async for message in ws]
        assert HEARD[1] in str(heard[-1])
        assert ws.close_code == 1001
        await stopping


async def test_a_client_that_vanishes_leaves_nothing():
    async with serving() as server:
        async with raw_of(server.port) as raw:
            await raw.send(handshake("/vosk", None) + masked(PCM[:3200]))
            await raw.head()
            await raw.frame()
        await until(lambda: not server.connections)
        assert server.hub.n_sessions == 0


async def test_all_ports_open_or_none():
    async with serving() as server:
        other = Server(TONES, port=0, limits=Limits(), speech=SpeechOptions("tones", server.port))
        with pytest.raises(OSError):
            await other.start()
        assert other.speech_ports == {}
