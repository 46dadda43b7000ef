"""The messages that wait to be written to one connection; outputs that belong together leave together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from streamrnn.decode.event import Event
from streamrnn.serving.piece import Piece
from streamrnn.wire.messages import MAX_N, Message, Output, OutputEvent, Outputs, Skipped, Word

MAX_PAYLOAD_BYTES = 512 * 1024
"""Largest payload of one `output` or `outputs`, unless a single output is larger: in JSON it stays below the 1 MiB
that websocket libraries take by default."""


class Outbox:
    """Collects messages in order.

    Args:
        encode: turns a message into the bytes of one websocket message.

    Attributes:
        is_columnar: whether outputs of several sessions may leave as one `outputs`; set once the client used `frames`.
    """

    __slots__ = ("_encode", "_waiting", "is_columnar")

    def __init__(self, encode: Callable[[Message], bytes]) -> None:
        self._encode = encode
        self._waiting: list[Message] = []
        self.is_columnar = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message) -> None:
        """Append a message."""
        self._waiting.append(message)

    def put_piece(self, handle: int, piece: Piece) -> None:
        """Append outputs of one session, joined to those just before where they continue them.

        Args:
            handle: the session's handle on this connection.
            piece: as it stands in the session's ring.
        """
        seq, n, payload = piece.seq, piece.n, piece.payload
        if not payload:
            self._waiting.append(Skipped(handle, seq, n, piece.is_stepped))
            return
        if len(payload) > MAX_PAYLOAD_BYTES and n > 1:
            self._put_in_parts(handle, piece)
            return
        waiting = self._waiting
        is_flagged = piece.filled or piece.was_reset
        events = events_of(piece.events) if piece.events else ()
        if waiting and not is_flagged:
            last = waiting[-1]
            if type(last) is Output and _continues(last, handle, seq, n, len(payload)):
                flags = (last.filled, last.was_reset, last.events + events)
                waiting[-1] = Output(handle, last.seq, last.payload + payload, last.n + n, *flags)
                return
        if is_flagged or events:
            waiting.append(Output(handle, seq, payload, n, piece.filled, piece.was_reset, events))
        else:
            waiting.append(Output(handle, seq, payload, n))

    def take(self) -> list[bytes]:
        """Return all that waits as encoded messages, in order, and forget it."""
        waiting, self._waiting = self._waiting, []
        if self.is_columnar and len(waiting) > 1:
            return [self._encode(message) for message in in_columns(waiting)]
        encode = self._encode
        return [encode(message) for message in waiting]

    def _put_in_parts(self, handle: int, piece: Piece) -> None:
        row_bytes = len(piece.payload) // piece.n
        n_fit = max(1, MAX_PAYLOAD_BYTES // row_bytes)
        for start in range(0, piece.n, n_fit):
            n = min(n_fit, piece.n - start)
            payload = piece.payload[start * row_bytes : (start + n) * row_bytes]
            flags = (0, False) if start else (piece.filled, piece.was_reset)
            first = piece.seq + start
            events = events_of(event for event in piece.events if first <= event.seq < first + n)
            self._waiting.append(Output(handle, first, payload, n, *flags, events))


def events_of(found: Iterable[Event]) -> tuple[OutputEvent, ...]:
    """Events as they go over the wire."""
    return tuple(
        OutputEvent(
            event.kind,
            event.seq,
            event.text,
            event.score,
            event.token,
            event.cause,
            tuple(Word(word.text, word.first_seq, word.last_seq, word.score) for word in event.words),
        )
        for event in found
    )


def _continues(last: Output, handle: int, seq: int, n: int, payload_bytes: int) -> bool:
    return (
        last.handle == handle
        and last.seq + last.n == seq
        and last.n + n <= MAX_N
        and len(last.payload) + payload_bytes <= MAX_PAYLOAD_BYTES
    )


def in_columns(messages: list[Message]) -> Iterator[Message]:
    """Yield `messages` in order, each run of single outputs of equal size and distinct handles as one `outputs`."""
    run: list[Output] = []
    handles: set[int] = set()
    for message in messages:
        fits = type(message) is Output and message.n == 1 and not _is_told_of(message)
        if run and not (fits and _joins(message, run, handles)):
            yield _joined(run)
            run, handles = [], set()
        if fits:
            run.append(message)  # type: ignore[arg-type]
            handles.add(message.handle)  # type: ignore[attr-defined]
        else:
            yield message
    if run:
        yield _joined(run)


def _is_told_of(output: Output) -> bool:
    """Whether it says more than its values, for which `outputs` has no place."""
    return bool(output.filled or output.was_reset or output.events)


def _joins(message: Any, run: list[Output], handles: set[int]) -> bool:
    size = len(run[0].payload)
    fits = size * (len(run) + 1) <= MAX_PAYLOAD_BYTES and len(run) < MAX_N
    return fits and len(message.payload) == size and message.handle not in handles


def _joined(run: list[Output]) -> Message:
    if len(run) == 1:
        return run[0]
    payload = b"".join([output.payload for output in run])
    return Outputs([output.handle for output in run], [output.seq for output in run], payload)
