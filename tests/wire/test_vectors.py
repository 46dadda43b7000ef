"""The golden files say what this codec, `msgpack`, `json` and a hub say."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest

from streamrnn.errors import PeerError
from streamrnn.limits import Limits
from streamrnn.wire import messages as m
from streamrnn.wire.codec import JSON, Codec
from streamrnn.wire.refusal import close_code_of
from tests.wire.make_dialogues import Stage, dialogues
from tests.wire.make_vectors import CLIENT, FOLDER, SERVER, golden, malformed, plain, shortest


def load(name: str, key: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads((FOLDER / name).read_text(encoding="utf-8"))[key]
    return listed


MESSAGES = load("messages.json", "messages")
MALFORMED = load("malformed.json", "malformed")
DIALOGUES = load("dialogues.json", "dialogues")


def name_of(vector: dict[str, Any]) -> str:
    return f"{vector['sub_protocol'].rpartition('.')[2]}-{vector['name']}".replace(" ", "_")


def decoded(vector: dict[str, Any]) -> Any:
    codec = Codec(vector["sub_protocol"], Limits())
    decode = codec.decode_server if vector.get("sender") == "server" else codec.decode
    return decode(bytes.fromhex(vector["hex"]), codec.is_text)


def independent(vector: dict[str, Any]) -> dict[str, Any]:
    """Decode without msgspec."""
    payload = bytes.fromhex(vector["hex"])
    found: dict[str, Any] = json.loads(payload) if vector["sub_protocol"] == JSON else msgpack.unpackb(payload)
    if "payload" in found:
        raw = found["payload"]
        found["payload"] = (base64.b64decode(raw, validate=True) if isinstance(raw, str) else raw).hex()
    return found


def test_the_files_are_those_that_the_script_makes():
    assert golden() == MESSAGES
    assert malformed() == MALFORMED
    assert dialogues() == DIALOGUES


def test_every_type_stands_in_both_encodings():
    tags = {kind.__struct_config__.tag for kind in (*m.ClientMessage.__args__, *m.ServerMessage.__args__)}
    for protocol in m.PROTOCOLS:
        assert {v["fields"]["type"] for v in MESSAGES if v["sub_protocol"] == protocol} == tags


@pytest.mark.parametrize("vector", MESSAGES, ids=name_of)
def test_bytes_decode_to_the_fields(vector):
    assert plain(decoded(vector)) == vector["fields"]


@pytest.mark.parametrize("vector", MESSAGES, ids=name_of)
def test_fields_encode_to_the_bytes(vector):
    message = (CLIENT if vector["sender"] == "client" else SERVER)[vector["name"]]
    assert plain(message) == vector["fields"]
    encoded = Codec(vector["sub_protocol"], Limits()).encode(message)
    assert shortest(encoded, vector["sub_protocol"]).hex() == vector["hex"]


def is_part(found: Any, whole: Any) -> bool:
    """Whether all that is found stands in the whole, which also has the keys that were left out."""
    if isinstance(found, dict):
        return all(key in whole and is_part(value, whole[key]) for key, value in found.items())
    if isinstance(found, list):
        return len(found) == len(whole) and all(map(is_part, found, whole))
    return found == whole


@pytest.mark.parametrize("vector", MESSAGES, ids=name_of)
def test_another_implementation_reads_the_same(vector):
    found = independent(vector)
    assert is_part(found, vector["fields"])


@pytest.mark.parametrize("vector", MALFORMED, ids=name_of)
def test_malformed_bytes_are_refused_as_written(vector):
    codec = Codec(vector["sub_protocol"], Limits())
    with pytest.raises(PeerError) as raised:
        codec.decode(bytes.fromhex(vector["hex"]), vector["kind"] == "text")
    assert raised.value.code == vector["code"]
    assert raised.value.scope == "connection"
    assert close_code_of(raised.value) == vector["close_code"]


@pytest.mark.parametrize("vector", DIALOGUES, ids=name_of)
def test_a_hub_plays_the_server_of_each_dialogue(vector):
    stage = Stage(vector["sub_protocol"])
    codec = stage.peer.codec
    replies: list[bytes] = []
    for step in vector["steps"]:
        if step["from"] != "server" and replies:
            raise AssertionError(f"a reply that the dialogue does not have: {replies[0]!r}")
        if step["from"] == "client":
            stage.receive(bytes.fromhex(step["hex"]))
        elif step["from"] == "event":
            stage.happen(step)
        else:
            if not replies:
                replies = stage.peer.take()
            if not replies:
                stage.tick()
                replies = stage.peer.take()
            expected = plain(codec.decode_server(bytes.fromhex(step["hex"]), codec.is_text))
            got = plain(codec.decode_server(replies.pop(0), codec.is_text))
            for key in vector["ignore"]:
                expected.pop(key, None), got.pop(key, None)
            assert got == expected
    assert not replies and not stage.peer.take()
    assert stage.peer.close_code == vector["close_code"]
