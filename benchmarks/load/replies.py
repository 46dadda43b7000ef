"""Reads a server's messages where they lie in the receive buffer: compiled, and without an object for any of them.

Only what the generator needs is taken out of a message: its type, handles, seqs, the place of its payload, the code of
an error. Keys and types are told apart by their length and first and last letters (`mark`); a test holds that this
is unambiguous for every message of the schema.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.load.compiling import compiled
from benchmarks.load.system import as_int

OTHER, OUTPUT, OUTPUTS, SKIPPED, ERROR, FRAME, FRAMES = range(7)
"""Kinds of messages; an echo answers with `FRAME` and `FRAMES`, perhaps cut short."""

N_FIELDS = 12
KIND, HANDLE, SEQ, N, EXPECTED, PAYLOAD_AT = range(6)
PAYLOAD_BYTES, HANDLES_AT, SEQS_AT, N_COLUMNS, CODE_AT, CODE_BYTES = range(6, N_FIELDS)
ABSENT = -1


def mark(word: str) -> int:
    """Length, first and last letter of a key or type as one number."""
    return len(word) << 16 | ord(word[0]) << 8 | ord(word[-1])


_TYPE, _HANDLE, _HANDLES, _SEQ, _SEQS = (mark(key) for key in ("type", "handle", "handles", "seq", "seqs"))
_N, _PAYLOAD, _CODE, _EXPECTED = (mark(key) for key in ("n", "payload", "code", "expected_seq"))
_OUTPUT, _OUTPUTS, _SKIPPED, _ERROR = (mark(kind) for kind in ("output", "outputs", "skipped", "error"))
_FRAME, _FRAMES = mark("frame"), mark("frames")


@compiled
def _big_endian(data: Any, at: int, n: int) -> int:
    value: int = as_int(0)
    for i in range(n):
        value = value << 8 | as_int(data[at + i])
    return value


@compiled
def read_int(data: Any, at: int) -> tuple[int, int]:
    """An integer in any of msgpack's forms, and where it ends."""
    tag = as_int(data[at])
    if tag < 0x80:
        return tag, at + 1
    if tag >= 0xE0:
        return tag - 256, at + 1
    if 0xCC <= tag <= 0xCF:
        n = 1 << (tag - 0xCC)
        return _big_endian(data, at + 1, n), at + 1 + n
    if 0xD0 <= tag <= 0xD3:
        n = 1 << (tag - 0xD0)
        value = _big_endian(data, at + 1, n)
        if n < 8 and value >> (8 * n - 1):
            value -= 1 << (8 * n)
        return value, at + 1 + n
    raise ValueError("expected an integer in msgpack")


@compiled
def read_span(data: Any, at: int) -> tuple[int, int]:
    """Where the bytes of a string or binary value begin, and how many they are."""
    tag = as_int(data[at])
    if 0xA0 <= tag <= 0xBF:
        return at + 1, tag - 0xA0
    if 0xC4 <= tag <= 0xC6:
        n = 1 << (tag - 0xC4)
        return at + 1 + n, _big_endian(data, at + 1, n)
    if 0xD9 <= tag <= 0xDB:
        n = 1 << (tag - 0xD9)
        return at + 1 + n, _big_endian(data, at + 1, n)
    raise ValueError("expected a string or bytes in msgpack")


@compiled
def read_count(data: Any, at: int) -> tuple[int, int]:
    """How many items an array or a map has (a pair is one), and where the first begins."""
    tag = as_int(data[at])
    if 0x80 <= tag <= 0x9F:
        return tag & 0x0F, at + 1
    if 0xDC <= tag <= 0xDF:
        n = 4 if tag & 1 else 2
        return _big_endian(data, at + 1, n), at + 1 + n
    raise ValueError("expected an array or a map in msgpack")


@compiled
def skip(data: Any, at: int) -> int:
    """Where the value that begins at `at` ends, with all that it holds."""
    n_left = 1
    while n_left:
        n_left -= 1
        tag = as_int(data[at])
        if tag < 0x80 or tag >= 0xE0 or 0xC0 <= tag <= 0xC3:
            at += 1
        elif tag <= 0x9F or tag >= 0xDC:
            n, at = read_count(data, at)
            n_left += n if (0x90 <= tag <= 0x9F or 0xDC <= tag <= 0xDD) else 2 * n
        elif 0xCC <= tag <= 0xD3:
            at += 1 + (1 << ((tag - 0xCC) & 3))
        elif 0xCA <= tag <= 0xCB:
            at += 5 if tag == 0xCA else 9
        else:
            start, n = read_span(data, at)
            at = start + n
    return at


@compiled
def _mark_at(data: Any, at: int, n: int) -> int:
    found: int = n << 16 | as_int(data[at]) << 8 | as_int(data[at + n - 1])
    return found


@compiled
def _kind_of(found: int) -> int:
    if found == _OUTPUT:
        return OUTPUT
    if found == _OUTPUTS:
        return OUTPUTS
    if found == _ERROR:
        return ERROR
    if found == _SKIPPED:
        return SKIPPED
    if found == _FRAME:
        return FRAME
    return FRAMES if found == _FRAMES else OTHER


@compiled
def parse(data: Any, at: int, fields: Any) -> None:
    """Read the message that begins at `at` of `data` (uint8) into `fields` ((12,) int64); what it lacks is `ABSENT`.

    The reply of an echo is read as far as its payload, behind which it may be cut short or filled up.
    """
    fields[:] = ABSENT
    fields[N] = 1
    n_pairs, at = read_count(data, at)
    for _ in range(n_pairs):
        start, n = read_span(data, at)
        key = _mark_at(data, start, n)
        at = start + n
        if key == _TYPE:
            start, n = read_span(data, at)
            fields[KIND] = _kind_of(_mark_at(data, start, n))
            at = start + n
        elif key == _HANDLE:
            fields[HANDLE], at = _read_optional(data, at)
        elif key == _SEQ:
            fields[SEQ], at = _read_optional(data, at)
        elif key == _N:
            fields[N], at = read_int(data, at)
        elif key == _EXPECTED:
            fields[EXPECTED], at = _read_optional(data, at)
        elif key == _PAYLOAD:
            fields[PAYLOAD_AT], fields[PAYLOAD_BYTES] = read_span(data, at)
            at = fields[PAYLOAD_AT] + fields[PAYLOAD_BYTES]
            if fields[KIND] == FRAME or fields[KIND] == FRAMES:
                return
        elif key == _HANDLES:
            fields[N_COLUMNS], fields[HANDLES_AT] = read_count(data, at)
            at = skip(data, at)
        elif key == _SEQS:
            fields[SEQS_AT] = read_count(data, at)[1]
            at = skip(data, at)
        elif key == _CODE:
            fields[CODE_AT], fields[CODE_BYTES] = read_span(data, at)
            at = fields[CODE_AT] + fields[CODE_BYTES]
        else:
            at = skip(data, at)


@compiled
def _read_optional(data: Any, at: int) -> tuple[int, int]:
    if data[at] == 0xC0:
        return ABSENT, at + 1
    return read_int(data, at)  # type: ignore[no-any-return]


def parsed(message: bytes) -> NDArray[np.int64]:
    """The fields of one message, for tests and rare use."""
    fields = np.empty(N_FIELDS, np.int64)
    parse(np.frombuffer(message, np.uint8).copy(), 0, fields)
    return fields
