"""Attacks with messages that are none, or that declare more than they hold: one message of legal size each."""

from __future__ import annotations

import struct

import msgspec

from benchmarks.attack.attack import attack
from benchmarks.attack.frames import opened
from benchmarks.attack.wire import TEXT, Wire, masked, told
from streamrnn.wire import messages as m
from streamrnn.wire.codec import JSON, MSGPACK

SIZE = 4 * 1024 * 1024 - 64
"""A little less than the largest message."""
MAX_U32 = 2**32 - 1
N_NESTED = 100_000


def text(word: str) -> bytes:
    """A short MessagePack string."""
    return bytes([0xA0 | len(word)]) + word.encode()


def array(n: int) -> bytes:
    """The head of a MessagePack array."""
    return b"\xdd" + struct.pack(">I", n)


def table(n: int) -> bytes:
    """The head of a MessagePack map."""
    return b"\xdf" + struct.pack(">I", n)


def filled(head: bytes, piece: bytes) -> bytes:
    """As many pieces as a message has room for."""
    return head + piece * ((SIZE - len(head)) // len(piece))


FRAMES = table(4) + text("type") + text("frames")
MSGPACK_BOMBS = {
    f"{N_NESTED} nested arrays": b"\x91" * N_NESTED,
    f"{N_NESTED} nested maps in a field": table(2) + text("type") + text("open") + text("model") + b"\x81" * N_NESTED,
    "array32 of 4 Gi entries": array(MAX_U32),
    "array32 of 4 Gi handles": FRAMES + text("handles") + array(MAX_U32),
    "bin32 of 4 GiB": table(4) + text("type") + text("frame") + text("payload") + b"\xc6" + struct.pack(">I", MAX_U32),
    "map32 of 4 Gi keys": table(MAX_U32),
    "a map of a million keys": filled(table(1_390_000), text("a") + b"\xc0"),
    "4 million handles": filled(FRAMES + text("handles") + array(SIZE - 60), b"\x01"),
    "a list of handles again and again": filled(table(64), text("handles") + array(65536) + bytes(65536)),
    "an extension of 4 MiB": b"\xc9" + struct.pack(">I", SIZE - 10) + b"\x05" + bytes(SIZE - 10),
    "a type of 4 MiB": table(1) + text("type") + b"\xdb" + struct.pack(">I", SIZE - 20) + b"x" * (SIZE - 20),
    "a list under an unknown key, 4 MiB": filled(table(2) + text("zz") + array(SIZE - 12), b"\xc0"),
}
JSON_BOMBS = {
    f"{N_NESTED} nested arrays": b'{"type":"close","handle":' + b"[" * N_NESTED,
    f"{N_NESTED} nested objects": b'{"a":' * N_NESTED,
    "a number of 4 million digits": b'{"type":"close","handle":' + b"1" * (SIZE - 40) + b"}",
    "an exponent of 4 million digits": filled(b'{"type":"generate","n":1,"temperature":1e', b"9"),
    "2 million handles": filled(b'{"type":"frames","handles":[', b"1,") + b"1]}",
    "a list of handles again and again": filled(b'{"type":"frames"', b',"handles":[' + b"1," * 65535 + b"1]"),
    "a payload of 4 MiB that is no base64": filled(b'{"type":"frame","payload":"', b"!") + b'"}',
    "escapes, 4 MiB": filled(b'{"type":"', b"\\u0041") + b'"}',
    "spaces, 4 MiB": b" " * SIZE,
}


TOO_LARGE = frozenset({"a type of 4 MiB", "a number of 4 million digits", "2 million handles", "escapes, 4 MiB"})
"""Whole messages, of which too much is not payload; the others cannot be read."""


def enter(kind: str, name: str, bomb: bytes) -> None:
    """Enter one bomb as an attack."""
    protocol, first = (JSON, 0x80 | TEXT) if kind == "json" else (MSGPACK, 0x82)

    @attack(f"{kind}: {name}", "too_large, close 1009" if name in TOO_LARGE else "malformed, close 1007")
    def throw(port: int) -> str:
        with Wire(port, protocol) as wire:
            wire.send(masked(bomb, first))
            return told(wire.hear_end())


for _name, _bomb in MSGPACK_BOMBS.items():
    enter("msgpack", _name, _bomb)
for _name, _bomb in JSON_BOMBS.items():
    enter("json", _name, _bomb)


@attack("`frames` of 65,536 handles", "too_large, close 1009")
def many_handles(port: int) -> str:
    """Send the largest batch that the schema allows."""
    n = 65536
    plain = {"type": "frames", "handles": [2**31 - 1] * n, "seqs": [2**53 - 1] * n, "payload": bytes(n)}
    with opened(port) as wire:
        wire.send(masked(msgspec.msgpack.encode(plain)))
        return told(wire.hear_end())


@attack("`frames` of 4096 handles that are not open, 10 messages", "unknown_session x 40960, ack", most=2)
def unknown_handles(port: int) -> str:
    """Have thousands of errors answered for a few bytes each."""
    with opened(port) as wire:
        wire.say(*[m.Frames(list(range(100, 4196)), [0] * 4096, b"")] * 10, m.Flush(1))
        return told(wire.hear(lambda message: isinstance(message, m.Ack)))
