"""Category 6: text is UTF-8 (RFC 3629), however it is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.server.conformance.cases import BINARY, CONTINUED, TEXT, Case, binaries, chopped, fragments, frame, texts

INVALID = 1007
GREEK = "κόσμε".encode()
MIXED = "Hello-µ@ßöäüàá-UTF-8!!".encode()
EDITED = b"edited"
SURROGATE = b"\xed\xa0\x80"
LATE = "Autobahn fails here as soon as it can be told, which the RFC allows; here it is told at the end of the message"


def utf8(code: int, n_bytes: int) -> bytes:
    """The bit pattern of UTF-8 for `code` in `n_bytes` bytes, whether it is allowed or not."""
    if n_bytes == 1:
        return bytes([code])
    lead = (0xFF00 >> n_bytes) & 0xFF
    tail = [0x80 | (code >> 6 * i) & 0x3F for i in reversed(range(n_bytes - 1))]
    return bytes([lead | code >> 6 * (n_bytes - 1), *tail])


FIRST = [utf8(0, 1), utf8(0x80, 2), utf8(0x800, 3), utf8(0x10000, 4)]
LAST = [utf8(0x7F, 1), utf8(0x7FF, 2), utf8(0xFFFF, 3), utf8(0x10FFFF, 4)]
LONGER = [utf8(0x200000, 5), utf8(0x4000000, 6)]
BEYOND = [utf8(0x1FFFFF, 4), utf8(0x3FFFFFF, 5), utf8(0x7FFFFFFF, 6)]
EDGES = [utf8(0xD7FF, 3), utf8(0xE000, 3), utf8(0xFFFD, 3), utf8(0x10FFFF, 4)]
LONELY_TAILS = [b"\x80", b"\xbf", *((b"\x80\xbf" * 3)[:n] for n in range(2, 7)), bytes(range(0x80, 0xC0))]
LEADS = ((0xC0, 0xE0), (0xE0, 0xF0), (0xF0, 0xF8), (0xF8, 0xFC), (0xFC, 0xFE))
LONELY_LEADS = [b"".join(bytes([lead, 0x20]) for lead in range(*leads)) for leads in LEADS]
CUT_SHORT = [
    *(utf8(0, n)[:-1] for n in range(2, 7)),
    *(utf8((1 << 5 * n + 1) - 1, n)[:-1] for n in range(2, 7)),
]
SLASHES = [utf8(0x2F, n) for n in range(2, 7)]
OVERLONG = [utf8(0x7F, 2), utf8(0x7FF, 3), utf8(0xFFFF, 4), utf8(0x1FFFFF, 5), utf8(0x3FFFFFF, 6)]
NULS = [utf8(0, n) for n in range(2, 7)]
SINGLES = [utf8(code, 3) for code in (0xD800, 0xDB7F, 0xDB80, 0xDBFF, 0xDC00, 0xDF80, 0xDFFF)]
PAIRS = [utf8(high, 3) + utf8(low, 3) for high in (0xD800, 0xDB7F, 0xDB80, 0xDBFF) for low in (0xDC00, 0xDFFF)]
NO_CHARACTERS = [utf8(plane << 16 | 0xFFFE | i, 3 + (plane > 0)) for plane in range(17) for i in range(2)]
SPECIALS = [utf8(code, 3) for code in range(0xFFF9, 0x10000)]

TABLE: Sequence[tuple[str, bool, Sequence[bytes]]] = (
    ("6.5 valid", True, [b"hello\x24world", *("hello%sworld".replace("%s", one).encode() for one in "¢€𤭢"), GREEK]),
    ("6.7 first of a length", True, FIRST),
    ("6.8 first of five and six bytes", False, LONGER),
    ("6.9 last of a length", True, LAST),
    ("6.10 beyond the last", False, BEYOND),
    ("6.11 edges", True, EDGES),
    ("6.11 behind the last", False, [utf8(0x110000, 4)]),
    ("6.12 continuation bytes alone", False, LONELY_TAILS),
    ("6.13 first bytes alone", False, LONELY_LEADS),
    ("6.14 last byte missing", False, CUT_SHORT),
    ("6.15 last bytes missing", False, [b"".join(CUT_SHORT)]),
    ("6.16 impossible bytes", False, [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"]),
    ("6.17 overlong slash", False, SLASHES),
    ("6.18 overlong", False, OVERLONG),
    ("6.19 overlong NUL", False, NULS),
    ("6.20 surrogates", False, SINGLES),
    ("6.21 pairs of surrogates", False, PAIRS),
    ("6.22 no characters", True, NO_CHARACTERS),
    ("6.23 specials", True, SPECIALS),
)


def cases() -> Iterator[Case]:
    """All of them."""
    yield Case("6.1.1", (frame(b""),), texts(b""))
    three = [frame(b"", fin=False), frame(b"", CONTINUED, fin=False), frame(b"", CONTINUED)]
    yield Case("6.1.2", tuple(three), texts(b""))
    three[1] = frame(b"middle", CONTINUED, fin=False)
    yield Case("6.1.3", tuple(three), texts(b"middle"))
    yield Case("6.2.1", (frame(MIXED),), texts(MIXED))
    yield Case("6.2.2", tuple(fragments(MIXED, 16)), texts(MIXED))
    yield Case("6.2.3", tuple(fragments(MIXED, 1)), texts(MIXED))
    yield Case("6.2.4", tuple(fragments(GREEK, 1)), texts(GREEK))
    bad = GREEK + SURROGATE + EDITED
    yield Case("6.3.1", (frame(bad),), code=INVALID)
    yield Case("6.3.2", tuple(fragments(bad, 1)), code=INVALID)
    in_three = (frame(GREEK, fin=False), frame(utf8(0x110000, 4), CONTINUED, fin=False), frame(EDITED, CONTINUED))
    yield Case("6.4.1", in_three, code=INVALID, why=LATE)
    in_three = (frame(GREEK + b"\xf4", fin=False), frame(b"\x90", CONTINUED, fin=False), frame(EDITED, CONTINUED))
    yield Case("6.4.2", in_three, code=INVALID, why=LATE)
    yield Case("6.4.3", chopped(frame(GREEK + utf8(0x110000, 4) + EDITED), 4), code=INVALID, why=LATE)
    yield Case("6.4.4", chopped(frame(GREEK + utf8(0x110000, 4) + EDITED)), code=INVALID, why=LATE)
    for n_bytes in range(1, len(GREEK) + 1):
        prefix = GREEK[:n_bytes]
        is_whole = prefix.decode(errors="ignore").encode() == prefix
        yield case(f"6.6.{n_bytes}", prefix, is_whole)
    for what, is_valid, payloads in TABLE:
        for i, payload in enumerate(payloads, 1):
            yield case(f"{what} {i}", payload, is_valid)
            if is_valid and len(payload) > 1:
                yield Case(f"{what} {i} in fragments", tuple(fragments(payload, 1)), texts(payload))
    yield Case("6 in a long text", (frame(b"*" * 70_000 + SURROGATE),), code=INVALID)
    yield Case("6 behind a long text", (frame(b"*" * 70_000), frame(SURROGATE)), texts(b"*" * 70_000), code=INVALID)
    yield Case("6 as binary", (frame(bad, BINARY),), binaries(bad))
    yield Case("6 cut between messages", (frame(b"\xce"), frame(b"\xba")), code=INVALID)
    yield Case("6 with a ping in a code point", (*split(), frame(b"\xba", CONTINUED)), texts(b"\xce\xba"), (b"?",))


def case(number: str, payload: bytes, is_valid: bool) -> Case:
    """A text in one frame."""
    return Case(number, (frame(payload),), texts(payload) if is_valid else (), code=1000 if is_valid else INVALID)


def split() -> tuple[bytes, bytes]:
    """The first half of a code point, and a ping."""
    return frame(b"\xce", TEXT, fin=False), frame(b"?", 9)
