"""A side as bytes, the `decoder` field of a snapshot. Little-endian, versioned; one side has one form.

    version u8 | policy u8 (0: none) | flags u16 | n_warm u32 | period_us u64 | reset_after_us u64 | time_us u64
    | frame (input_size float32, if flagged) | shadow (state_size float32, if flagged)
    | settings_bytes u32 | state_bytes u32 | settings (JSON) | state, of the decoder, in version 2

A session without a side has no bytes. What a flag or a policy leaves out is 0. Version 1 has no decoder.
"""

from __future__ import annotations

import struct

import numpy as np

from streamrnn.decode.settings import encode_settings, parse_settings
from streamrnn.engine.decoding import Decoding
from streamrnn.engine.gaps import MAX_TIME_US, POLICIES, Gaps
from streamrnn.engine.lane import Lane
from streamrnn.engine.side import Side
from streamrnn.errors import FrameError, OptionError, SnapshotError
from streamrnn.kernels.packing import FloatArray

PLAIN, DECODING = 1, 2
"""Versions: without a decoder, and with one."""
_HEAD = struct.Struct("<BBHIQQQ")
_SIZES = struct.Struct("<II")
_TIME, _FRAME, _SHADOW, _NEW = 1, 2, 4, 8


def encode(side: Side | None) -> bytes:
    """The side as bytes."""
    if side is None or side.is_spent:
        return b""
    gaps, time_us, frame, shadow = side.gaps, side.time_us, side.frame, side.shadow
    flags = (
        (time_us is not None) * _TIME + (frame is not None) * _FRAME + (shadow is not None) * _SHADOW
        + side.is_new * _NEW
    )  # fmt: skip
    policy, period_us, reset_after_us = 0, 0, 0
    if gaps is not None:
        policy, period_us, reset_after_us = POLICIES.index(gaps.policy) + 1, gaps.period_us, gaps.reset_after_us
    version = PLAIN if side.decoding is None else DECODING
    head = _HEAD.pack(version, policy, flags, side.n_warm, period_us, reset_after_us, time_us or 0)
    rows = [row.astype("<f4").tobytes() for row in (frame, shadow) if row is not None]
    return b"".join([head, *rows, _decoding_form(side.decoding)])


def _decoding_form(decoding: Decoding | None) -> bytes:
    if decoding is None:
        return b""
    settings, state = encode_settings(decoding.settings), decoding.decoder.state()
    return _SIZES.pack(len(settings), len(state)) + settings + state


def decode(form: bytes, lane: Lane) -> Side | None:
    """Read and check the side of a session of `lane`.

    Raises:
        SnapshotError: it has another length or values that no side has, or the lane's model does not fit.
    """
    if not form:
        return None
    if form[0] not in (PLAIN, DECODING):
        raise SnapshotError(f"the snapshot's side is of version {form[0]}, this release reads up to {DECODING}")
    if len(form) < _HEAD.size:
        raise SnapshotError(f"the snapshot's side: {len(form)} bytes are too few")
    _, policy, flags, n_warm, period_us, reset_after_us, time_us = _HEAD.unpack_from(form)
    n_frame = lane.input_size * bool(flags & _FRAME)
    n_shadow = lane.model.program.state_size * bool(flags & _SHADOW)
    end = _HEAD.size + 4 * (n_frame + n_shadow)
    if len(form) < end or (form[0] == PLAIN and len(form) > end):
        raise SnapshotError(f"the snapshot's side: {len(form)} bytes are not what its head tells")
    values = np.frombuffer(form[:end], "<f4", offset=_HEAD.size).astype(np.float32)
    decoding = _decoding_of(form[end:], lane) if form[0] == DECODING else None
    side = Side(_gaps_of(policy, period_us, reset_after_us, lane), decoding)
    side.n_warm, side.is_new = n_warm, bool(flags & _NEW)
    side.time_us = time_us if flags & _TIME else None
    side.frame = _frame_of(values[:n_frame], lane) if n_frame else None
    side.shadow = values[n_frame:] if flags & _SHADOW else None
    if time_us > MAX_TIME_US or encode(side) != form or not _is_whole(side):
        raise SnapshotError("the snapshot's side: values that do not go together")
    return side


def _gaps_of(policy: int, period_us: int, reset_after_us: int, lane: Lane) -> Gaps | None:
    if not policy:
        return None
    try:
        gaps = Gaps(POLICIES[policy - 1], period_us, reset_after_us)
        check_fits(gaps, lane)
    except (IndexError, OptionError) as error:
        raise SnapshotError(f"the snapshot's side: {error}") from error
    return gaps


def _decoding_of(form: bytes, lane: Lane) -> Decoding:
    if len(form) < _SIZES.size:
        raise SnapshotError("the snapshot's side: its decoder is cut short")
    n_settings, n_state = _SIZES.unpack_from(form)
    end = _SIZES.size + n_settings
    if len(form) != end + n_state:
        raise SnapshotError("the snapshot's side: its decoder has another length than it tells")
    try:
        decoding = Decoding(parse_settings(form[_SIZES.size : end]), lane.model)
    except OptionError as error:
        raise SnapshotError(f"the snapshot's side: {error}") from error
    decoding.decoder.restore(form[end:])
    return decoding


def _frame_of(values: FloatArray, lane: Lane) -> FloatArray:
    try:
        lane.check(values.reshape(1, -1))
    except FrameError as error:
        raise SnapshotError(f"the snapshot's side: {error}") from error
    return values


def _is_whole(side: Side) -> bool:
    """Whether what goes together is there together."""
    has_time = side.time_us is not None
    needs_frame = has_time and side.gaps is not None and side.gaps.needs_frame
    has_shadow = side.shadow is not None
    return (
        (side.frame is not None) == needs_frame
        and (side.gaps is not None or not has_time)
        and (side.n_warm > 0 or not has_shadow)
    )


def check_fits(gaps: Gaps | None, lane: Lane) -> None:
    """Check that sessions of a lane can have a gap policy.

    Raises:
        OptionError: its frames are tokens, which cannot be made up.
    """
    if gaps is not None and lane.n_tokens and gaps.policy != "reset_after":
        raise OptionError(f"gaps: a model that takes tokens takes only reset_after, got {gaps.policy}")
