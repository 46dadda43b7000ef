"""Both shells over `wss:`, through a proxy that ends TLS before a real server."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import numpy as np
import pytest
from streamrnn_client import ConnectError

from tests.client.conftest import LocalServer
from tests.client.shells import Shell
from tests.client.test_sessions import WANT, XS

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, and its key beside it."""
    made = tmp_path_factory.mktemp("tls") / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(made.with_suffix(".key")), "-out", str(made)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return made


async def proxied(server: LocalServer, certificate: Path) -> asyncio.Server:
    """Listen with TLS, and pass everything on to the server."""
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(certificate, certificate.with_suffix(".key"))

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up = await asyncio.open_connection("127.0.0.1", server.server.port)
        await asyncio.gather(pump(reader, up[1]), pump(up[0], writer))

    return await asyncio.start_server(accept, "127.0.0.1", 0, ssl=secure)


async def test_a_stream_over_tls(shell: Shell, server: LocalServer, certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    proxy = await proxied(server, certificate)
    async with proxy:
        url = f"wss://localhost:{proxy.sockets[0].getsockname()[1]}"
        async with shell.connect(url, ssl=trusting) as client:
            session = await client.open("vad")
            ys = [output.y async for output in session.stream(XS, window=40, chunk=4)]
            assert np.array_equal(np.stack(ys), WANT["vad"])
            snapshot = await session.snapshot()
            again = await client.restore(snapshot)
            assert again.next_seq == len(XS)
        with pytest.raises(ConnectError, match="certificate"):
            await shell.connect(url)
