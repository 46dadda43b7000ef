"""One connection's dialogue without any I/O: calls make messages to send, received messages settle what is pending.

Both shells, asyncio and blocking, are this and a socket. A call returns a `Pending`; `receive` returns those that it
settled and what else the shell must hear of. Not thread-safe: the shell serialises.
"""

from __future__ import annotations

from collections.abc import Sequence

from streamrnn_client import messages as m
from streamrnn_client.codec import codec_of
from streamrnn_client.errors import DrainingError, FrameError, OptionError, OversizedError, StreamrnnClientError
from streamrnn_client.floats import FLOAT_BYTES, Values, pack
from streamrnn_client.ledger import Ledger
from streamrnn_client.options import Options
from streamrnn_client.pending import Pending, PendingAsk, PendingFrames
from streamrnn_client.table import Event, Table


class Dialogue:
    """The sessions of one connection. `outbox` holds encoded messages for the shell to take and send, in order."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.codec = codec_of(options.encoding)
        self.outbox: list[bytes] = []
        self.table = Table()

    def open(self, model: str, session_id: str | None = None) -> PendingAsk:
        """Its value is the new `Ledger`."""
        _check_text("a model's name", model)
        _check_id(session_id)
        return self._opening(m.Open(self.table.free_handle(), model, session_id))

    def restore(self, payload: bytes, session_id: str | None = None) -> PendingAsk:
        """Its value is the new `Ledger`."""
        _check_id(session_id)
        if not isinstance(payload, bytes | bytearray | memoryview):
            raise OptionError(f"expected the bytes of a snapshot, got {type(payload).__name__}")
        return self._opening(m.Restore(self.table.free_handle(), bytes(payload), session_id))

    def fork(self, ledger: Ledger, session_id: str | None = None) -> PendingAsk:
        """Its value is the new `Ledger`."""
        _check_id(session_id)
        ledger.check_live()
        return self._opening(m.Fork(ledger.handle, self.table.free_handle(), session_id))

    def reset(self, ledger: Ledger) -> PendingAsk:
        """Its value is the last seq before the reset, -1 if there was none."""
        return self._ask(ledger, m.Reset(ledger.handle))

    def flush(self, ledger: Ledger) -> PendingAsk:
        """Its value is the last seq that was answered, -1 if there was none."""
        return self._ask(ledger, m.Flush(ledger.handle))

    def snapshot(self, ledger: Ledger) -> PendingAsk:
        """Its value is the snapshot's bytes."""
        return self._ask(ledger, m.Snapshot(ledger.handle))

    def close(self, ledger: Ledger) -> PendingAsk:
        """Its value is the number of frames answered in the session's life."""
        return self._ask(ledger, m.Close(ledger.handle))

    def pack(self, ledger: Ledger, x: Values, ahead: int = 0) -> bytes:
        """One frame of this session as bytes; `ahead` frames packed before it are not sent yet.

        Raises:
            FrameError: the frame is bad; nothing was sent and the numbering is as before.
        """
        try:
            return pack(x, ledger.opened.input, check=self.options.check)
        except FrameError as error:
            error.handle, error.seq, error.expected_seq = ledger.handle, *[ledger.next_seq + ahead] * 2
            raise

    def frames(self, ledger: Ledger, payloads: Sequence[bytes]) -> PendingFrames:
        """Send frames of one session as one message; its value is the list of the outputs' bytes."""
        ledger.check_live()
        self._check_usable()
        self._check_count(len(payloads))
        self._send(m.Frame(ledger.handle, ledger.next_seq, b"".join(payloads), len(payloads)))
        return ledger.take(payloads)

    def frames_of_many(self, ledgers: Sequence[Ledger], payloads: Sequence[bytes]) -> list[PendingFrames]:
        """Send one frame for each of several sessions as one message. One that stands twice takes consecutive seqs.

        Raises:
            FrameError: the frames are not of one size, which the message cannot express.
        """
        self._check_count(len(payloads))
        ahead: dict[int, int] = {}
        seqs = []
        for ledger in ledgers:
            ledger.check_live()
            seqs.append(ledger.next_seq + ahead.setdefault(ledger.handle, 0))
            ahead[ledger.handle] += 1
        self._check_usable()
        sizes = {len(payload) for payload in payloads}
        if len(payloads) != len(ledgers) or len(sizes) != 1 or sizes.pop() % FLOAT_BYTES:
            raise FrameError("expected one frame for each session, all of one size")
        self._send(m.Frames(tuple(ledger.handle for ledger in ledgers), tuple(seqs), b"".join(payloads)))
        return [ledger.take([payload]) for ledger, payload in zip(ledgers, payloads, strict=True)]

    def abandon(self, pending: Pending) -> None:
        """Nobody waits for it any more. It is not taken back: its answer will be read and dropped."""
        pending.waiter = None
        if isinstance(pending, PendingAsk):
            pending.abandoned = True

    def receive(self, payload: bytes) -> list[Event]:
        """Take one message of the server; returns what it settled.

        Raises:
            MalformedError: it is none, or one that cannot be the answer to anything; the connection is to be given up.
        """
        events = self.table.take(self.codec.decode(payload))
        for event in events:
            if isinstance(event, PendingAsk) and event.abandoned and isinstance(event.value, Ledger):
                self.close(event.value)
        return events

    def lose(self, error: StreamrnnClientError) -> list[Event]:
        """The connection is over: everything pending fails with `error`, which all later calls raise as well."""
        self.outbox.clear()
        return self.table.lose(error)

    def _opening(self, message: m.Open | m.Restore | m.Fork) -> PendingAsk:
        self._check_usable()
        if self.table.going_away is not None:
            raise DrainingError("the server is stopping and takes no new sessions")
        self._send(message)
        handle = message.new_handle if isinstance(message, m.Fork) else message.handle
        pending = self.table.openings[handle] = PendingAsk(message=message)
        return pending

    def _ask(self, ledger: Ledger, message: m.Message) -> PendingAsk:
        ledger.check_live()
        self._check_usable()
        self._send(message)
        return ledger.ask(message)

    def _send(self, message: m.Message) -> None:
        payload = self.codec.encode(message)
        if len(payload) > self.options.max_send_bytes:
            limit = self.options.max_send_bytes
            raise OversizedError(f"expected at most {limit} bytes a message, got {len(payload)}", scope="frame")
        self.outbox.append(payload)

    def _check_usable(self) -> None:
        if self.table.over is not None:
            raise self.table.over.again()

    def _check_count(self, n: int) -> None:
        if not 1 <= n <= self.options.max_chunk_frames:
            raise OptionError(f"expected 1 to {self.options.max_chunk_frames} frames a message, got {n}", scope="frame")


def _check_text(what: str, text: object) -> None:
    """What is no text would be malformed to the server, and end the connection."""
    try:
        if not isinstance(text, str):
            raise TypeError
        text.encode()
    except (TypeError, UnicodeEncodeError):
        raise OptionError(f"expected {what} as text, got {text!r}") from None


def _check_id(session_id: str | None) -> None:
    if session_id is not None:
        _check_text("a session id", session_id)
