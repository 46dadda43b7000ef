"""What a store keeps of a session, as bytes: its snapshot, the outputs that its client may miss, its tokens and terms.

    magic 8 | version u16 | MessagePack of `Kept` | seal

The seal is that of snapshots: a checksum, or a signature where the server has a key. No pickle.
"""

from __future__ import annotations

import hmac
import struct

import msgspec

from streamrnn.engine.snapshot import seal_of
from streamrnn.errors import SnapshotError
from streamrnn.serving.hosted import Terms
from streamrnn.serving.piece import Piece

MAGIC = b"SRNNKEPT"
VERSION = 1
_HEADER = struct.Struct("<8sH")
_SEAL_BYTES = (16, 32)


class Kept(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The record of one session."""

    model: str
    token_hashes: tuple[bytes, ...]
    terms: Terms
    pieces: tuple[Piece, ...]
    snapshot: bytes


_DECODER = msgspec.msgpack.Decoder(Kept)
_ENCODER = msgspec.msgpack.Encoder()


def encode(kept: Kept, key: bytes | None = None) -> bytes:
    """The record as bytes, signed where there is a key."""
    body = _HEADER.pack(MAGIC, VERSION) + _ENCODER.encode(kept)
    return body + seal_of(body, key)


def decode(blob: bytes, key: bytes | None = None) -> Kept:
    """Read and check a record; with a key, only one that was signed with it.

    Raises:
        SnapshotError: it is damaged, cut short, signed with another key or not at all, or of a later version.
    """
    seal_bytes = _SEAL_BYTES[key is not None]
    body, found = blob[:-seal_bytes], blob[-seal_bytes:]
    if len(body) < _HEADER.size or not body.startswith(MAGIC):
        raise SnapshotError(f"expected the record of a session, got {len(blob)} bytes that are none")
    if not hmac.compare_digest(seal_of(body, key), found):
        raise SnapshotError("the record of the session is damaged, or sealed in another way: its seal does not match")
    _, version = _HEADER.unpack_from(body)
    if version != VERSION:
        raise SnapshotError(f"the record of the session is of version {version}, this release reads {VERSION}")
    try:
        return _DECODER.decode(body[_HEADER.size :])
    except (msgspec.MsgspecError, ValueError) as fault:
        raise SnapshotError(f"the record of the session cannot be read: {fault}") from fault
