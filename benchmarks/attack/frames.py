"""Attacks with websocket frames, whatever they carry."""

from __future__ import annotations

import random
import time
from collections import Counter

from benchmarks.attack.attack import attack
from benchmarks.attack.wire import BINARY, CODEC, PING, PONG, Wire, masked, told
from streamrnn.wire import messages as m

N_TINY = 40_000
FIN, RSV1, CONT = 0x80, 0x40, 0
MIB = 1024 * 1024
FLUSH = masked(CODEC.encode(m.Flush(1)))


def opened(port: int) -> Wire:
    """A connection with a session under handle 1."""
    wire = Wire(port)
    wire.say(m.Open(1, "net"))
    wire.hear(lambda message: isinstance(message, m.Opened))
    return wire


@attack(f"{N_TINY} tiny messages in one buffer", f"ack x {N_TINY}", most=3)
def tiny(port: int) -> str:
    """Send valid messages, all at once."""
    n_left = N_TINY

    def is_last(_: object) -> bool:
        nonlocal n_left
        n_left -= 1
        return n_left == 0

    with opened(port) as wire:
        wire.send(FLUSH * N_TINY)
        return told(wire.hear(is_last))


@attack(f"{N_TINY} tiny frames of garbage in one buffer", "malformed, close 1007")
def garbage(port: int) -> str:
    """Send what is no message, all at once."""
    with opened(port) as wire:
        wire.send(masked(b"\xc1") * N_TINY)
        return told(wire.hear_end())


@attack("random bytes after the handshake, 1 MiB", "close 1002")
def noise(port: int) -> str:
    """Send no frames at all."""
    with opened(port) as wire:
        wire.send(b"\xf7" + random.Random(1).randbytes(MIB))
        return told(wire.hear_end())


@attack(f"ping flood: {N_TINY}, and the pongs are read", f"pong x {N_TINY}, ack", most=3)
def pings(port: int) -> str:
    """Ping as fast as it goes."""
    with opened(port) as wire:
        wire.send(masked(b"", FIN | PING) * N_TINY + FLUSH)
        return told(wire.hear(lambda message: isinstance(message, m.Ack)))


@attack("ping flood: the pongs are not read", "reset", most=2)
def unread_pings(port: int) -> str:
    """Ping with the most that a ping may carry, and read nothing."""
    ping = masked(bytes(125), FIN | PING) * 1000
    with opened_small(port) as wire:
        return pushed(wire, ping, 400)


def opened_small(port: int) -> Wire:
    """As `opened`, with a receive buffer that is soon full."""
    wire = Wire(port, inbox_bytes=4096)
    wire.say(m.Open(1, "net"))
    wire.hear(lambda message: isinstance(message, m.Opened))
    return wire


def pushed(wire: Wire, chunk: bytes, n: int) -> str:
    """Send a chunk n times without reading; how that ended."""
    wire.plug.settimeout(5)
    for _ in range(n):
        try:
            wire.plug.sendall(chunk)
        except ConnectionError:
            return "reset"
        except TimeoutError:
            return "not read any more"
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:  # what it has read it still has to answer
        time.sleep(0.01)
        try:
            wire.plug.sendall(masked(b"", FIN | PONG))
        except ConnectionError:
            return "reset"
    return "all was taken"


@attack("a fragmented message without end", "too_large, close 1009")
def endless_fragments(port: int) -> str:
    """Send fragment after fragment, far beyond the largest message."""
    with opened(port) as wire:
        wire.send(masked(bytes(1000), BINARY) + masked(bytes(1000), CONT) * 6000)
        return told(wire.hear_end())


@attack("a fragmented message never finished: 100 connections", "ping, close 1011 x 100", most=1)
def unfinished(port: int) -> str:
    """Begin a message, send 256 KiB of it, and fall silent."""
    wires = [Wire(port) for _ in range(100)]
    for wire in wires:
        wire.send(masked(bytes(256 * 1024), BINARY))
    seen: Counter[str] = Counter()
    for wire in wires:
        with wire:
            wire.is_deaf = True
            seen[told(wire.hear_end())] += 1
    return told(seen)


@attack(f"{N_TINY} empty fragments", "malformed, close 1007")
def empty_fragments(port: int) -> str:
    """Continue a message by nothing, again and again."""
    with opened(port) as wire:
        wire.send(masked(b"", BINARY) + masked(b"", CONT) * N_TINY + masked(b"\xc1", FIN | CONT))
        return told(wire.hear_end())


@attack("a compressed frame (RSV1)", "close 1002")
def compressed(port: int) -> str:
    """Send what was never negotiated."""
    with opened(port) as wire:
        wire.send(masked(bytes(1000), FIN | RSV1 | BINARY))
        return told(wire.hear_end())


@attack("an unmasked frame", "close 1002")
def unmasked(port: int) -> str:
    """Leave out the mask."""
    with opened(port) as wire:
        wire.send(masked(bytes(1000), mask=0))
        return told(wire.hear_end())


@attack("a frame that declares 2^62 bytes", "too_large, close 1009")
def declared(port: int) -> str:
    """Declare what nobody has."""
    with opened(port) as wire:
        wire.send(masked(bytes(1000), n_bytes=2**62))
        return told(wire.hear_end())


@attack("a frame of 5 MiB", "too_large, close 1009")
def oversized(port: int) -> str:
    """Send more than is taken in one message."""
    with opened(port) as wire:
        wire.send(masked(bytes(5 * MIB)))
        return told(wire.hear_end())


@attack("a slow reader: snapshots asked for and not read", "reset", most=2)
def unread_answers(port: int) -> str:
    """Ask for more than is read."""
    with opened_small(port) as wire:
        return pushed(wire, masked(CODEC.encode(m.Snapshot(1))) * 1000, 100)
