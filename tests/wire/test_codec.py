"""Whatever bytes come in, out comes a message or a `PeerError`, at once and without memory to speak of."""

from __future__ import annotations

import json
import tracemalloc

import msgpack  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamrnn.errors import MalformedError, OversizedError, PeerError
from streamrnn.limits import Limits
from streamrnn.wire import messages as m
from streamrnn.wire.codec import JSON, MAX_REASON_CHARS, MSGPACK, Codec, WrongKindError
from tests.wire.make_vectors import CLIENT, SERVER

LIMITS = Limits(max_message_bytes=100_000, max_chunk_frames=100)
CODECS = {name: Codec(name, LIMITS) for name in m.PROTOCOLS}

handles = st.integers(0, 2**31 - 1)
seqs = st.integers(0, 2**53 - 1)
texts = st.text(max_size=20)
frames = st.builds(m.Frame, handles, seqs, st.binary(max_size=64), st.integers(1, 100))
columns = st.lists(st.tuples(handles, seqs), min_size=1, max_size=20)
messages = st.one_of(
    frames,
    st.builds(m.Open, handles, texts, st.none() | texts),
    columns.map(lambda rows: m.Frames([h for h, _ in rows], [s for _, s in rows], b"1234" * len(rows))),
    st.builds(m.Restore, handles, st.binary(max_size=64), st.none() | texts),
    st.builds(m.Fork, handles, handles, st.none() | texts),
    *(st.builds(kind, handles) for kind in (m.Reset, m.Flush, m.Snapshot, m.Close)),
)
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def verdict(codec: Codec, payload: bytes, is_text: bool | None = None) -> object:
    """What decoding gives: a message, or the error; anything else is a failure of the test."""
    try:
        return codec.decode(payload, codec.is_text if is_text is None else is_text)
    except PeerError as fault:
        assert fault.scope == "connection" and fault.code in ("malformed", "too_large")
        assert "expected" in fault.message
        return fault


@pytest.mark.parametrize("protocol", m.PROTOCOLS)
@given(message=messages)
def test_a_message_comes_back(protocol, message):
    codec = CODECS[protocol]
    assert verdict(codec, codec.encode(message)) == message


@pytest.mark.parametrize("protocol", m.PROTOCOLS)
@pytest.mark.parametrize("side", ["client", "server"])
def test_truncated_at_every_byte(protocol, side):
    codec = CODECS[protocol]
    decode = codec.decode if side == "client" else codec.decode_server
    for message in (CLIENT if side == "client" else SERVER).values():
        whole = codec.encode(message)
        assert decode(whole, codec.is_text) == message
        for n_bytes in range(len(whole)):
            with pytest.raises(MalformedError):
                decode(whole[:n_bytes], codec.is_text)


