"""Categories 1 to 5: framing, pings and pongs, reserved bits, reserved opcodes, fragments."""

from __future__ import annotations

from collections.abc import Iterator

from tests.server.conformance.cases import (
    BINARY,
    CONTINUED,
    PING,
    PONG,
    TEXT,
    Case,
    binaries,
    chopped,
    close,
    fragments,
    frame,
    texts,
)

SIZES = (0, 125, 126, 127, 128, 65535, 65536)
HELLO = b"Hello, world!"
HALVES = (frame(b"fragment1", fin=False), frame(b"fragment2", CONTINUED))
WHOLE = texts(b"fragment1fragment2")
PROTOCOL = 1002


def sizes() -> Iterator[Case]:
    """1: a message of each size of header; whole, in two pieces at each place of its head, and in small pieces."""
    for i, n_bytes in enumerate(SIZES, 1):
        yield Case(f"1.1.{i}", (frame(b"*" * n_bytes),), texts(b"*" * n_bytes))
        yield Case(f"1.2.{i}", (frame(b"\xfe" * n_bytes, BINARY),), binaries(b"\xfe" * n_bytes))
    yield Case("1.1.8", chopped(frame(b"*" * 65536), 997), texts(b"*" * 65536))
    yield Case("1.2.8", chopped(frame(b"\xfe" * 65536, BINARY), 997), binaries(b"\xfe" * 65536))
    for n_bytes in (0, 1, 125, 126, 200, 65536):
        stream = frame(b"\xfe" * n_bytes, BINARY)
        for cut in range(1, min(len(stream), 18)):
            parts = (stream[:cut], stream[cut:] + stream)
            yield Case(f"1.2 {n_bytes} bytes cut at {cut}", parts, binaries(b"\xfe" * n_bytes) * 2)
    for n_bytes in (124, 125, 126, 127, 65535, 65536):
        payload = bytes(range(256)) * (n_bytes // 256) + bytes(n_bytes % 256)
        at_once = frame(payload, BINARY) * 3
        yield Case(f"1.2 three of {n_bytes} at once", (at_once,), binaries(payload) * 3)
    long_form = b"\x82\xfe\x00\x05" + frame(b"12345", BINARY)[2:]
    yield Case("1.2 a size in a longer form than it needs", (long_form,), binaries(b"12345"))
    yield Case("1 not masked", (b"\x82\x05hello",), code=PROTOCOL)
    yield Case("1 not masked, behind a message", (frame(HELLO), b"\x82\x05hello"), texts(HELLO), code=PROTOCOL)


def pings() -> Iterator[Case]:
    """2: pings are answered with their payload, pongs are not answered."""
    payloads = {"2.1": b"", "2.2": HELLO, "2.3": b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", "2.4": b"\xfe" * 125}
    for number, payload in payloads.items():
        yield Case(number, (frame(payload, PING),), answered=(payload,))
    yield Case("2.5", (frame(b"\xfe" * 126, PING),), code=PROTOCOL)
    yield Case("2.6", chopped(frame(b"\xfe" * 125, PING)), answered=(b"\xfe" * 125,))
    yield Case("2.7", (frame(b"", PONG),))
    yield Case("2.8", (frame(b"unasked for", PONG),))
    yield Case("2.9", (frame(b"unasked for", PONG), frame(b"ping", PING)), answered=(b"ping",))
    ten = tuple(b"payload-%d" % i for i in range(10))
    stream = b"".join(frame(payload, PING) for payload in ten)
    yield Case("2.10", (stream,), answered=ten)
    yield Case("2.11", chopped(stream), answered=ten)
    yield Case("2 a pong of 126 bytes", (frame(b"x" * 126, PONG),), code=PROTOCOL)
    yield Case("2 pings between messages", (frame(HELLO) + stream + frame(HELLO),), texts(HELLO, HELLO), ten)


def reserved_bits() -> Iterator[Case]:
    """3: with no extension negotiated every reserved bit is an error; the first is that of a compressed message."""
    yield Case("3.1", (frame(HELLO, reserved=4),), code=PROTOCOL)
    three = (frame(HELLO), frame(HELLO, reserved=2), frame(b"", PING))
    yield Case("3.2", (b"".join(three),), texts(HELLO), code=PROTOCOL)
    yield Case("3.3", (three[0], frame(HELLO, reserved=3), three[2]), texts(HELLO), code=PROTOCOL)
    yield Case("3.4", chopped(three[0] + frame(HELLO, reserved=4) + three[2]), texts(HELLO), code=PROTOCOL)
    yield Case("3.5", (frame(b"\x00\xff" * 4, BINARY, reserved=5),), code=PROTOCOL)
    yield Case("3.6", (frame(HELLO, PING, reserved=6),), code=PROTOCOL)
    yield Case("3.7", (frame(b"\x03\xe8", 8, reserved=7),), code=PROTOCOL)
    for opcode in (CONTINUED, TEXT, BINARY, 8, PING, PONG):
        for bits in range(1, 8):
            begun = frame(b"x", fin=False) if opcode == CONTINUED else b""
            case = f"3 bits {bits} with opcode {opcode}"
            yield Case(case, (begun + frame(b"\x03\xe8", opcode, reserved=bits),), code=PROTOCOL)


def reserved_opcodes() -> Iterator[Case]:
    """4: opcodes that mean nothing."""
    for i, opcode in enumerate((3, 4, 5, 6, 7), 1):
        bad = frame(b"" if i in (1, 3) else HELLO, opcode)
        yield Case(
            f"4.1.{i}", (bad,) if i < 3 else (frame(HELLO), bad, frame(b"", PING)), texts(HELLO) * (i > 2), (), PROTOCOL
        )
    for i, opcode in enumerate((11, 12, 13, 14, 15), 1):
        bad = frame(b"" if i in (1, 3) else HELLO, opcode)
        yield Case(
            f"4.2.{i}", (bad,) if i < 3 else (frame(HELLO), bad, frame(b"", PING)), texts(HELLO) * (i > 2), (), PROTOCOL
        )
    for opcode in (3, 7, 11, 15):
        yield Case(f"4 {opcode} in pieces", chopped(frame(HELLO) + frame(HELLO, opcode)), texts(HELLO), (), PROTOCOL)


def fragmented() -> Iterator[Case]:
    """5: messages in fragments, control frames between them, and fragments out of order."""
    for number, opcode in (("5.1", PING), ("5.2", PONG)):
        yield Case(number, (frame(b"1", opcode, fin=False) + frame(b"2", CONTINUED),), code=PROTOCOL)
    ping = frame(b"ping", PING)
    yield Case("5.3", HALVES, WHOLE)
    yield Case("5.4", (b"".join(HALVES),), WHOLE)
    yield Case("5.5", chopped(b"".join(HALVES)), WHOLE)
    between = (HALVES[0], ping, HALVES[1])
    yield Case("5.6", between, WHOLE, (b"ping",))
    yield Case("5.7", (b"".join(between),), WHOLE, (b"ping",))
    yield Case("5.8", chopped(b"".join(between)), WHOLE, (b"ping",))
    for number, fin in (("5.9", True), ("5.12", False)):
        first, last = number.split(".")
        astray, hello = frame(b"non-continuation", CONTINUED, fin=fin), frame(HELLO)
        yield Case(number, (astray, hello), code=PROTOCOL)
        yield Case(f"{first}.{int(last) + 1}", (astray + hello,), code=PROTOCOL)
        yield Case(f"{first}.{int(last) + 2}", chopped(astray + hello), code=PROTOCOL)
    yield Case("5.15", (*HALVES, frame(b"3", CONTINUED, fin=False), frame(b"4")), WHOLE, (), PROTOCOL)
    for number, fin in (("5.16", False), ("5.17", True)):
        in_three = (frame(b"1", CONTINUED, fin=fin), frame(b"2", fin=False), frame(b"3", CONTINUED))
        yield Case(number, in_three * 2, code=PROTOCOL)
    yield Case("5.18", (HALVES[0], frame(b"fragment2")), code=PROTOCOL)
    five = [frame(b"1", fin=False), *(frame(b"%d" % i, CONTINUED, fin=i == 5) for i in range(2, 6))]
    mixed = (*five[:2], frame(b"one", PING), *five[2:4], frame(b"two", PING), five[4])
    yield Case("5.19", mixed, texts(b"12345"), (b"one", b"two"))
    yield Case("5.20", (b"".join(mixed),), texts(b"12345"), (b"one", b"two"))
    for size in (1, 2, 3, 7):
        stream = b"".join(fragments(HELLO, size, BINARY))
        yield Case(f"5 fragments of {size}", (stream,), binaries(HELLO))
        yield Case(f"5 fragments of {size} in pieces", chopped(stream, 3), binaries(HELLO))
    empty = frame(b"", BINARY, fin=False) + frame(b"", CONTINUED, fin=False) * 1000 + frame(HELLO, CONTINUED)
    yield Case("5 a thousand empty fragments", (empty,), binaries(HELLO))
    yield Case(
        "5 a binary message within another", (frame(b"1", BINARY, fin=False) + frame(b"2", BINARY),), code=PROTOCOL
    )
    yield Case("5 a close in fragments", (frame(b"\x03\xe8", 8, fin=False),), code=PROTOCOL)
    yield Case("5 a message behind fragments", (*HALVES, frame(HELLO)), (*WHOLE, *texts(HELLO)))
    yield Case("5 fragments twice", HALVES * 2, WHOLE * 2)
    yield Case("5 a close between fragments", (HALVES[0] + close(), HALVES[1]), is_closed_by_client=True)


def cases() -> Iterator[Case]:
    """All of them."""
    for category in (sizes, pings, reserved_bits, reserved_opcodes, fragmented):
        yield from category()
