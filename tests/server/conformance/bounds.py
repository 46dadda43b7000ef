"""Categories 9 and 10: sizes up to the limit and beyond it, small fragments, small packets, many messages."""

from __future__ import annotations

from collections.abc import Iterator

from tests.server.conformance.cases import BINARY, CONTINUED, TEXT, Case, binaries, chopped, fragments, frame, texts

MIB = 2**20
LIMIT = 4 * MIB
TOO_LARGE = 1009
N_TRIPS = 1000
ABOVE = "the limit of a message is 4 MiB here"


def cases() -> Iterator[Case]:
    """All of them."""
    for major, opcode, echo in (("9.1", TEXT, texts), ("9.2", BINARY, binaries)):
        for i, n_bytes in enumerate((64 * 1024, 256 * 1024, MIB, LIMIT), 1):
            yield Case(f"{major}.{i}", (frame(b"*" * n_bytes, opcode),), echo(b"*" * n_bytes))
        for i, n_bytes in ((5, 8 * MIB), (6, 16 * MIB)):
            yield Case(f"{major}.{i}", (frame(b"*" * n_bytes, opcode),), code=TOO_LARGE, why=ABOVE)
    for major, opcode, echo in (("9.3", TEXT, texts), ("9.4", BINARY, binaries)):
        for i, size in enumerate((64, 256, 1024, 4096, 16384, 65536, 262144, MIB, LIMIT), 1):
            stream = b"".join(fragments(b"*" * LIMIT, size, opcode))
            yield Case(f"{major}.{i}", (stream,), echo(b"*" * LIMIT))
    for major, opcode, echo in (("9.5", TEXT, texts), ("9.6", BINARY, binaries)):
        for i, size in enumerate((64, 128, 256, 512, 1024, 2048), 1):
            n_bytes = size * 1024  # a thousand packets each, where Autobahn sends a MiB
            yield Case(f"{major}.{i}", chopped(frame(b"*" * n_bytes, opcode), size), echo(b"*" * n_bytes))
    for major, opcode, echo in (("9.7", TEXT, texts), ("9.8", BINARY, binaries)):
        for i, n_bytes in enumerate((0, 16, 64, 256, 1024, 4096), 1):
            payload = b"*" * n_bytes
            yield Case(f"{major}.{i}", (frame(payload, opcode) * N_TRIPS,), echo(*[payload] * N_TRIPS))
    yield Case("10.1.1", chopped(frame(b"*" * 65536), 1300), texts(b"*" * 65536))
    head = frame(b"*" * (LIMIT + 1), BINARY)[:14]
    yield Case("9 one byte too many, by its head alone", (head,), code=TOO_LARGE)
    yield Case("9 the largest size there is", (b"\x82\xff" + b"\x7f" + b"\xff" * 7,), code=TOO_LARGE)
    yield Case("9 the highest bit of a size", (b"\x82\xff" + b"\xff" * 8,), code=TOO_LARGE)
    halves = frame(b"*" * LIMIT, BINARY, fin=False) + frame(b"!", CONTINUED)
    yield Case("9 one byte too many, in fragments", (halves,), code=TOO_LARGE)
