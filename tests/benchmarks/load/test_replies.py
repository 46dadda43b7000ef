"""Every message of a server is read in place as the codec meant it."""

from __future__ import annotations

from itertools import groupby
from typing import get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load import replies
from benchmarks.load.packets import CODEC
from streamrnn.wire import messages as m

SEQS = [0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53 - 1]
MESSAGES = [
    (m.Output(3, 9, b"abcd"), replies.OUTPUT),
    (m.Output(70_000, 2**40, b"x" * 70_000, 5, filled=3, was_reset=True), replies.OUTPUT),
    (
        m.Output(1, 2, b"abcd", events=(m.OutputEvent("final", 2, "hi", 0.5, words=(m.Word("hi", 0, 2, 0.25),)),)),
        replies.OUTPUT,
    ),
    (m.Skipped(4, 200, 70_000, is_stepped=False), replies.SKIPPED),
    (m.Error("queue_full", "frame", True, "e" * 300, of="frame", handle=7, seq=300), replies.ERROR),
    (m.Error("bad_seq", "frame", False, "gap", of="frame", handle=0, seq=9, expected_seq=4), replies.ERROR),
    (m.Error("internal", "connection", False, "broken"), replies.ERROR),
    (m.Ack(1, "checkpoint", -1, 5), replies.OTHER),
    (m.Event(1, "parked", 7), replies.OTHER),
    (m.GoAway(100), replies.OTHER),
    (m.Closed(2, "closed", 10), replies.OTHER),
    (m.Snapshotted(2, 10, b"s" * 1000), replies.OTHER),
    (m.Opened(1, "s", "net", "d", 0, False, m.Port(2), m.Port(3, names=("a", "b")), rate_hz=62.5), replies.OTHER),
]


@pytest.mark.parametrize(("message", "kind"), MESSAGES)
def test_fields_are_those_of_the_message(message, kind):
    encoded = CODEC.encode(message)
    fields = replies.parsed(encoded)
    assert max(0, fields[replies.KIND]) == kind
    assert fields[replies.HANDLE] == (-1 if (handle := getattr(message, "handle", None)) is None else handle)
    assert fields[replies.SEQ] == (-1 if (seq := getattr(message, "seq", None)) is None else seq)
    assert fields[replies.N] == getattr(message, "n", 1)
    assert fields[replies.EXPECTED] == (-1 if (seq := getattr(message, "expected_seq", None)) is None else seq)
    if kind == replies.OUTPUT:
        at = fields[replies.PAYLOAD_AT]
        assert encoded[at : at + fields[replies.PAYLOAD_BYTES]] == message.payload
    if kind == replies.ERROR:
        at = fields[replies.CODE_AT]
        assert encoded[at : at + fields[replies.CODE_BYTES]].decode() == message.code


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.sampled_from(SEQS)), min_size=1, max_size=300))
def test_columns_are_read_one_by_one(pairs):
    handles, seqs = map(list, zip(*pairs, strict=True))
    encoded = CODEC.encode(m.Outputs(handles, seqs, b"p" * 4 * len(pairs)))
    fields = replies.parsed(encoded)
    assert fields[replies.KIND] == replies.OUTPUTS and fields[replies.N_COLUMNS] == len(pairs)
    data = np.frombuffer(encoded, np.uint8).copy()
    for at, expected in ((fields[replies.HANDLES_AT], handles), (fields[replies.SEQS_AT], seqs)):
        for value in expected:
            got, at = replies.read_int(data, at)
            assert got == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_in_every_form(value):
    encoded = np.frombuffer(msgspec.msgpack.encode(value), np.uint8).copy()
    assert replies.read_int(encoded, 0) == (value, len(encoded))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=30,
)


@given(VALUES)
def test_any_value_is_skipped_whole(value):
    encoded = msgspec.msgpack.encode(value)
    assert replies.skip(np.frombuffer(encoded + b"\x07", np.uint8).copy(), 0) == len(encoded)


def test_an_echo_cut_short_or_filled_up_is_read():
    whole = CODEC.encode(m.Frame(5, 6, b"p" * 100))
    for reply in (whole[:60], whole + bytes(100)):
        fields = replies.parsed(reply)
        assert [fields[i] for i in (replies.KIND, replies.HANDLE, replies.SEQ)] == [replies.FRAME, 5, 6]


def test_marks_tell_all_keys_and_types_apart():
    """The parser looks at a key's length and first and last letters alone."""
    kinds = get_args(m.ServerMessage)
    wanted = {"type", "handle", "handles", "seq", "seqs", "n", "payload", "code", "expected_seq"}
    keys = wanted | {field.name for kind in kinds for field in msgspec.structs.fields(kind)}
    tags = {kind.__struct_config__.tag for kind in kinds} | {"frame", "frames"}
    for words in (keys, tags):
        by_mark = sorted(words, key=replies.mark)
        groups = [set(group) for _, group in groupby(by_mark, replies.mark)]
        read = wanted if words is keys else {"output", "outputs", "skipped", "error", "frame", "frames"}
        assert all(len(group) == 1 for group in groups if group & read)
