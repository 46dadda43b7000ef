"""The client's own codec against the golden messages, and against bytes that are no message."""

from __future__ import annotations

import dataclasses
import json
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamrnn_client import messages as m
from streamrnn_client.codec import Codec, codec_of
from streamrnn_client.errors import MalformedError, OptionError

VECTORS = Path(__file__).resolve().parents[2] / "clients" / "vectors"
CODECS = {name: codec_of(name) for name in m.PROTOCOLS}
BY_PROTOCOL = {m.PROTOCOLS[name]: codec for name, codec in CODECS.items()}
BY_TYPE = {kind.type: kind for kind in m.ALL}


def vectors(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))[name]
    return found


def named(vector: dict[str, Any]) -> str:
    return f"{vector['name']} {vector['sub_protocol'].removeprefix('streamrnn.v1.')}"


def as_fields(value: Any) -> Any:
    """A message as the vectors write it: payloads as hex, tuples as lists, every field."""
    if isinstance(value, m.Message):
        fields = dataclasses.fields(value)  # type: ignore[arg-type]
        return {"type": value.type, **{field.name: as_fields(getattr(value, field.name)) for field in fields}}
    if isinstance(value, m.Port | m.Head | m.OutputEvent | m.Word):
        return {field.name: as_fields(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, bytes):
        return value.hex()
    return [as_fields(item) for item in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("vector", vectors("messages"), ids=named)
def test_golden_message(vector: dict[str, Any]) -> None:
    codec = BY_PROTOCOL[vector["sub_protocol"]]
    message = codec.decode(bytes.fromhex(vector["hex"]))
    assert as_fields(message) == vector["fields"]
    if isinstance(message, m.ClientMessage):  # a server may write a longer header of a map than it needs
        assert codec.encode(message).hex() == vector["hex"]
    assert codec.decode(codec.encode(message)) == message


def test_the_golden_messages_hold_every_type_in_both_encodings() -> None:
    seen = {(vector["sub_protocol"], vector["fields"]["type"]) for vector in vectors("messages")}
    assert seen == {(name, kind.type) for name in m.PROTOCOLS.values() for kind in m.ALL}


NOT_MALFORMED_HERE = {"a type of the server"}
"""We do take those."""


def of_the_codec(vector: dict[str, Any]) -> bool:
    """Neither a matter of the link, such as text where binary is due, nor of the server's limits."""
    codec = BY_PROTOCOL[vector["sub_protocol"]]
    return (vector["kind"] == "binary") is codec.binary and bool(vector["code"] == "malformed")


@pytest.mark.parametrize("vector", [v for v in vectors("malformed") if of_the_codec(v)], ids=named)
def test_what_the_server_calls_malformed_we_do_too(vector: dict[str, Any]) -> None:
    codec = BY_PROTOCOL[vector["sub_protocol"]]
    if vector["name"] in NOT_MALFORMED_HERE:
        assert codec.decode(bytes.fromhex(vector["hex"]))
        return
    with pytest.raises(MalformedError):
        codec.decode(bytes.fromhex(vector["hex"]))


def test_every_truncation_is_malformed() -> None:
    for codec in CODECS.values():
        for vector in vectors("messages"):
            whole = bytes.fromhex(vector["hex"])
            if BY_PROTOCOL[vector["sub_protocol"]] is codec:
                for end in range(len(whole)):
                    with pytest.raises(MalformedError):
                        codec.decode(whole[:end])


@given(st.binary(max_size=64))
def test_any_bytes_are_a_message_or_malformed(payload: bytes) -> None:
    for codec in CODECS.values():
        try:
            message = codec.decode(payload)
        except MalformedError:
            continue
        assert codec.decode(codec.encode(message)) == message


@given(st.data())
def test_flipped_bits_are_a_message_or_malformed(data: st.DataObject) -> None:
    vector = data.draw(st.sampled_from(vectors("messages")))
    payload = bytearray.fromhex(vector["hex"])
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    codec = BY_PROTOCOL[vector["sub_protocol"]]
    try:
        message = codec.decode(bytes(payload))
    except MalformedError:
        return
    assert codec.decode(codec.encode(message)) == message


@pytest.mark.parametrize("depth", [50, 10_000, 1_000_000])
def test_deep_nesting_is_malformed(depth: int) -> None:
    for codec, payload in ((CODECS["msgpack"], b"\x91" * depth), (CODECS["json"], b"[" * depth)):
        with pytest.raises(MalformedError):
            codec.decode(payload)


def of_hint(hint: Any) -> st.SearchStrategy[Any]:
    """Legal values of a field."""
    bounds = m.Range(0, 8)
    if get_origin(hint) is Annotated:
        hint, bounds = get_args(hint)
    if hint is int:
        return st.integers(bounds.low, bounds.high)
    if hint is m.OutputEvent:
        words = st.lists(st.builds(m.Word, st.text(), st.integers(0, 9), st.integers(0, 9)), max_size=2).map(tuple)
        score = st.floats(0, 1)
        return st.builds(m.OutputEvent, st.just("final"), st.integers(0, 9), st.text(), score, words=words)
    if hint is m.Port:
        heads = st.lists(st.builds(m.Head, st.text(), st.integers(1, 9)), max_size=3).map(tuple)
        names = st.lists(st.text()).map(tuple)
        return st.builds(
            m.Port, size=st.integers(1, 9), names=names, heads=heads, steps=st.integers(1, 9), delay=st.integers(0, 9)
        )
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) is tuple:
        return st.lists(of_hint(get_args(hint)[0]), min_size=1, max_size=5).map(tuple)
    if get_origin(hint) in (Union, types.UnionType):
        return st.one_of(st.none(), of_hint(get_args(hint)[0]))
    return {str: st.text(), float: st.floats(0, 1e6), bytes: st.binary(), bool: st.booleans()}[hint]


@pytest.mark.parametrize("encoding", list(CODECS))
@given(data=st.data())
def test_any_message_survives_both_ways(encoding: str, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(m.ALL))
    hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    values = {name: data.draw(of_hint(hints[name])) for name in names}
    if "seqs" in values:
        values["seqs"] = tuple(range(len(values["handles"])))
        if values.get("times_us") is not None:
            values["times_us"] = values["seqs"]
    message = kind(**values)
    codec: Codec = CODECS[encoding]
    assert codec.decode(codec.encode(message)) == message


@pytest.mark.parametrize(
    "change",
    [
        {"seq": -1},
        {"seq": 2**53},
        {"handle": 2**31},
        {"handle": True},
        {"handle": 1.0},
        {"n": 0},
        {"n": 65537},
        {"payload": 5},
        {"payload": None},
        {"extra": 1},
        {"type": "outputt"},
        {"type": ["output"]},
        {"type": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("encoding", list(CODECS))
def test_a_field_out_of_range_is_malformed(encoding: str, change: dict[str, Any]) -> None:
    import msgpack  # type: ignore[import-untyped]

    payload: Any = b"\0" * 4 if encoding == "msgpack" else "AAAAAA=="
    document = {"type": "output", "handle": 1, "seq": 2, "payload": payload}
    write = msgpack.packb if encoding == "msgpack" else lambda document: json.dumps(document).encode()
    assert CODECS[encoding].decode(write(document)) == m.Output(1, 2, b"\0" * 4)
    with pytest.raises(MalformedError):
        CODECS[encoding].decode(write(document | change))


@pytest.mark.parametrize("text", ["AAAAAA=", "AAA AAA==", "AAAAAA==\n", "_-AAAA==", "é", "AAAAAA==AAAA"])
def test_base64_is_the_standard_one(text: str) -> None:
    document = {"type": "output", "handle": 1, "seq": 2, "payload": text}
    with pytest.raises(MalformedError):
        CODECS["json"].decode(json.dumps(document).encode())


def test_an_unknown_encoding_is_an_option_error() -> None:
    with pytest.raises(OptionError, match="msgpack"):
        codec_of("xml")
