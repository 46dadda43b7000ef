"""The two encodings of a message; strict both ways, as v1 demands: an unknown type, key or value is malformed.

One table a message class is built from its type hints; the encodings differ only in how they write a map and whether a
payload is `bytes` or base64 text. Nothing here comes from the server's code, so each proves the other's bytes.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import types
from collections.abc import Callable
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints

import msgpack  # type: ignore[import-untyped]

from streamrnn_client import messages
from streamrnn_client.errors import MalformedError, OptionError
from streamrnn_client.messages import Head, Message, OutputEvent, Port, Range, Word

Check = Callable[[Any], Any]
"""Takes a value off the wire, returns the field's value, or raises ValueError."""

PARTS = (Port, Head, OutputEvent, Word)
"""What stands inside messages: maps without a type."""

PLANS: dict[type[Any], tuple[tuple[str, Any], ...]] = {
    kind: tuple((field.name, field.default) for field in dataclasses.fields(kind)) for kind in (*messages.ALL, *PARTS)
}
"""Name and default of each field; `dataclasses.MISSING`, which equals nothing else, where there is none."""


class Codec(Protocol):
    """One encoding; `binary` says whether its websocket messages are binary or text."""

    binary: bool

    def encode(self, message: Message) -> bytes:
        """The bytes of one message."""

    def decode(self, payload: bytes) -> Message:
        """The message in `payload`; raises MalformedError."""


class _Codec:
    """What the two encodings share."""

    binary: bool

    def __init__(self) -> None:
        self._tables = {kind.type: _Table(kind, self._payload_in) for kind in messages.ALL}

    def encode(self, message: Message) -> bytes:
        """The bytes of one message: `type` first, then the fields in order, without those that hold their default."""
        return self._dump(_fields(message, self._payload_out, {"type": message.type}))

    def decode(self, payload: bytes) -> Message:
        """The message in `payload`.

        Raises:
            MalformedError: not exactly one message of v1.
        """
        try:
            document = self._load(payload)
            if type(document) is not dict:
                raise ValueError("expected a map")
            table = self._tables.get(document.pop("type", None))
            if table is None:
                raise ValueError("expected a known type")
            message: Message = table.build(document)
            return message
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise MalformedError(f"{len(payload)} bytes that are not a message of v1: {error}") from error

    def _dump(self, document: dict[str, Any]) -> bytes:
        raise NotImplementedError

    def _load(self, payload: bytes) -> Any:
        raise NotImplementedError

    def _payload_out(self, payload: bytes) -> Any:
        raise NotImplementedError

    def _payload_in(self, value: Any) -> bytes:
        raise NotImplementedError


class MsgpackCodec(_Codec):
    """`streamrnn.v1.msgpack`: binary, payloads as `bin`."""

    binary = True

    def _dump(self, document: dict[str, Any]) -> bytes:
        packed: bytes = msgpack.packb(document)
        return packed

    def _load(self, payload: bytes) -> Any:
        return msgpack.unpackb(payload)

    def _payload_out(self, payload: bytes) -> Any:
        return payload

    def _payload_in(self, value: Any) -> bytes:
        if type(value) is not bytes:
            raise ValueError("expected a payload as bin")
        return value


class JsonCodec(_Codec):
    """`streamrnn.v1.json`: text, payloads as base64."""

    binary = False

    def _dump(self, document: dict[str, Any]) -> bytes:
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()

    def _load(self, payload: bytes) -> Any:
        return json.loads(payload.decode("utf-8"))

    def _payload_out(self, payload: bytes) -> Any:
        return base64.b64encode(payload).decode("ascii")

    def _payload_in(self, value: Any) -> bytes:
        if type(value) is not str:
            raise ValueError("expected a payload as base64 text")
        return base64.b64decode(value, validate=True)


