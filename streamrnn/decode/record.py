"""A decoder's state as bytes: MessagePack of one typed record, so that one state has one form.

Every decoder keeps what a frame changes in a record of its own, and in nothing else. The record's tag ends in a
version, integers take their shortest form and floats are float64: what was written is read back bit for bit.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from streamrnn.errors import OptionError, SnapshotError

MAX_SEQ = 2**63 - 1
"""Largest seq that a state may hold."""


class Record(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Base of all records."""


R = TypeVar("R", bound=Record)


def write_record(record: Record) -> bytes:
    """The record as bytes."""
    return msgspec.msgpack.encode(record)


def read_record(state: bytes, form: type[R]) -> R:
    """Read a record of the given type.

    Raises:
        SnapshotError: the bytes are none, or not the one form of what they hold.
    """
    try:
        record = msgspec.msgpack.decode(state, type=form)
    except (msgspec.MsgspecError, OptionError, ValueError, RecursionError) as fault:
        raise SnapshotError(f"the decoder's state: {fault}") from fault
    if write_record(record) != state:
        raise SnapshotError("the decoder's state: bytes that are not in their one form")
    return record


def check_state(is_whole: bool, what: str) -> None:
    """Check one thing about a state that was read.

    Raises:
        SnapshotError: it is not so.
    """
    if not is_whole:
        raise SnapshotError(f"the decoder's state: {what} of no decoder with these settings")
