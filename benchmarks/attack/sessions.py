"""Attacks with legal messages: sessions, snapshots, decoders and generations beyond what one client should have."""

from __future__ import annotations

import hashlib
import json
import struct
from collections import Counter
from typing import Any

from benchmarks.attack.attack import attack
from benchmarks.attack.frames import opened
from benchmarks.attack.wire import CODEC, Wire, masked, told
from streamrnn.wire import messages as m

MIB = 1024 * 1024
N_PER_CONNECTION = 1024
N_SLOTS = 1020
"""`max_sessions` less the watcher's."""


def hear_n(wire: Wire, n: int) -> Counter[str]:
    """The next n messages."""
    left = n

    def is_last(_: Any) -> bool:
        nonlocal left
        left -= 1
        return left == 0

    return wire.hear(is_last)


@attack(
    "`open` flood: 1200 sessions on each of 2 connections", f"opened x {N_SLOTS}, at_capacity x {2400 - N_SLOTS}", 3
)
def open_flood(port: int) -> str:
    """Take every slot there is, on several connections."""
    with Wire(port) as one, Wire(port) as other:
        seen: Counter[str] = Counter()
        for wire in (one, other):
            wire.say(*(m.Open(handle, "net") for handle in range(1200)))
            seen += hear_n(wire, 1200)
        return told(seen)


@attack("`open` and `close` in a loop: 5000", "opened x 5000, closed x 5000", 3)
def open_close(port: int) -> str:
    """Open and close as fast as it goes."""
    pair = b"".join(masked(CODEC.encode(message)) for message in (m.Open(1, "net"), m.Close(1)))
    with Wire(port) as wire:
        for _ in range(5):
            wire.send(pair * 1000)
        return told(hear_n(wire, 10_000))