@functools.cache
def codec_of(encoding: str) -> Codec:
    """The codec named `msgpack` or `json`; one for all, since it keeps nothing and its tables take milliseconds.

    Raises:
        OptionError: another name.
    """
    if encoding == "msgpack":
        return MsgpackCodec()
    if encoding == "json":
        return JsonCodec()
    raise OptionError(f"expected encoding 'msgpack' or 'json', got {encoding!r}")


class _Table:
    """How one class is built from a map: a check for each key, and which keys must be there."""

    def __init__(self, kind: type[Any], payload_in: Check) -> None:
        hints = get_type_hints(kind, include_extras=True)
        fields = dataclasses.fields(kind)
        self.kind = kind
        self.checks = {field.name: _check_of(hints[field.name], payload_in) for field in fields}
        self.required = {field.name for field in fields if field.default is dataclasses.MISSING}

    def build(self, document: dict[str, Any]) -> Any:
        if not document.keys() >= self.required:
            missing = self.required - document.keys()
            raise ValueError(f"{self.kind.__name__} lacks {', '.join(sorted(missing))}")
        values = {}
        for key, value in document.items():
            check = self.checks.get(key)
            if check is None:
                raise ValueError(f"{self.kind.__name__} has no key {key!r}")
            values[key] = check(value)
        return self.kind(**values)


def _fields(value: Any, payload_out: Callable[[bytes], Any], found: dict[str, Any]) -> dict[str, Any]:
    """Add to `found`, and return it, the fields of a message, or part of one, that do not hold their default."""
    for name, default in PLANS[type(value)]:
        item = getattr(value, name)
        if item == default:
            continue
        if type(item) is bytes:
            item = payload_out(item)
        elif type(item) is tuple:
            is_plain = not item or type(item[0]) not in PARTS
            item = list(item) if is_plain else [_fields(entry, payload_out, {}) for entry in item]
        elif type(item) in PARTS:
            item = _fields(item, payload_out, {})
        found[name] = item
    return found


def _check_of(hint: Any, payload_in: Check) -> Check:
    """The check that a type hint of `messages` stands for."""
    bounds = Range(-(2**63), 2**64)
    if get_origin(hint) is Annotated:
        hint, bounds = get_args(hint)
    if hint is bytes:
        return payload_in
    if hint is int:
        return _int_check(bounds)
    if hint is float:
        return _float
    if hint is str:
        return _text
    if hint is bool:
        return lambda value: _exactly(value, bool)
    if hint in PARTS:
        table = _Table(hint, payload_in)
        return lambda value: table.build(_exactly(value, dict))
    if get_origin(hint) is Literal:
        return lambda value: _one_of(value, get_args(hint))
    if get_origin(hint) is tuple:
        item = _check_of(get_args(hint)[0], payload_in)
        return lambda value: _tuple(value, item, bounds)
    if get_origin(hint) in (Union, types.UnionType):
        inner = _check_of(get_args(hint)[0], payload_in)
        return lambda value: None if value is None else inner(value)
    raise TypeError(f"no check for {hint!r}")


def _exactly(value: Any, kind: type[Any]) -> Any:
    if type(value) is not kind:
        raise ValueError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def _text(value: Any) -> str:
    text: str = _exactly(value, str)
    text.encode()  # JSON can spell half a surrogate pair, which is no text
    return text


def _float(value: Any) -> float:
    if type(value) not in (float, int):
        raise ValueError(f"expected a number, got {type(value).__name__}")
    return float(value)


def _int_check(bounds: Range) -> Check:
    low, high = bounds

    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"expected an integer in {low} .. {high}")
        return value

    return check


def _one_of(value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"expected one of {allowed}, got {value!r}")
    return value


def _tuple(value: Any, item: Check, bounds: Range) -> tuple[Any, ...]:
    if type(value) is not list or len(value) > bounds.high or len(value) < max(0, bounds.low):
        raise ValueError("expected a list of a legal length")
    return tuple([item(entry) for entry in value])