@pytest.mark.parametrize("protocol", m.PROTOCOLS)
@given(message=messages, place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_one_byte_changed(protocol, message, place, byte):
    codec = CODECS[protocol]
    payload = bytearray(codec.encode(message))
    payload[place % len(payload)] = byte
    verdict(codec, bytes(payload))


@pytest.mark.parametrize("protocol", m.PROTOCOLS)
@given(payload=st.binary(max_size=200))
@example(payload=b"\xdc\xff\xff" + b"\xc0" * 20)
def test_random_bytes(protocol, payload):
    verdict(CODECS[protocol], payload)


@given(tree=trees)
def test_any_tree_of_values(tree):
    verdict(CODECS[MSGPACK], msgpack.packb(tree))
    verdict(CODECS[MSGPACK], msgpack.packb({"type": "frame", "handle": tree, "seq": 0, "payload": b""}))
    verdict(CODECS[MSGPACK], msgpack.packb({"type": "frames", "handles": [tree], "seqs": tree, "payload": tree}))


@given(tree=trees)
def test_any_json(tree):
    text = json.dumps(tree, default=lambda raw: raw.hex())
    verdict(CODECS[JSON], text.encode())
    verdict(CODECS[JSON], f'{{"type":"open","handle":1,"model":{text},"session_id":{text}}}'.encode())


SIZES = (0xFFFF, 0xFFFFFF, 0xFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
HEADS = {
    "map": b"\xdf%s",
    "array in place of the map": b"\xdd%s",
    "handles": b"\x84\xa4type\xa6frames\xa7handles\xdd%s",
    "seqs": b"\x84\xa4type\xa6frames\xa7handles\x91\x01\xa4seqs\xdd%s",
    "payload": b"\x84\xa4type\xa5frame\xa6handle\x01\xa3seq\x00\xa7payload\xc6%s",
    "text": b"\x83\xa4type\xa4open\xa6handle\x01\xa5model\xdb%s",
    "key": b"\x83\xdb%s",
    "type": b"\x83\xa4type\xdb%s",
    "ext": b"\x83\xa4type\xa5close\xa6handle\xc9%s\x01",
    "unknown array before the type": b"\x83\xa1x\xdd%s",
    "unknown map before the type": b"\x83\xa1x\xdf%s",
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("tail", [b"", b"\x01" * 50_000], ids=["cut", "filled"])
def test_a_declared_size_allocates_nothing(head, size, tail):
    payload = head % size.to_bytes(4, "big") + tail
    tracemalloc.start()
    try:
        assert isinstance(verdict(CODECS[MSGPACK], payload), PeerError)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4_000_000


@pytest.mark.parametrize("depth", [10, 900, 1100, 40_000])
@pytest.mark.parametrize("prefix", ['{"type":"close","handle":', '{"x":', '{"type":"close","x":', ""])
def test_nesting(prefix, depth):
    assert isinstance(verdict(CODECS[JSON], (prefix + "[" * depth).encode()), MalformedError)
    assert isinstance(verdict(CODECS[JSON], (prefix + '{"a":' * (depth // 3)).encode()), MalformedError)
    head = {"": b"", '{"x":': b"\x81\xa1x"}.get(prefix, b"\x82\xa4type\xa5close\xa6handle")
    assert isinstance(verdict(CODECS[MSGPACK], head + b"\x91" * depth), MalformedError)
    assert isinstance(verdict(CODECS[MSGPACK], head + b"\x81\xa1a" * (depth // 3)), MalformedError)


@pytest.mark.parametrize(
    "payload",
    [b"\x91" * 99_000, b"\xdd\xff\xff\xff\xff" * 19_000, b"\x81\xa1x" * 33_000],
    ids=["arrays", "sizes", "maps"],
)
def test_a_hostile_message_is_refused_without_memory_of_its_size(payload):
    tracemalloc.start()
    try:
        assert isinstance(verdict(CODECS[MSGPACK], payload), MalformedError)
        assert tracemalloc.get_traced_memory()[1] < 10 * len(payload)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("protocol", m.PROTOCOLS)
def test_more_bytes_than_the_limit(protocol):
    codec = CODECS[protocol]
    fault = verdict(codec, b"{" * (LIMITS.max_message_bytes + 1))
    assert isinstance(fault, OversizedError)
    assert fault.fields == {"expected": 100_000, "got": 100_001}
    assert isinstance(verdict(codec, b"{" * LIMITS.max_message_bytes), MalformedError)


@pytest.mark.parametrize("protocol", m.PROTOCOLS)
def test_more_frames_than_the_limit(protocol):
    codec = CODECS[protocol]
    assert isinstance(verdict(codec, codec.encode(m.Frame(1, 0, b"", 100))), m.Frame)
    assert isinstance(verdict(codec, codec.encode(m.Frame(1, 0, b"", 101))), OversizedError)
    assert isinstance(verdict(codec, codec.encode(m.Frames([1] * 100, [0] * 100, b""))), m.Frames)
    assert isinstance(verdict(codec, codec.encode(m.Frames([1] * 101, [0] * 101, b""))), OversizedError)


@pytest.mark.parametrize("protocol", m.PROTOCOLS)
def test_text_where_binary_is_due_and_the_reverse(protocol):
    codec = CODECS[protocol]
    assert isinstance(verdict(codec, codec.encode(m.Close(1)), not codec.is_text), WrongKindError)


def test_the_reason_does_not_echo_what_was_sent():
    key = "k" * 50_000
    fault = verdict(CODECS[JSON], f'{{"type":"close","{key}":1}}'.encode())
    assert isinstance(fault, MalformedError) and len(fault.message) < MAX_REASON_CHARS + 100


def test_a_bytearray_and_a_memoryview_do_as_well():
    codec = CODECS[MSGPACK]
    payload = codec.encode(m.Frame(1, 2, b"1234"))
    assert codec.decode(bytearray(payload), False) == codec.decode(memoryview(payload), False) == m.Frame(1, 2, b"1234")


def test_an_unknown_sub_protocol():
    with pytest.raises(MalformedError, match=r"expected sub-protocol streamrnn\.v1\.msgpack or"):
        Codec("streamrnn.v2.msgpack", LIMITS)


ENCODERS = {MSGPACK: msgspec.msgpack.encode, JSON: msgspec.json.encode}


def large(protocol, handles, payload_bytes, **more):
    plain = {"type": "frames", "handles": handles, "seqs": handles[:100], "payload": bytes(payload_bytes), **more}
    return ENCODERS[protocol](plain)


@pytest.mark.parametrize("protocol", m.PROTOCOLS)
def test_a_large_message_must_be_mostly_payload(protocol):
    codec = Codec(protocol, Limits(max_fields_bytes=5000, max_chunk_frames=10))
    assert len(codec.decode(large(protocol, [1] * 10, 100_000), codec.is_text).payload) == 100_000
    with pytest.raises(OversizedError, match="expected at most 5000 bytes beside the payload"):
        codec.decode(large(protocol, [1] * 6000, 100_000), codec.is_text)
    with pytest.raises(OversizedError, match="beside the payload"):
        codec.decode(large(protocol, [1] * 10, 10, junk="x" * 6000), codec.is_text)
    with pytest.raises(MalformedError, match="unknown field"):
        codec.decode(large(protocol, [1] * 10, 10, junk="x" * 3000), codec.is_text)


@pytest.mark.parametrize("protocol", m.PROTOCOLS)
def test_a_key_that_stands_again_and_again_counts_each_time(protocol):
    codec = Codec(protocol, Limits(max_fields_bytes=5000, max_chunk_frames=10))
    if protocol == JSON:
        piece = b',"payload":"' + b"A" * 4000 + b'"'
        messages = [b'{"type":"frames","handles":[1],"seqs":[1]' + piece * n + b"}" for n in (2, 3)]
    else:
        piece = b"\xa7payload\xc5" + (4000).to_bytes(2, "big") + bytes(4000)
        rest = b"\xa4type\xa6frames\xa7handles\x91\x01\xa4seqs\x91\x01"
        messages = [bytes([0x83 + n]) + rest + piece * n for n in (2, 3)]
    assert len(codec.decode(messages[0], codec.is_text).payload) >= 3000
    with pytest.raises(OversizedError, match="beside the payload"):
        codec.decode(messages[1], codec.is_text)


@pytest.mark.parametrize("protocol", m.PROTOCOLS)
def test_the_most_frames_in_their_longest_form_fit_beside_the_payload(protocol):
    codec, n = Codec(protocol, Limits(max_fields_bytes=1, max_chunk_frames=1000)), 1000
    longest = m.Frames([2**31 - 1] * n, [2**53 - 1] * n, bytes(4 * n), [2**53 - 1] * n)
    assert codec.decode(codec.encode(longest), codec.is_text) == longest
