"""A session as bytes: a header, the state row and a checksum. Little-endian, versioned, no pickle.

    magic 8 | version u16 | layout version u16 | model digest 32 | epoch u64 | next_seq u64
    | id_bytes u16 | decoder_bytes u32 | payload_bytes u32 | id | decoder state | payload (float32) | seal

The seal is over all bytes before it. Version 1: BLAKE2b of 16 bytes, which finds damage. Version 2: HMAC-SHA256 of 32
bytes with a key, which finds forgery too. Everything is checked before anything is used: a snapshot is restored whole
or refused.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from streamrnn.engine import side_form
from streamrnn.engine.generating import check_drawn
from streamrnn.errors import SnapshotError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.model import LAYOUT_VERSION, Model

if TYPE_CHECKING:
    from streamrnn.engine.lane import Lane
    from streamrnn.engine.session import Session
    from streamrnn.engine.side import Side

MAGIC = b"SRNNSNAP"
PLAIN, SIGNED = 1, 2
"""Versions: sealed by a checksum, and by a key."""
Buffer = bytes | bytearray | memoryview
_HEADER = struct.Struct("<8sHH32sQQHII")
_SEAL_BYTES = {PLAIN: 16, SIGNED: 32}
MAX_COUNT = 2**62
"""Largest epoch and seq read: a snapshot may come from a client, and its checksum is no signature. The kernels count in
int64, so there is room for as many frames again."""


class SnapshotRecord(NamedTuple):
    """What a snapshot holds."""

    model_digest: str
    """SHA-256 of the model, hex."""
    session_id: str
    epoch: int
    next_seq: int
    state: FloatArray
    """(state_size,) float32."""
    decoder: bytes = b""
    """What of the state is not in the row, see `engine.side_form`."""

    def check_fits(self, model: Model) -> None:
        """Check that the state is one of `model`, whose digest it bears.

        Raises:
            SnapshotError: it has another size.
        """
        if self.state.size != model.program.state_size:
            raise SnapshotError(f"expected a state of {model.program.state_size} values, got {self.state.size}")

    def side(self, lane: Lane) -> Side | None:
        """What of the state is not in the row, for a session of `lane`.

        Raises:
            SnapshotError: there is no such side.
        """
        side = side_form.decode(self.decoder, lane)
        check_drawn(side, self.next_seq)
        return side


class Outline(NamedTuple):
    """What the head of a snapshot says, before its seal was looked at: good for a refusal, and for nothing else."""

    model_digest: str
    session_id: bytes
    n_decoder: int
    """Bytes of what is not in the row."""
    n_payload: int
    """Bytes of the state row."""


def outline_of(blob: Buffer) -> Outline:
    """What a snapshot says of itself; its cost does not depend on the sizes.

    Raises:
        SnapshotError: it is none, or is not as long as it says.
    """
    if len(blob) < _HEADER.size or bytes(blob[: len(MAGIC)]) != MAGIC:
        raise SnapshotError(f"expected a streamrnn snapshot, got {len(blob)} bytes that are none or cut short")
    _, version, _, digest, _, _, n_id, n_decoder, n_payload = _HEADER.unpack_from(blob)
    if version not in _SEAL_BYTES:
        raise SnapshotError(f"the snapshot is of version {version}, this release reads up to {max(_SEAL_BYTES)}")
    n_bytes = _HEADER.size + n_id + n_decoder + n_payload + _SEAL_BYTES[version]
    if len(blob) != n_bytes:
        raise SnapshotError(f"the snapshot is damaged or cut short: it tells of {n_bytes} bytes, and has {len(blob)}")
    session_id = bytes(blob[_HEADER.size : _HEADER.size + n_id])
    return Outline(digest.hex(), session_id, n_decoder, n_payload)


def record_of(session: Session) -> SnapshotRecord:
    """What a snapshot of a session holds in which no frame waits but one that was drawn; its state is not copied."""
    return SnapshotRecord(
        model_digest=session.model.digest,
        session_id=session.id,
        epoch=session.epoch,
        next_seq=session.n_applied,
        state=session.lane.arena.rows[session.slot],
        decoder=side_form.encode(session.side),
    )


def capture(sessions: Sequence[Session]) -> list[SnapshotRecord]:
    """The record of each open session after the frames that were stepped, in order; the states are copied."""
    found: dict[int, SnapshotRecord] = {}
    places: dict[Lane, list[int]] = {}
    for i, session in enumerate(sessions):
        places.setdefault(session.lane, []).append(i)
    for lane, mine in places.items():
        slots = [sessions[i].slot for i in mine]
        rows, counts = lane.arena.rows[slots], lane.arena.n_applied[slots].tolist()
        digest, encode_side = lane.model.digest, side_form.encode
        for i, row, n_applied in zip(mine, rows, counts, strict=True):
            session = sessions[i]
            side = b"" if session.side is None else encode_side(session.side)
            found[i] = SnapshotRecord(digest, session.id, session.epoch, n_applied, row, side)
    return [found[i] for i in range(len(sessions))]


def seal_of(body: Buffer, key: bytes | None) -> bytes:
    """The checksum of `body`, or with a key its signature."""
    if key is None:
        return hashlib.blake2b(body, digest_size=_SEAL_BYTES[PLAIN]).digest()
    return hmac.digest(key, body, "sha256")


def encode(record: SnapshotRecord, key: bytes | None = None) -> bytes:
    """The record as bytes, signed where there is a key."""
    session_id = record.session_id.encode()
    payload = record.state.astype("<f4").tobytes()
    version = PLAIN if key is None else SIGNED
    header = _HEADER.pack(
        MAGIC, version, LAYOUT_VERSION, bytes.fromhex(record.model_digest), record.epoch, record.next_seq,
        len(session_id), len(record.decoder), len(payload),
    )  # fmt: skip
    body = header + session_id + record.decoder + payload
    return body + seal_of(body, key)


def decode(blob: Buffer, key: bytes | None = None) -> SnapshotRecord:
    """Read and check a snapshot; with a key, only one that was signed with it.

    Raises:
        SnapshotError: it is damaged, cut short, signed with another key or not at all, or of a version that this
            release does not read.
    """
    outline = outline_of(blob)
    _, version, layout, _, epoch, next_seq, n_id, n_decoder, n_payload = _HEADER.unpack_from(blob)
    if (version == SIGNED) != (key is not None):
        kinds = ("is signed, and there is no key here", "is not signed, and only signed ones are taken here")
        raise SnapshotError(f"the snapshot {kinds[key is not None]}")
    whole = memoryview(blob)  # a client's may be megabytes, and is read in its place
    body, seal = whole[: -_SEAL_BYTES[version]], whole[-_SEAL_BYTES[version] :]
    if not hmac.compare_digest(seal_of(body, key), seal):
        doubt = "" if key is None else ", or signed with another key"
        raise SnapshotError(f"the snapshot is damaged or cut short{doubt}: its seal does not match")
    if layout != LAYOUT_VERSION:
        raise SnapshotError(f"the snapshot has state layout {layout}, this release has {LAYOUT_VERSION}")
    if n_payload % 4 or max(epoch, next_seq) > MAX_COUNT:
        raise SnapshotError("the snapshot holds a state of no whole floats, or counts that no session reaches")
    id_end = _HEADER.size + n_id
    decoder_end = id_end + n_decoder
    try:
        session_id = outline.session_id.decode()
    except UnicodeDecodeError as error:
        raise SnapshotError("the snapshot's session id is not UTF-8") from error
    return SnapshotRecord(
        model_digest=outline.model_digest,
        session_id=session_id,
        epoch=epoch,
        next_seq=next_seq,
        state=np.frombuffer(body, "<f4", offset=decoder_end).astype(np.float32),
        decoder=bytes(body[id_end:decoder_end]),
    )
