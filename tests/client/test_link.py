"""The websocket under the dialogue, byte by byte, against the `websockets` library's own server side. No sockets."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamrnn_client import messages as m
from streamrnn_client.codec import codec_of
from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import ClientClosedError, HandshakeError, MalformedError, StreamrnnClientError
from streamrnn_client.ledger import Ledger
from streamrnn_client.link import Link, address_of
from streamrnn_client.losses import ConnectionLostError
from streamrnn_client.options import Options
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

CODEC = codec_of("msgpack")
PORT = m.Port(1)
OPENED = m.Opened(0, "s", "sum", "00", 0, False, PORT, PORT)


class Pair:
    """A link and the server's end of its websocket, with bytes carried by hand."""

    def __init__(self, options: Options | None = None, sub_protocols: tuple[str, ...] | None = None) -> None:
        self.options = options or Options(reconnect=False)
        self.link = Link(address_of("ws://host:1/"), Dialogue(self.options), now_s=100.0)
        names = tuple(m.PROTOCOLS.values()) if sub_protocols is None else sub_protocols
        self.server = ServerProtocol(
            subprotocols=[Subprotocol(name) for name in names] or None, select_subprotocol=None if names else _none
        )

    @property
    def dialogue(self) -> Dialogue:
        return self.link.dialogue

    @property
    def over(self) -> StreamrnnClientError | None:
        return self.link.dialogue.table.over

    def shake(self, piece: int = 1 << 20) -> None:
        for event in self.carry_up():
            assert isinstance(event, Request)
            self.server.send_response(self.server.accept(event))
        self.carry_down(piece=piece)

    def carry_up(self) -> list[object]:
        """Client to server; returns what the server reads."""
        self.server.receive_data(self.link.data_to_send())
        return list(self.server.events_received())

    def carry_down(self, now_s: float = 100.0, piece: int = 1 << 20) -> None:
        """Server to client, `piece` bytes at a time; the end of the stream as well."""
        for data in self.server.data_to_send():
            if not data:
                self.link.receive_eof()
            for start in range(0, len(data), piece):
                self.link.receive_data(data[start : start + piece], now_s)

    def tell(self, message: m.Message, piece: int = 1 << 20) -> None:
        self.server.send_binary(CODEC.encode(message))
        self.carry_down(piece=piece)

    def opened(self) -> Ledger:
        self.shake()
        pending = self.dialogue.open("sum")
        self.tell(OPENED)
        ledger = pending.result()
        assert isinstance(ledger, Ledger)
        return ledger


def _none(*_: object) -> None:
    return None


def frame(value: float) -> bytes:
    return struct.pack("<f", value)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, 1 << 20])
def test_bytes_may_arrive_in_any_pieces(piece: int) -> None:
    pair = Pair()
    pair.shake(piece)
    assert pair.link.handshake_done
    opening = pair.dialogue.open("sum")
    (received,) = pair.carry_up()
    assert isinstance(received, Frame)
    assert CODEC.decode(bytes(received.data)) == m.Open(0, "sum")
    pair.tell(OPENED, piece)
    pending = pair.dialogue.frames(opening.result(), [frame(1.0), frame(2.0)])
    pair.tell(m.Output(0, 0, frame(1.0)), piece)
    assert not pending.done
    pair.tell(m.Output(0, 1, frame(3.0)), piece)
    assert pending.result() == [frame(1.0), frame(3.0)]


def test_calls_made_before_the_handshake_wait_for_it() -> None:
    pair = Pair()
    pair.dialogue.open("sum")
    sent = pair.link.data_to_send()
    assert b"sum" not in sent
    pair.server.receive_data(sent)
    (request,) = pair.server.events_received()
    assert isinstance(request, Request)
    pair.server.send_response(pair.server.accept(request))
    pair.carry_down()
    (received,) = pair.carry_up()
    assert isinstance(received, Frame)
    assert CODEC.decode(bytes(received.data)) == m.Open(0, "sum")


def test_the_json_sub_protocol_sends_text() -> None:
    pair = Pair(Options(reconnect=False, encoding="json"))
    pair.shake()
    pair.dialogue.open("sum")
    (received,) = pair.carry_up()
    assert isinstance(received, Frame)
    assert received.opcode is Opcode.TEXT
    assert codec_of("json").decode(bytes(received.data)) == m.Open(0, "sum")


def test_headers_of_the_caller_are_sent() -> None:
    pair = Pair(Options(reconnect=False, headers={"Authorization": "Bearer abc"}))
    (request,) = pair.carry_up()
    assert isinstance(request, Request)
    assert request.headers["Authorization"] == "Bearer abc"
    assert request.headers["Sec-WebSocket-Protocol"] == "streamrnn.v1.msgpack"
    assert "Sec-WebSocket-Extensions" not in request.headers


