"""Category 7: the closing handshake, its codes and its reasons."""

from __future__ import annotations

from collections.abc import Iterator

from tests.server.conformance.cases import CLOSE, CONTINUED, PING, Case, close, frame, texts

PROTOCOL = 1002
HELLO = b"Hello World!"
VALID = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
REGISTERED = (1012, 1013, 1014)
INVALID = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)


def ended(number: str, *sent: bytes, echoed: tuple[tuple[int, bytes], ...] = (), code: int | None = 1000) -> Case:
    """A case in which the client closes by itself."""
    return Case(number, sent, echoed, code=code, is_closed_by_client=True)


def cases() -> Iterator[Case]:
    """All of them."""
    yield ended("7.1.1", frame(HELLO), close(), echoed=texts(HELLO))
    yield ended("7.1.1 at once", frame(HELLO) + close(), echoed=texts(HELLO))
    yield ended("7.1.2", close(), close())
    yield ended("7.1.2 at once", close() * 2)
    yield ended("7.1.3", close(), frame(b"", PING))
    yield ended("7.1.3 at once", close() + frame(b"", PING))
    yield ended("7.1.4", close(), frame(HELLO))
    yield ended("7.1.4 at once", close() + frame(HELLO))
    yield ended("7.1.5", frame(b"fragment1", fin=False), close(), frame(b"fragment2", CONTINUED))
    long = b"BAsd7&jh23" * 26 * 2**10
    yield ended("7.1.6", frame(long), close(), frame(b"", PING), echoed=texts(long))
    yield ended("7.3.1", close(None), code=None)
    yield ended("7.3.2", frame(b"a", CLOSE), code=PROTOCOL)
    yield ended("7.3.3", close())
    yield ended("7.3.4", close(1000, HELLO))
    yield ended("7.3.5", close(1000, b"*" * 123))
    yield ended("7.3.6", close(1000, b"*" * 124), code=PROTOCOL)
    yield ended("7.5.1", close(1000, "κόσμε".encode() + b"\xed\xa0\x80edited"), code=1007)
    yield ended("7.5 a reason cut short", close(1000, b"\xce"), code=1007)
    yield ended("7.5 a reason of 123 bytes in UTF-8", close(1000, "κ".encode() * 61 + b"!"))
    for i, code in enumerate(VALID, 1):
        yield ended(f"7.7.{i}", close(code), code=code)
    for code in REGISTERED:  # with IANA, later than RFC 6455
        yield ended(f"7.7 code {code}", close(code), code=code)
    for i, code in enumerate(INVALID, 1):
        yield ended(f"7.9.{i}", close(code), code=PROTOCOL)
    yield ended("7.9 code 1015", close(1015), code=PROTOCOL)
    for number, code in (("7.13.1", 5000), ("7.13.2", 65535)):
        yield ended(number, close(code), code=PROTOCOL)
