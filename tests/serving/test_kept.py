"""A record of the store is read whole or refused, whatever happened to its bytes."""

from __future__ import annotations

import pytest

from streamrnn.engine.snapshot import seal_of
from streamrnn.errors import SnapshotError
from streamrnn.serving import kept
from streamrnn.serving.hosted import Terms
from streamrnn.serving.kept import Kept
from streamrnn.serving.piece import Piece
from streamrnn.serving.token import hash_of

KEY = b"k" * 16
KEYS = pytest.mark.parametrize("key", [None, KEY], ids=["plain", "signed"])
RECORD = Kept(
    "größe",
    (hash_of("new"), hash_of("old")),
    Terms(64, "drop_oldest", 60_000, 120_000),
    (Piece(5, 2, b"12345678", 3, True), Piece(7, 4, b"", is_stepped=False)),
    b"snapshot",
)
NOTHING = Kept("m", (), Terms(), (), b"")


@KEYS
@pytest.mark.parametrize("record", [RECORD, NOTHING], ids=["full", "empty"])
def test_a_record_comes_back_as_it_was(record, key):
    found = kept.decode(kept.encode(record, key), key)
    assert found == record
    assert type(found.terms) is Terms and all(type(piece) is Piece for piece in found.pieces)


@KEYS
def test_every_truncation_is_refused(key):
    blob = kept.encode(RECORD, key)
    for n_bytes in range(len(blob)):
        with pytest.raises(SnapshotError):
            kept.decode(blob[:n_bytes], key)


@KEYS
def test_every_flipped_bit_is_refused(key):
    blob = kept.encode(RECORD, key)
    for bit in range(8 * len(blob)):
        damaged = bytearray(blob)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SnapshotError):
            kept.decode(bytes(damaged), key)


@KEYS
def test_bytes_that_follow_are_refused(key):
    with pytest.raises(SnapshotError):
        kept.decode(kept.encode(RECORD, key) + b"\0", key)


@pytest.mark.parametrize(("sealed_with", "read_with"), [(KEY, None), (None, KEY), (KEY, b"x" * 16)])
def test_a_record_that_is_sealed_in_another_way_is_refused(sealed_with, read_with):
    with pytest.raises(SnapshotError, match="sealed in another way"):
        kept.decode(kept.encode(RECORD, sealed_with), read_with)


@KEYS
def test_a_later_version_is_refused_by_its_number(key):
    blob = kept.encode(RECORD, key)
    body = bytearray(blob[: -len(seal_of(b"", key))])
    body[len(kept.MAGIC)] = kept.VERSION + 1
    with pytest.raises(SnapshotError, match="version 2, this release reads 1"):
        kept.decode(bytes(body) + seal_of(bytes(body), key), key)


@KEYS
@pytest.mark.parametrize("content", [b"", b"\xc0", b"\x90", b"\x95\x01\x02\x03\x04\x05", b"\xc1", b"\x91" * 5000])
def test_a_sealed_record_of_something_else_is_refused(content, key):
    body = kept.encode(RECORD, key)[:10] + content
    with pytest.raises(SnapshotError, match="cannot be read"):
        kept.decode(body + seal_of(body, key), key)
