"""Writes the golden messages of `clients/vectors/`: `python -m tests.wire.make_vectors`.

The files are committed; `test_vectors.py` holds them against this codec, `msgpack` and `json`, and against a hub.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import msgspec

from streamrnn.limits import Limits
from streamrnn.wire import messages as m
from streamrnn.wire.codec import JSON, MSGPACK, Codec

FOLDER = Path(__file__).resolve().parents[2] / "clients" / "vectors"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def f32(*values: float) -> bytes:
    """Little-endian float32 bytes."""
    return struct.pack(f"<{len(values)}f", *values)


CLIENT: dict[str, m.ClientMessage] = {
    "open": m.Open(1, "temp"),
    "open with a session id": m.Open(2147483647, "größe", "line-7/pump α"),
    "open to resume": m.Open(1, "temp", "a1b2", "x" * 43, 41, 7, 6),
    "open with every option": m.Open(
        *(1, "temp", None, None, -1, None, 0, 64, "skip_output", 60_000, 120_000, "linear", 20_000, 2**53 - 1),
        '{"kind":"labels"}',
    ),
    "frame": m.Frame(1, 0, f32(1.0)),
    "frame of two": m.Frame(300, 70000, f32(1.5, -2.0, 0.0, 3.25), 2),
    "frame with the largest seq": m.Frame(0, 2**53 - 1, f32(-0.0)),
    "frames": m.Frames([1, 200], [5, 6], f32(1.0, 2.0, 3.0, 4.0)),
    "frame with a time": m.Frame(1, 3, f32(1.0), 1, 1_700_000_000_000_000),
    "frames with times": m.Frames([1, 200], [5, 6], f32(1.0, 2.0), [0, 20_000]),
    "reset": m.Reset(1),
    "warm reset": m.Reset(1, 50),
    "flush": m.Flush(1),
    "snapshot": m.Snapshot(1),
    "restore": m.Restore(3, bytes(range(8))),
    "restore with a session id": m.Restore(3, b"\xff" * 5, "again"),
    "rollback": m.Rollback(1, bytes(range(8))),
    "fork": m.Fork(1, 2),
    "fork with a session id": m.Fork(1, 2, "twin"),
    "generate": m.Generate(1, 3, 20),
    "generate with every option": m.Generate(1, 70_000, 64, 0.75, 40, 2**53 - 1, 10),
    "close": m.Close(1),
}

SERVER: dict[str, m.ServerMessage] = {
    "opened": m.Opened(1, "a1b2", "temp", DIGEST, 0, False, m.Port(1), m.Port(2), (), 1024),
    "opened with all fields": m.Opened(
        2,
        "line-7/pump α",
        "text",
        DIGEST,
        17,
        True,
        m.Port(1, "token", 96, ("id",)),
        m.Port(2, names=("p0", "p1"), heads=(m.Head("speech", 1), m.Head("größe", 1)), delay=3),
        ("no", "yes"),
        64,
        "x" * 43,
        True,
        16,
        60_000,
        120_000,
        100.0,
        "labels",
    ),
    "opened with steps in a frame": m.Opened(
        1, "a1b2", "vad", DIGEST, 0, False, m.Port(512, steps=256), m.Port(4, steps=2, delay=1), (), 1024
    ),
    "output": m.Output(1, 0, f32(0.5, -0.25)),
    "output of two": m.Output(300, 70000, f32(0.5, -0.25, 1.0, 2.0), 2),
    "output after a gap": m.Output(1, 3, f32(0.5, -0.25), 1, 4),
    "output after a reset": m.Output(1, 3, f32(0.5, -0.25), 1, 0, True),
    "output with an event": m.Output(1, 3, f32(0.5, -0.25), events=(m.OutputEvent("keyword", 3, "größe", 0.75, 1),)),
    "output with a transcript": m.Output(
        *(1, 3, f32(0.5, -0.25, 1.0, 2.0), 2, 0, False),
        (
            m.OutputEvent("partial", 3, "one"),
            m.OutputEvent("final", 4, "one two", 0.5, -1, "rule2", (m.Word("one", 0, 2, 0.5), m.Word("two", 3, 3))),
        ),
    ),
    "output with tokens": m.Output(
        *(1, 3, f32(0.5, -0.25, 1.0, 2.0), 2, 0, False),
        (m.OutputEvent("token", 3, "größe", 0.0, 1), m.OutputEvent("token", 4, "", 0.0, 0, "length")),
    ),
    "skipped": m.Skipped(1, 3, 5, True),
    "skipped without a step": m.Skipped(1, 3, 5, False),
    "outputs": m.Outputs([1, 200], [5, 6], f32(0.5, -0.5)),
    "ack of reset": m.Ack(1, "reset", 2),
    "ack before any frame": m.Ack(1, "flush", -1),
    "ack of rollback": m.Ack(1, "rollback", 16),
    "ack of a checkpoint": m.Ack(1, "checkpoint", 70_000, 69_999),
    "event": m.Event(1, "parked", 7),
    "event of the return": m.Event(1, "live", 7),
    "snapshotted": m.Snapshotted(1, 3, bytes(range(8))),
    "error of a frame": m.Error("bad_seq", "frame", False, "expected seq 3, got 7", "frame", 1, 7, 3),
    "error of a session": m.Error("at_capacity", "session", True, "every slot is held", "open", 4),
    "error of the connection": m.Error("malformed", "connection", False, "expected a message"),
    "go_away": m.GoAway(5000),
    "closed": m.Closed(1, "closed", 3),
    "closed after long silence": m.Closed(1, "expired", 3),
    "closed by another owner": m.Closed(1, "taken_over", 3),
    "closed by the server": m.Closed(1, "draining", 0),
}


def plain(message: Any) -> dict[str, Any]:
    """A message as plain values, every key there, payloads as hex."""
    fields = msgspec.to_builtins(message, builtin_types=(bytes,))
    full = {name: getattr(message, name) for name in message.__struct_fields__}
    shown: dict[str, Any] = {"type": fields["type"]}
    for name, value in full.items():
        if isinstance(value, bytes):
            shown[name] = value.hex()
        else:
            shown[name] = _listed(value)
    return shown


def _listed(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_listed(entry) for entry in value]
    if isinstance(value, msgspec.Struct):
        return {key: _listed(getattr(value, key)) for key in value.__struct_fields__}
    return value


def shortest(encoded: bytes, protocol: str) -> bytes:
    """The same message as most libraries write it: msgspec takes the longer header for a class of many fields."""
    return encoded if protocol == JSON else bytes(msgpack.packb(msgpack.unpackb(encoded)))


def golden() -> list[dict[str, Any]]:
    """Every message in both encodings."""
    vectors = []
    for sender, listed in (("client", CLIENT), ("server", SERVER)):
        for name, message in listed.items():
            for protocol in m.PROTOCOLS:
                encoded = shortest(Codec(protocol, Limits()).encode(message), protocol)
                vectors.append(
                    {
                        "name": name,
                        "sub_protocol": protocol,
                        "sender": sender,
                        "hex": encoded.hex(),
                        "fields": plain(message),
                    }
                )
    return vectors


def _json(text: str) -> bytes:
    return text.encode()


FRAME = Codec(MSGPACK, Limits()).encode(m.Frame(1, 0, f32(1.0)))
HEAD = b"\xa4type\xa6frames\xa7handles"

MALFORMED_MSGPACK: dict[str, bytes] = {
    "empty": b"",
    "cut in the middle": FRAME[:20],
    "cut before the last byte": FRAME[:-1],
    "a byte too many": FRAME + b"\x00",
    "not a map": b"\x93\x01\x02\x03",
    "the byte that MessagePack never uses": b"\xc1",
    "a map of 4 G entries": b"\xdf\xff\xff\xff\xff",
    "a list of 4 G handles": b"\x84" + HEAD + b"\xdd\xff\xff\xff\xff",
    "a list without handles": b"\x84" + HEAD + b"\x90\xa4seqs\x90\xa7payload\xc4\x00",
    "more handles than seqs": b"\x84" + HEAD + b"\x92\x01\x02\xa4seqs\x91\x00\xa7payload\xc4\x00",
    "a payload of 4 GiB": b"\x84\xa4type\xa5frame\xa6handle\x01\xa3seq\x00\xa7payload\xc6\xff\xff\xff\xff",
    "a payload as text": b"\x84\xa4type\xa5frame\xa6handle\x01\xa3seq\x00\xa7payload\xa4abcd",
    "lists nested 2000 deep": b"\x82\xa4type\xa5close\xa6handle" + b"\x91" * 2000 + b"\x01",
    "lists nested 2000 deep before the type": b"\x82\xa6handle" + b"\x91" * 2000 + b"\x01\xa4type\xa5close",
    "an unknown type": b"\x82\xa4type\xa5clone\xa6handle\x01",
    "a type of the server": b"\x82\xa4type\xa7go_away\xabdeadline_ms\x01",
    "no type": b"\x81\xa6handle\x01",
    "an unknown key": b"\x83\xa4type\xa5close\xa6handle\x01\xa3why\x01",
    "a missing key": b"\x81\xa4type\xa5close",
    "a key that is no text": b"\x82\xa4type\xa5close\x01\x01",
    "a handle as text": b"\x82\xa4type\xa5close\xa6handle\xa11",
    "a handle as float": b"\x82\xa4type\xa5close\xa6handle\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00",
    "a handle of nil": b"\x82\xa4type\xa5close\xa6handle\xc0",
    "a handle below 0": b"\x82\xa4type\xa5close\xa6handle\xff",
    "a handle of 2^31": b"\x82\xa4type\xa5close\xa6handle\xce\x80\x00\x00\x00",
    "an extension type": b"\x82\xa4type\xa5close\xa6handle\xd4\x01\x01",
    "a seq of 2^53": b"\x84\xa4type\xa5frame\xa6handle\x01\xa7payload\xc4\x00\xa3seq\xcf\x00\x20" + bytes(6),
    "n of 0": b"\x85\xa4type\xa5frame\xa6handle\x01\xa3seq\x00\xa7payload\xc4\x00\xa1n\x00",
    "n of 65537": b"\x85\xa4type\xa5frame\xa6handle\x01\xa3seq\x00\xa7payload\xc4\x00\xa1n\xce\x00\x01\x00\x01",
    "text that is not UTF-8": b"\x83\xa4type\xa4open\xa6handle\x01\xa5model\xa2\xff\xfe",
}

MALFORMED_JSON: dict[str, bytes] = {
    "empty": b"",
    "cut in the middle": _json('{"type":"frame","handle":1,"se'),
    "a byte too many": _json('{"type":"close","handle":1}}'),
    "not an object": _json("[1,2,3]"),
    "lists nested 2000 deep": _json('{"type":"close","handle":' + "[" * 2000 + "]" * 2000 + "}"),
    "lists nested 2000 deep before the type": _json('{"handle":' + "[" * 2000 + "]" * 2000 + ',"type":"close"}'),
    "an unknown type": _json('{"type":"clone","handle":1}'),
    "a type of the server": _json('{"type":"go_away","deadline_ms":1}'),
    "no type": _json('{"handle":1}'),
    "an unknown key": _json('{"type":"close","handle":1,"why":1}'),
    "a missing key": _json('{"type":"close"}'),
    "a handle as text": _json('{"type":"close","handle":"1"}'),
    "a handle as float": _json('{"type":"close","handle":1.5}'),
    "a handle of null": _json('{"type":"close","handle":null}'),
    "a handle of true": _json('{"type":"close","handle":true}'),
    "a handle below 0": _json('{"type":"close","handle":-1}'),
    "a handle of 400 digits": _json('{"type":"close","handle":' + "9" * 400 + "}"),
    "NaN as a handle": _json('{"type":"close","handle":NaN}'),
    "a payload that is no base64": _json('{"type":"frame","handle":1,"seq":0,"payload":"AAC*Pw=="}'),
    "a payload without padding": _json('{"type":"frame","handle":1,"seq":0,"payload":"AACAPw"}'),
    "a payload in the URL alphabet": _json('{"type":"frame","handle":1,"seq":0,"payload":"__-_Pw=="}'),
    "a payload as a list": _json('{"type":"frame","handle":1,"seq":0,"payload":[1.0]}'),
    "more handles than seqs": _json('{"type":"frames","handles":[1,2],"seqs":[0],"payload":""}'),
    "text that is not UTF-8": b'{"type":"open","handle":1,"model":"\xff\xfe"}',
    "half a surrogate pair": _json('{"type":"open","handle":1,"model":"\\ud800"}'),
}


def malformed() -> list[dict[str, Any]]:
    """Messages that a server refuses with an error that ends the connection."""
    vectors = []
    for protocol, listed in ((MSGPACK, MALFORMED_MSGPACK), (JSON, MALFORMED_JSON)):
        kind = "text" if protocol == JSON else "binary"
        for name, payload in listed.items():
            vectors.append(_refused(name, protocol, kind, payload, "malformed", 1007))
        other = "binary" if kind == "text" else "text"
        close = Codec(protocol, Limits()).encode(m.Close(1))
        vectors.append(_refused(f"{other} where {kind} is due", protocol, other, close, "malformed", 1003))
        long = Codec(protocol, Limits()).encode(m.Frame(1, 0, b"", Limits().max_chunk_frames + 1))
        vectors.append(_refused("more frames than max_chunk_frames", protocol, kind, long, "too_large", 1009))
    return vectors


def _refused(name: str, protocol: str, kind: str, payload: bytes, code: str, close_code: int) -> dict[str, Any]:
    return {
        "name": name,
        "sub_protocol": protocol,
        "kind": kind,
        "hex": payload.hex(),
        "code": code,
        "close_code": close_code,
    }


def write(name: str, about: str, key: str, vectors: list[dict[str, Any]]) -> None:
    """Write one file, a vector a line."""
    lines = ",\n".join("    " + json.dumps(vector, ensure_ascii=False) for vector in vectors)
    text = f'{{\n  "about": {json.dumps(about)},\n  "{key}": [\n{lines}\n  ]\n}}\n'
    json.loads(text)
    (FOLDER / name).write_text(text, encoding="utf-8")


def main() -> None:
    """Write every file."""
    from tests.wire.make_dialogues import dialogues

    FOLDER.mkdir(parents=True, exist_ok=True)
    write("messages.json", "Golden messages; payloads in fields are hex.", "messages", golden())
    write("malformed.json", "What a server refuses, and how.", "malformed", malformed())
    write("dialogues.json", "Whole connections; see README.md.", "dialogues", dialogues())


if __name__ == "__main__":
    main()