def test_a_message_may_be_fragmented() -> None:
    pair = Pair()
    ledger = pair.opened()
    pending = pair.dialogue.frames(ledger, [frame(1.0)])
    payload = CODEC.encode(m.Output(0, 0, frame(5.0)))
    pair.server.send_binary(payload[:10], fin=False)
    pair.server.send_ping(b"between")
    pair.server.send_continuation(payload[10:20], fin=False)
    pair.carry_down()
    assert not pending.done
    pair.server.send_continuation(payload[20:], fin=True)
    pair.carry_down()
    assert pending.result() == [frame(5.0)]
    assert any(isinstance(event, Frame) and event.opcode is Opcode.PONG for event in pair.carry_up())


@given(st.integers(0, 200))
def test_a_stream_cut_anywhere_is_lost_with_a_count(n_bytes: int) -> None:
    pair = Pair()
    ledger = pair.opened()
    pendings = [pair.dialogue.frames(ledger, [frame(1.0)] * n) for n in (1, 3, 2)]
    pair.link.data_to_send()
    pair.server.send_binary(CODEC.encode(m.Output(0, 0, frame(1.0) * 3, 3)))
    pair.server.send_binary(CODEC.encode(m.Output(0, 3, frame(1.0) * 3, 3)))
    data = b"".join(pair.server.data_to_send())
    first = len(data) // 2
    n_bytes = min(n_bytes, len(data) - 1)
    pair.link.receive_data(data[:n_bytes], 100.0)
    pair.link.receive_eof()
    n_answered = 0 if n_bytes < first else 3
    assert isinstance(pair.over, ConnectionLostError)
    assert pair.over.n_unanswered == 6 - n_answered
    assert pair.link.hang_up
    assert [pending.error is None for pending in pendings] == [n_answered == 3, False, False]
    assert all(isinstance(pending.error, ConnectionLostError | None) for pending in pendings)
    with pytest.raises(ConnectionLostError):
        pair.dialogue.frames(ledger, [frame(1.0)])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        CODEC.encode(m.Flush(0)),
        CODEC.encode(m.Output(0, 1, frame(1.0))),
        CODEC.encode(m.Output(0, 0, frame(1.0) * 2)),
        CODEC.encode(m.Output(7, 0, frame(1.0))),
        CODEC.encode(m.Outputs((0, 0), (0, 1), frame(1.0) * 3)),
        CODEC.encode(m.Ack(0, "flush", 0)),
        CODEC.encode(m.Snapshotted(0, 0, b"")),
        CODEC.encode(OPENED),
        CODEC.encode(m.Error("bad_frame", "frame", False, "", "frame", 0, 5)),
        CODEC.encode(m.Error("bad_frame", "frame", False, "", "frames")),
        CODEC.encode(m.Error("bad_frame", "frame", False, "", "open", 3)),
        CODEC.encode(m.Error("bad_snapshot", "session", False, "", "snapshot", 0)),
        CODEC.encode(m.Closed(0, "closed", 0)),
    ],
    ids=lambda payload: payload.hex()[:40],
)
def test_what_cannot_be_an_answer_ends_the_connection(payload: bytes) -> None:
    pair = Pair()
    pending = pair.dialogue.frames(pair.opened(), [frame(1.0), frame(2.0)])
    pair.carry_up()
    pair.server.send_binary(payload)
    pair.carry_down()
    assert isinstance(pair.over, MalformedError)
    assert isinstance(pending.error, MalformedError)
    assert pair.link.hang_up
    (closing,) = pair.carry_up()
    assert isinstance(closing, Frame)
    assert Close.parse(bytes(closing.data)).code == 1007


def test_what_a_wrong_message_settled_first_is_told() -> None:
    pair = Pair()
    pending = pair.dialogue.frames(pair.opened(), [frame(1.0), frame(2.0)])
    pair.server.send_binary(CODEC.encode(m.Output(0, 0, frame(1.0) * 4, 4)))
    events = pair.link.receive_data(b"".join(pair.server.data_to_send()), 100.0)
    assert isinstance(pair.over, MalformedError)
    assert pending in events
    assert pending.error is None


def test_the_wrong_kind_of_websocket_message() -> None:
    pair = Pair()
    pair.opened()
    pair.server.send_text(b"{}")
    pair.carry_down()
    assert isinstance(pair.over, MalformedError)
    pair = Pair(Options(reconnect=False, encoding="json"))
    pair.shake()
    pair.dialogue.open("sum")
    pair.server.send_binary(codec_of("json").encode(OPENED))
    pair.carry_down()
    assert isinstance(pair.over, MalformedError), "a good message, but binary"


def test_bytes_that_are_no_websocket() -> None:
    pair = Pair()
    pending = pair.dialogue.frames(pair.opened(), [frame(1.0)])
    pair.link.receive_data(b"\xff" * 100, 100.0)
    assert isinstance(pair.over, ConnectionLostError)
    assert isinstance(pending.error, ConnectionLostError)
    assert pair.over.n_unanswered == 1


