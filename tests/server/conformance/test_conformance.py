"""The websocket protocol, case by case, over TCP: the cases have the numbers of Autobahn's testsuite."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator

import pytest
import uvloop

from streamrnn.server.transports import TRANSPORTS
from tests.server.clients import handshake
from tests.server.conformance import bounds, closing, framing, utf8
from tests.server.conformance.cases import Case
from tests.server.conformance.player import echoing, play

CASES = [*framing.cases(), *utf8.cases(), *closing.cases(), *bounds.cases()]
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="module", params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    """What the server's connections stand on."""
    return str(request.param)


@pytest.fixture(scope="module", params=LOOPS)
def port(request: pytest.FixtureRequest, transport: str) -> Iterator[int]:
    """Port of a server that echoes."""
    with echoing(transport, LOOPS[request.param]) as bound:
        yield bound


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_case(case: Case, port: int) -> None:
    messages, pongs, payload = play(case, port)
    assert messages == list(case.echoed)
    assert pongs == list(case.answered)
    assert payload is not None
    code = int.from_bytes(payload[:2], "big") if payload else None
    assert code == case.code
    payload[2:].decode()
    assert len(payload) <= 125


def test_every_case_has_its_own_number() -> None:
    assert [number for number, n in Counter(case.number for case in CASES).items() if n > 1] == []


def test_no_extension_is_accepted(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as plug:
        plug.sendall(handshake(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits"))
        head = plug.recv(65536)
    assert b" 101 " in head and b"extensions" not in head.lower()
