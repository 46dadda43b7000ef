"""Attacks before there is a websocket, and by many of them."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import Counter

from benchmarks.attack.attack import attack
from benchmarks.attack.wire import PATIENCE_S, Wire, handshake, told
from streamrnn.wire import messages as m

N_SLOW = 200
N_SILENT = 500
N_FLOOD = 300
N_PLACES = 252
"""`max_connections` less the watcher's."""


@attack(f"slowloris: {N_SLOW} handshakes, a byte at a time", f"dropped x {N_SLOW}", most=1)
def slowloris(port: int) -> str:
    """Send the bytes of a handshake so slowly that it is not complete in time."""
    wires = [Wire(port, None) for _ in range(N_SLOW)]
    for byte in handshake()[:60]:
        for wire in wires:
            with contextlib.suppress(OSError):
                wire.plug.send(bytes([byte]))
        time.sleep(0.03)
    return dropped(wires)


def dropped(wires: list[Wire]) -> str:
    """How many were dropped without a word."""
    seen: Counter[str] = Counter()
    for wire in wires:
        with wire:
            answer = told(wire.hear_end())
            seen["dropped" if answer in ("end", "reset") else answer] += 1
    return told(seen)


@attack(f"silence: {N_SILENT} TCP connections, nothing sent", f"dropped x {N_SILENT}", most=1)
def silence(port: int) -> str:
    """Connect, and say nothing."""
    return dropped([Wire(port, None) for _ in range(N_SILENT)])


@attack("handshake head without end: headers", "HTTP 431")
def endless_headers(port: int) -> str:
    """Send header after header."""
    with Wire(port, None) as wire:
        wire.send(b"GET / HTTP/1.1\r\n" + b"X-Header: again\r\n" * 100_000)
        return wire.head()


@attack("handshake head without end: one line", "HTTP 431")
def endless_line(port: int) -> str:
    """Send a header line that does not end."""
    with Wire(port, None) as wire:
        wire.send(b"GET / HTTP/1.1\r\nX-Header: " + b"a" * 2_000_000)
        return wire.head()


@attack(f"websockets that never answer pings: {N_SLOW}", f"ping, close 1011 x {N_SLOW}", most=1)
def deaf(port: int) -> str:
    """Make the handshake, and answer nothing."""
    seen: Counter[str] = Counter()
    wires = [Wire(port) for _ in range(N_SLOW)]
    for wire in wires:
        with wire:
            wire.is_deaf = True
            seen[told(wire.hear_end())] += 1
    return told(seen)


@attack(
    f"connection flood: {N_FLOOD} at once, {N_PLACES} places",
    f"HTTP 101 x {N_PLACES}, HTTP 503 x {N_FLOOD - N_PLACES}",
    2,
)
def flood(port: int) -> str:
    """Open more websockets than are taken."""
    wires = [Wire(port, None) for _ in range(N_FLOOD)]
    for wire in wires:
        wire.send(handshake())
    seen = Counter(wire.head() for wire in wires)
    for wire in wires:
        wire.plug.close()
    return told(Counter(dict(sorted(seen.items()))))


@attack("connect and close: 200 in a row, with a session each", "opened x 200", most=3)
def churn(port: int) -> str:
    """Come, open a session, and vanish."""
    seen: Counter[str] = Counter()
    for _ in range(200):
        with Wire(port) as wire:
            wire.say(m.Open(1, "net"))
            seen += wire.hear(lambda _: True)
    return told(seen)


@attack("half-closed sockets: 100", "end x 100", most=3)
def half_closed(port: int) -> str:
    """Say that nothing more will be sent, and wait."""
    seen: Counter[str] = Counter()
    wires = [Wire(port) for _ in range(100)]
    for wire in wires:
        wire.plug.shutdown(socket.SHUT_WR)
    for wire in wires:
        with wire:
            seen += wire.hear_end(PATIENCE_S)
    return told(seen)
