"""A session as bytes: a header, the state row and a checksum. Little-endian, versioned, no pickle.

    magic 8 | version u16 | layout version u16 | model digest 32 | epoch u64 | next_seq u64
    | id_bytes u16 | decoder_bytes u32 | payload_bytes u32 | id | decoder state | payload (float32) | checksum 16

Everything is checked before anything is used: a snapshot is restored whole or refused.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

import numpy as np

from streamrnn.errors import SnapshotError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.model import LAYOUT_VERSION

MAGIC = b"SRNNSNAP"
VERSION = 1
_HEADER = struct.Struct("<8sHH32sQQHII")
_CHECKSUM_BYTES = 16
MAX_COUNT = 2**63 - 1
"""Largest epoch and seq read: a snapshot may come from a client, and its checksum is no signature."""


@dataclass(frozen=True)
class SnapshotRecord:
    """What a snapshot holds."""

    model_digest: str
    """SHA-256 of the model, hex."""
    session_id: str
    epoch: int
    next_seq: int
    state: FloatArray
    """(state_size,) float32."""
    decoder: bytes = b""


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECKSUM_BYTES).digest()


def encode(record: SnapshotRecord) -> bytes:
    """The record as bytes."""
    session_id = record.session_id.encode()
    payload = record.state.astype("<f4").tobytes()
    header = _HEADER.pack(
        MAGIC, VERSION, LAYOUT_VERSION, bytes.fromhex(record.model_digest), record.epoch, record.next_seq,
        len(session_id), len(record.decoder), len(payload),
    )  # fmt: skip
    body = header + session_id + record.decoder + payload
    return body + _checksum(body)


def decode(blob: bytes) -> SnapshotRecord:
    """Read and check a snapshot.

    Raises:
        SnapshotError: it is damaged, cut short, or of a version that this release does not read.
    """
    blob = bytes(blob)
    if len(blob) < _HEADER.size + _CHECKSUM_BYTES or blob[: len(MAGIC)] != MAGIC:
        raise SnapshotError(f"expected a streamrnn snapshot, got {len(blob)} bytes that are none or cut short")
    _, version, layout, digest, epoch, next_seq, n_id, n_decoder, n_payload = _HEADER.unpack_from(blob)
    if not 1 <= version <= VERSION:
        raise SnapshotError(f"the snapshot is of version {version}, this release reads up to {VERSION}")
    body, checksum = blob[:-_CHECKSUM_BYTES], blob[-_CHECKSUM_BYTES:]
    if len(body) != _HEADER.size + n_id + n_decoder + n_payload or _checksum(body) != checksum:
        raise SnapshotError("the snapshot is damaged or cut short: its checksum does not match")
    if layout != LAYOUT_VERSION:
        raise SnapshotError(f"the snapshot has state layout {layout}, this release has {LAYOUT_VERSION}")
    if n_payload % 4 or max(epoch, next_seq) > MAX_COUNT:
        raise SnapshotError("the snapshot holds a state of no whole floats, or counts that no session reaches")
    id_end = _HEADER.size + n_id
    decoder_end = id_end + n_decoder
    try:
        session_id = body[_HEADER.size : id_end].decode()
    except UnicodeDecodeError as error:
        raise SnapshotError("the snapshot's session id is not UTF-8") from error
    return SnapshotRecord(
        model_digest=digest.hex(),
        session_id=session_id,
        epoch=epoch,
        next_seq=next_seq,
        state=np.frombuffer(body, "<f4", offset=decoder_end).astype(np.float32),
        decoder=body[id_end:decoder_end],
    )