def hash_walk() -> list[str]:
    """Words that share no beginnings, so that a tree of their letters is as large as it can be."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return ["".join(letters[b % 26] for b in hashlib.shake_128(str(i).encode()).digest(600)) for i in range(100)]


DECODERS: dict[str, tuple[Any, str]] = {
    "a tree of 60,000 letters": (
        {"kind": "ctc", "input": "logit", "beam": 4, "word_separator": " ", "words": hash_walk(), "endpoint": None},
        "opened",
    ),
    "of 65,536 nested arrays": ("[" * 65536, "bad_option"),
    "of a beam of 10^9": ({"kind": "ctc", "beam": 10**9, "endpoint": None}, "bad_option"),
    "of 1,000 speakers": (
        {"kind": "speakers", "enrolled": {f"s{i}": [1.0] * 11 for i in range(1000)}},
        "bad_option",
    ),
}
WHOLE = {"opened": "opened x 20", "bad_option": "bad_option x 20"}


def enter(name: str, settings: Any, answer: str) -> None:
    """Enter one kind of settings as an attack."""
    plain = settings if isinstance(settings, str) else json.dumps(settings)

    @attack(f"decoder {name}, 20 sessions", WHOLE[answer], 5)
    def ask(port: int) -> str:
        with Wire(port) as wire:
            wire.say(*(m.Open(handle, "char", decoder=plain) for handle in range(20)))
            return told(hear_n(wire, 20))


for _name, (_settings, _answer) in DECODERS.items():
    enter(_name, _settings, _answer)


@attack("a decoder of more than 64 KiB", "malformed, close 1007")
def long_decoder(port: int) -> str:
    """Send settings that are too long."""
    with Wire(port) as wire:
        wire.say(m.Open(1, "char", decoder=" " * 65537))
        return told(wire.hear_end())


def forged(digest: str, n_decoder: int, n_payload: int) -> bytes:
    """A snapshot whose checksum is right and whose sizes are not."""
    head = struct.pack("<8sHH32sQQHII", b"SRNNSNAP", 1, 1, bytes.fromhex(digest), 0, 0, 1, n_decoder, n_payload)
    body = head + b"x" + bytes(n_decoder + n_payload)
    return body + hashlib.blake2b(body, digest_size=16).digest()


@attack("`restore` of forged snapshots of 4 MiB: 5", "bad_snapshot x 5", 5)
def large_restore(port: int) -> str:
    """Send states that no session of the model has, under a right checksum."""
    with Wire(port) as wire:
        wire.say(m.Open(9, "net"))
        digest = wire.answer().digest
        sizes = [(0, 4 * MIB - 400), (4 * MIB - 400, 0)]
        blobs = [forged(digest, *sizes[i % 2]) for i in range(5)]
        wire.say(*(m.Restore(i, blob) for i, blob in enumerate(blobs)))
        return told(hear_n(wire, 5))


@attack("`restore` of 2000 broken snapshots", "bad_snapshot x 2000", 3)
def broken_restore(port: int) -> str:
    """Send what is no snapshot."""
    with Wire(port) as wire:
        wire.say(*[m.Restore(1, b"SRNNSNAP" + bytes(200))] * 2000)
        return told(hear_n(wire, 2000))


@attack("`snapshot`, `restore` in a loop: 500 copies of a session", "opened x 500", 3)
def copies(port: int) -> str:
    """Copy a session, again and again."""
    with opened(port) as wire:
        wire.say(m.Snapshot(1))
        blob = wire.answer().payload
        wire.say(*(m.Restore(2 + i, blob) for i in range(500)))
        return told(hear_n(wire, 500))


@attack("`generate` of 65,536 tokens", "opened, output, bad_option")
def large_generate(port: int) -> str:
    """Ask for more tokens than may be unanswered."""
    with Wire(port) as wire:
        wire.say(m.Open(1, "char", decoder='{"kind":"sampler","input":"logit"}'))
        wire.say(m.Frame(1, 0, struct.pack("<f", 1.0)), m.Flush(1), m.Generate(1, 1, 65536))
        seen = hear_n(wire, 4)
        del seen["ack"]
        return told(seen)


@attack("`generate` of a whole window and `flush`: 50 sessions", "ack x 50", 3)
def generate_flush(port: int) -> str:
    """Have all tokens drawn before anybody else is served."""
    with Wire(port) as wire:
        for handle in range(50):
            wire.say(m.Open(handle, "char", decoder='{"kind":"sampler","input":"logit"}'))
            wire.say(m.Frame(handle, 0, struct.pack("<f", 1.0)), m.Generate(handle, 1, 250), m.Flush(handle))
        n_acks = 0

        def is_last(message: Any) -> bool:
            nonlocal n_acks
            n_acks += isinstance(message, m.Ack)
            return n_acks == 50

        seen = wire.hear(is_last)
        return told(Counter({word: n for word, n in seen.items() if word not in ("opened", "output")}))


@attack("decoder of a beam of 100, 200 sessions in step", "each frame answered", 1)
def beams(port: int) -> str:
    """Have the most done for each frame that a client can ask for."""
    decoder = '{"kind":"ctc","input":"logit","beam":100,"endpoint":null}'
    xs = [struct.pack("<f", float(i * 7 % 65)) for i in range(8)]
    n_left = 200 * len(xs)

    def is_last(message: Any) -> bool:
        nonlocal n_left
        n_left -= message.n if isinstance(message, m.Output) else 0
        return n_left == 0 or isinstance(message, m.Error)

    with Wire(port) as wire:
        wire.say(*(m.Open(handle, "char", decoder=decoder) for handle in range(200)))
        hear_n(wire, 200)
        wire.say(*(m.Frame(handle, seq, x) for seq, x in enumerate(xs) for handle in range(200)))
        seen = wire.hear(is_last, 30.0)
        return "each frame answered" if n_left == 0 else told(seen)


@attack("a frame flood: 20,000 frames on one session, 1024 may wait", "each frame answered", 3)
def frame_flood(port: int) -> str:
    """Send far more than is taken, without waiting."""
    n = 20_000
    payload = bytes(4 * 64)
    answered = 0

    def is_last(message: Any) -> bool:
        nonlocal answered
        if isinstance(message, m.Output):
            answered += message.n
        elif isinstance(message, m.Error):
            answered += 1
        return answered >= n or isinstance(message, m.Closed)

    with opened(port) as wire:
        wire.say(*(m.Frame(1, seq, payload) for seq in range(n)))
        seen = wire.hear(is_last)
        return "each frame answered" if answered == n else told(seen)
