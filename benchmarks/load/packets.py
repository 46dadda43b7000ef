"""Messages made beforehand: whole websocket frames in which only the seqs and the first value of a frame change.

A seq stands in msgpack's form of five bytes, whatever its value, so that it is overwritten in place; the mask is zero,
which saves the generator the work and the server nothing. The first value of the frame with seq `s` is row `s % 256`
of `value_rows`, so that no two frames in a row are alike and outputs can be compared with those of an offline run.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.limits import Limits
from streamrnn.wire.codec import MSGPACK, Codec
from streamrnn.wire.messages import Frame, Frames

SEQ_MARK = 0x7FFFFFF1
"""A seq of five bytes that holds a seq's place until it is overwritten."""
N_VALUES = 256
CODEC = Codec(MSGPACK, Limits())
Values = NDArray[np.float32]


class Packet(NamedTuple):
    """The bytes of one line's message, and what changes in them.

    Attributes:
        data: header, zero mask and payload.
        seq_at: where the four bytes of the first seq begin, those of each further one `SEQ_STEP` later; -1: no seq.
        value_at: where the first frame's first value begins.
        frame_bytes: from one frame to the next.
    """

    data: bytes
    seq_at: int
    value_at: int
    frame_bytes: int


SEQ_STEP = 5


def masked(payload: bytes, opcode: int = 2) -> bytes:
    """One client frame of the websocket protocol with a mask of zero."""
    n = len(payload)
    if n < 126:
        head = bytes([0x80 | opcode, 0x80 | n])
    elif n < 65536:
        head = bytes([0x80 | opcode, 0xFE]) + struct.pack(">H", n)
    else:
        head = bytes([0x80 | opcode, 0xFF]) + struct.pack(">Q", n)
    return head + bytes(4) + payload


def value_rows(n_tokens: int = 0) -> NDArray[np.uint8]:
    """(256, 4) uint8: first values of frames as little-endian float32, -1 .. 1, or tokens below `n_tokens`."""
    steps = np.arange(N_VALUES)
    values = steps % n_tokens if n_tokens else (steps - 128) / 128
    return values.astype("<f4").view(np.uint8).reshape(N_VALUES, 4).copy()


def base_rows(n_sessions: int, input_size: int, seed: int, n_tokens: int = 0) -> Values:
    """(n_sessions, input_size) float32: the frame of each session, but for its first value."""
    rng = np.random.default_rng(seed)
    if n_tokens:
        return rng.integers(0, n_tokens, (n_sessions, input_size)).astype(np.float32)
    return rng.standard_normal((n_sessions, input_size), np.float32)


def frames_of(base: Values, n_frames: int, n_tokens: int = 0) -> Values:
    """(n_frames, input_size) float32: what a session with this base row sends as seqs 0 .. n_frames - 1."""
    xs = np.repeat(base[None], n_frames, axis=0)
    xs[:, 0] = value_rows(n_tokens).view("<f4")[np.arange(n_frames) % N_VALUES, 0]
    return xs


def _packet(message: Frame | Frames, payload: bytes, n_frames: int) -> Packet:
    data = masked(CODEC.encode(message))
    # The first mark cannot stand in a payload before it: payloads come behind the seqs.
    seq_at = data.index(struct.pack(">I", SEQ_MARK))
    return Packet(data, seq_at, data.rindex(payload), len(payload) // n_frames)


def frame_packet(handle: int, row: Values, n: int = 1) -> Packet:
    """A `frame` message of `n` frames of one session."""
    payload = np.repeat(row[None], n, axis=0).astype("<f4").tobytes()
    return _packet(Frame(handle, SEQ_MARK, payload, n), payload, n)


def frames_packet(rows: Values) -> Packet:
    """A `frames` message of a gateway: one frame of each of its sessions, whose handles are 0, 1, ..."""
    n = len(rows)
    payload = rows.astype("<f4").tobytes()
    return _packet(Frames(list(range(n)), [SEQ_MARK] * n, payload), payload, n)


def raw_packet(row: Values) -> Packet:
    """A message that is nothing but the float32 values of one frame."""
    payload = row.astype("<f4").tobytes()
    data = masked(payload)
    return Packet(data, -1, len(data) - len(payload), len(payload))
