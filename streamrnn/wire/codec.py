"""Bytes to typed messages and back, one `Codec` a sub-protocol; every fault leaves as a `PeerError`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from streamrnn.errors import MalformedError, OversizedError, PeerError
from streamrnn.limits import Limits
from streamrnn.wire.messages import PROTOCOLS, ClientMessage, Frame, Frames, Message, ServerMessage

MSGPACK, JSON = PROTOCOLS
MAX_REASON_CHARS = 200
MAX_ENTRY_BYTES = 64
"""An entry of `frames` beside its payload: handle, seq and time in their longest form, in either encoding."""

# Decoders and encoders are built once: each compiles the schema, and each is stateless between calls.
_CLIENT_DECODERS: dict[str, Any] = {
    MSGPACK: msgspec.msgpack.Decoder(ClientMessage),
    JSON: msgspec.json.Decoder(ClientMessage),
}
_SERVER_DECODERS: dict[str, Any] = {
    MSGPACK: msgspec.msgpack.Decoder(ServerMessage),
    JSON: msgspec.json.Decoder(ServerMessage),
}
_ENCODERS: dict[str, Any] = {MSGPACK: msgspec.msgpack.Encoder(), JSON: msgspec.json.Encoder()}


class _Payload(msgspec.Struct):
    """Of a message only where its payload is."""

    payload: msgspec.Raw = msgspec.Raw(b"")


_PAYLOAD_DECODERS: dict[str, Any] = {MSGPACK: msgspec.msgpack.Decoder(_Payload), JSON: msgspec.json.Decoder(_Payload)}

FAULTS = (msgspec.MsgspecError, ValueError, RecursionError, MemoryError, OverflowError)
"""All that msgspec raises on hostile bytes; ValueError: invalid UTF-8 leaves it as UnicodeDecodeError."""

Buffer = bytes | bytearray | memoryview


class WrongKindError(MalformedError):
    """Text where the sub-protocol speaks binary, or the reverse."""


class Codec:
    """One sub-protocol's encoding, bounded by `limits`.

    Raises:
        MalformedError: `protocol` is not one of `PROTOCOLS`.
    """

    __slots__ = (
        "_client_decode",
        "_max_chunk_frames",
        "_max_fields_bytes",
        "_max_message_bytes",
        "_payload_decode",
        "_server_decode",
        "encode",
        "is_text",
        "name",
    )

    def __init__(self, protocol: str, limits: Limits) -> None:
        if protocol not in PROTOCOLS:
            raise MalformedError(f"expected sub-protocol {' or '.join(PROTOCOLS)}, got {protocol!r}"[:MAX_REASON_CHARS])
        self.name = protocol
        self.is_text = protocol == JSON
        self.encode: Callable[[Message], bytes] = _ENCODERS[protocol].encode
        self._client_decode = _CLIENT_DECODERS[protocol].decode
        self._server_decode = _SERVER_DECODERS[protocol].decode
        self._payload_decode = _PAYLOAD_DECODERS[protocol].decode
        self._max_message_bytes = limits.max_message_bytes
        self._max_fields_bytes = max(limits.max_fields_bytes, MAX_ENTRY_BYTES * limits.max_chunk_frames)
        self._max_chunk_frames = limits.max_chunk_frames

    def decode(self, payload: Buffer, is_text: bool) -> ClientMessage:
        """Decode one message of a client.

        Args:
            payload: the bytes of one websocket message, at most `Limits.max_message_bytes`.
            is_text: whether they came as a text message.

        Raises:
            OversizedError: the message, or a count in it, exceeds the limits.
            WrongKindError: text where binary is due, or the reverse.
            MalformedError: the bytes are no message of a client in this sub-protocol.
        """
        if is_text is not self.is_text or len(payload) > self._max_message_bytes:
            raise self._wrong_form(len(payload), is_text)
        if len(payload) > self._max_fields_bytes:
            self._check_fields(payload)
        try:
            message: ClientMessage = self._client_decode(payload)
        except FAULTS as fault:
            raise self._malformed(fault) from None
        kind = type(message)
        if kind is Frame:
            if message.n > self._max_chunk_frames:  # type: ignore[union-attr]
                raise self._too_many(message.n)  # type: ignore[union-attr]
        elif kind is Frames:
            self._check_columns(message)  # type: ignore[arg-type]
        return message

    def decode_server(self, payload: Buffer, is_text: bool) -> ServerMessage:
        """Decode one message of a server, as a client would. Raises as `decode`."""
        if is_text is not self.is_text or len(payload) > self._max_message_bytes:
            raise self._wrong_form(len(payload), is_text)
        try:
            message: ServerMessage = self._server_decode(payload)
        except FAULTS as fault:
            raise self._malformed(fault) from None
        return message

    def _wrong_form(self, n_bytes: int, is_text: bool) -> PeerError:
        if is_text is not self.is_text:
            return WrongKindError(
                f"expected a {_kind(self.is_text)} message on {self.name}, got a {_kind(is_text)} one"
            )
        expected = self._max_message_bytes
        return OversizedError(
            f"expected at most {expected} bytes in a message, got {n_bytes}", expected=expected, got=n_bytes
        )

    def _malformed(self, fault: BaseException) -> MalformedError:
        if isinstance(fault, RecursionError):
            return MalformedError(f"expected a message of {self.name}, got deeply nested values")
        # The reason may quote a key of any length.
        return MalformedError(f"expected a message of {self.name}: {str(fault)[:MAX_REASON_CHARS]}")

    def _check_fields(self, payload: Buffer) -> None:
        """Refuse a large message that is not mostly payload: passing over lists takes a fraction of making them.

        A key that stands twice counts, for a list may be made each time.
        """
        try:
            found = self._payload_decode(payload)
        except FAULTS as fault:
            raise self._malformed(fault) from None
        n_bytes, expected = len(payload) - len(memoryview(found.payload)), self._max_fields_bytes
        if n_bytes > expected:
            raise OversizedError(
                f"expected at most {expected} bytes beside the payload of a message, got {n_bytes}",
                expected=expected,
                got=n_bytes,
            )

    def _check_columns(self, message: Frames) -> None:
        n = len(message.handles)
        if n > self._max_chunk_frames:
            raise self._too_many(n)
        if len(message.seqs) != n:
            raise MalformedError(f"expected as many seqs as handles, {n}, got {len(message.seqs)}")
        if message.times_us is not None and len(message.times_us) != n:
            raise MalformedError(f"expected as many times_us as handles, {n}, got {len(message.times_us)}")

    def _too_many(self, n: int) -> OversizedError:
        expected = self._max_chunk_frames
        return OversizedError(f"expected at most {expected} frames in a message, got {n}", expected=expected, got=n)


def _kind(is_text: bool) -> str:
    return "text" if is_text else "binary"