def test_a_message_beyond_our_limit() -> None:
    pair = Pair(Options(reconnect=False, max_receive_bytes=1000))
    pair.opened()
    pair.server.send_binary(b"\0" * 1001)
    pair.carry_down()
    assert isinstance(pair.over, ConnectionLostError)
    assert "1001" in str(pair.over)


def test_what_arrives_behind_the_end_is_not_read() -> None:
    pair = Pair()
    pending = pair.dialogue.frames(pair.opened(), [frame(1.0)])
    pair.server.send_binary(b"\xc1")
    pair.server.send_binary(CODEC.encode(m.Output(0, 0, frame(1.0))))
    pair.carry_down()
    assert isinstance(pending.error, MalformedError)


def test_an_error_of_the_connection_arrives_as_itself_and_not_as_a_loss() -> None:
    pair = Pair()
    pending = pair.dialogue.frames(pair.opened(), [frame(1.0)])
    pair.server.send_binary(CODEC.encode(m.Error("internal", "connection", False, "a bug")))
    events = pair.link.receive_data(b"".join(pair.server.data_to_send()), 100.0)
    assert pending in events
    assert pair.over is not None
    assert (pair.over.code, str(pair.over)) == ("internal", "a bug")
    pair.server.send_binary(CODEC.encode(m.Output(0, 0, frame(1.0))))
    pair.carry_down()
    assert not pair.link.hang_up, "the server ends the closing handshake, and what comes before is not read"
    pair.server.send_close(1011)
    pair.carry_down()
    assert pair.link.hang_up
    assert pending.error is not None
    assert pending.error.code == "internal"


def test_a_close_by_the_server_keeps_its_code() -> None:
    pair = Pair()
    pending = pair.dialogue.frames(pair.opened(), [frame(1.0)])
    pair.server.send_close(1012, "restart")
    pair.carry_down()
    assert isinstance(pending.error, ConnectionLostError)
    assert pending.error.close_code == 1012
    assert "restart" in str(pending.error)


def test_close_by_us_ends_in_order() -> None:
    pair = Pair()
    pending = pair.dialogue.frames(pair.opened(), [frame(1.0)])
    pair.carry_up()
    pair.link.close(ClientClosedError("done"))
    assert isinstance(pending.error, ClientClosedError)
    assert not pair.link.hang_up
    (closing,) = pair.carry_up()
    assert isinstance(closing, Frame)
    assert Close.parse(bytes(closing.data)).code == 1000
    pair.carry_down()
    assert pair.link.hang_up
    assert isinstance(pair.over, ClientClosedError)


def test_a_server_that_names_no_sub_protocol() -> None:
    pair = Pair(sub_protocols=())
    pair.shake()
    assert not pair.link.handshake_done
    assert isinstance(pair.over, HandshakeError)
    assert "streamrnn.v1.msgpack" in str(pair.over)


def test_a_refusal_shows_its_reason() -> None:
    pair = Pair()
    (request,) = pair.carry_up()
    assert isinstance(request, Request)
    response = pair.server.reject(503, "kernels compile")
    response.headers["Retry-After"] = "3"
    pair.server.send_response(response)
    pair.carry_down()
    assert isinstance(pair.over, HandshakeError)
    assert (pair.over.status, pair.over.retryable, pair.over.retry_after_s) == (503, True, 3.0)
    assert "kernels compile" in str(pair.over)


@pytest.mark.parametrize(
    "noise", [b"SSH-2.0-OpenSSH_9\r\n", b"\0" * 50, b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 101 ok\r\n\r\n"]
)
def test_a_peer_that_is_no_websocket_server(noise: bytes) -> None:
    pair = Pair()
    pair.link.data_to_send()
    pair.link.receive_data(noise, 100.0)
    pair.link.receive_eof()
    assert isinstance(pair.over, HandshakeError)
    assert pair.link.hang_up


def test_silence_is_pinged_and_then_given_up() -> None:
    pair = Pair(Options(reconnect=False, ping_interval_s=20, ping_timeout_s=5))
    pending = pair.dialogue.frames(pair.opened(), [frame(1.0)])
    pair.carry_up()
    assert pair.link.deadline_s == 120.0
    pair.link.tend(119.9)
    assert pair.carry_up() == []
    pair.link.tend(120.0)
    (ping,) = pair.carry_up()
    assert isinstance(ping, Frame)
    assert ping.opcode is Opcode.PING
    pair.carry_down(now_s=121.0)
    assert pair.server.state is OPEN
    assert pair.link.deadline_s == 141.0, "the pong is a sign of life"
    pair.link.tend(141.0)
    assert pair.link.deadline_s == 146.0
    pair.link.data_to_send()
    pair.link.tend(146.0)
    assert isinstance(pair.over, ConnectionLostError)
    assert "silent for 25 s" in str(pair.over)
    assert isinstance(pending.error, ConnectionLostError)
