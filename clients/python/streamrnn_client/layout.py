"""The MessagePack bytes of a `frames` message and of its `outputs`, for the same sessions again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped]

if TYPE_CHECKING:
    import numpy as np
else:
    try:
        import numpy as np
    except ImportError:
        np = None

KEY_BYTES = 8
CLASSES = ((0x80, b"", "u1"), (0x100, b"\xcc", "u1"), (0x10000, b"\xcd", ">u2"), (2**32, b"\xce", ">u4"))
"""Shortest forms of integers: those below the bound are the tag and so many bytes; the rest are `\xcf` and eight."""


def _packed(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


def _list_head(n: int) -> bytes:
    head: bytes = msgpack.Packer().pack_array_header(n)
    return head


def _bin_head(n: int) -> bytes:
    if n < 0x100:
        return b"\xc4" + n.to_bytes(1)
    return b"\xc5" + n.to_bytes(2) if n < 0x10000 else b"\xc6" + n.to_bytes(4)


HANDLES, SEQS, PAYLOAD = (_packed(name) for name in ("handles", "seqs", "payload"))
FRAMES_HEAD, OUTPUTS_HEAD = (b"\x84" + _packed("type") + _packed(name) + HANDLES for name in ("frames", "outputs"))


class Layout:
    """What stays the same from one message to the next is encoded once.

    The answer to a message has the same handles and seqs, and a server that writes them in the shortest form and in the
    order of the protocol text writes the same `middle`; of any other, `outputs_at` finds nothing.

    Args:
        handles: distinct.
        base: the seqs of message 0; in message k each is k more.
        input_bytes, output_bytes: of the whole payloads.
    """

    def __init__(self, handles: Sequence[int], base: Sequence[int], input_bytes: int, output_bytes: int) -> None:
        self._before = _packed(list(handles)) + SEQS
        self._seqs = Seqs(base)
        self._frames_tail = _bin_head(input_bytes)
        self._outputs_tail = _bin_head(output_bytes)
        self._output_bytes = output_bytes
        self.key = (OUTPUTS_HEAD + self._before + _list_head(len(base)))[: len(OUTPUTS_HEAD) + KEY_BYTES]

    def middle(self, k: int) -> bytes:
        """What message k and its answer have in common."""
        return b"".join((self._before, self._seqs.at(k), PAYLOAD))

    def frames(self, middle: bytes, payload: bytes) -> bytes:
        """The message."""
        return b"".join((FRAMES_HEAD, middle, self._frames_tail, payload))

    def outputs_at(self, middle: bytes, message: bytes) -> int:
        """Where the payload begins in the answer; 0: this is not it."""
        at = len(OUTPUTS_HEAD) + len(middle)
        start = at + len(self._outputs_tail)
        is_answer = (
            len(message) == start + self._output_bytes
            and message.startswith(OUTPUTS_HEAD)
            and message.startswith(middle, len(OUTPUTS_HEAD))
            and message.startswith(self._outputs_tail, at)
        )
        return start if is_answer else 0


def key_of(message: bytes) -> bytes:
    """What tells the layouts of a connection apart: the first handle, mainly."""
    return message[: len(OUTPUTS_HEAD) + KEY_BYTES]


class Seqs:
    """A list of seqs that all grow by 1, each in the shortest form of an integer, as the protocol's vectors have it."""

    def __init__(self, base: Sequence[int]) -> None:
        self._head = _list_head(len(base))
        self._base = list(base)
        self._low, self._high = min(base), max(base)
        self._column: Any = None if np is None else np.array(self._base, "i8")
        self._template: Any = None
        self._tag = b""

    def at(self, k: int) -> bytes:
        """The list, `k` behind the first."""
        low, high = self._low + k, self._high + k
        if low == high:
            return self._head + _packed(low) * len(self._base)
        tag, form = _class_of(low)
        if self._column is None or (tag, form) != _class_of(high):
            return _packed([seq + k for seq in self._base])
        if not tag:
            small: bytes = (self._column + k).astype(form).tobytes()
            return self._head + small
        if self._template is None or tag != self._tag:
            self._tag = tag
            self._template = np.empty(len(self._base), [("tag", "S1"), ("seq", form)])
            self._template["tag"] = tag
        self._template["seq"] = self._column + k
        filled: bytes = self._template.tobytes()
        return self._head + filled


def _class_of(seq: int) -> tuple[bytes, str]:
    for bound, tag, form in CLASSES:
        if seq < bound:
            return tag, form
    return b"\xcf", ">u8"
