"""One connection of a client that speaks another server's protocol: samples in, results out."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from streamrnn.decode.event import Event
from streamrnn.decode.settings import Settings, settings_of
from streamrnn.errors import FrameError, InternalError, LimitError, QueueFullError, StreamrnnError
from streamrnn.serving.hosted import Hosted, Terms
from streamrnn.serving.party import Reason
from streamrnn.serving.piece import Piece
from streamrnn.serving.speech.choice import limited_to
from streamrnn.serving.speech.dialect import Dialect, Order
from streamrnn.serving.speech.recording import Recording
from streamrnn.wire import order
from streamrnn.wire.codec import Buffer
from streamrnn.wire.messages import Message
from streamrnn.wire.refusal import DONE, GOING_AWAY, NOT_A_MESSAGE, TRY_LATER, close_code_of

if TYPE_CHECKING:
    from streamrnn.serving.hub import Hub

log = logging.getLogger("streamrnn.serving")

SLICE_BYTES = 8192
"""Of a long chunk, cut into frames at once: a quarter of a second of float32 at 8 kHz."""
MESSAGE_BYTES = 64
"""What a message that waits counts beside its samples, for it takes a place and wants an answer."""
MAX_REASON_BYTES = 123
"""RFC 6455 section 5.5: a control frame has at most 125 bytes, two of which are the code."""


class SpeechPeer:
    """The server's side of one connection; see `Party` for what a transport asks of it.

    At most one recording is heard at a time, in a session that nobody else can resume and that ends with it. Messages
    are answered in their order: those behind a long chunk wait here as bytes until the session takes their frames.

    Args:
        hub: what this peer belongs to.
        dialect: the protocol that is spoken, with its settings of this connection.
        model: name of the model that hears.
    """

    is_text = True

    def __init__(self, hub: Hub, dialect: Dialect, model: str) -> None:
        self._hub = hub
        self._dialect = dialect
        self._model = model
        self.sessions: dict[int, Hosted] = {}
        self.close_code: int | None = None
        self.close_reason = ""
        self._state: order.ConnectionState = order.OPEN
        self._replies: list[str] = []
        self._waiting: deque[Buffer | Order] = deque()
        self._n_waiting_bytes = 0
        self._n_cut_bytes = 0  # of the chunk that waits first
        self._recording: Recording | None = None
        self._ending: Order | None = None
        self._is_deaf = False
        self._heard_s = 0.0
        self._now_ns = 0

    # ---- what the transport and the hub ask

    def receive(self, payload: Buffer, is_text: bool, now_ns: int) -> None:
        """Take one websocket message; never raises. Behind the end of the only recording none is read."""
        if self._state != order.OPEN or self._is_deaf or self._hub.is_deaf:
            return
        self._now_ns = now_ns
        try:
            self._put(self._dialect.read(payload, is_text))
            self._go_on()
        except Exception as fault:
            self._break(fault)

    def put_piece(self, handle: int, piece: Piece) -> None:
        """Take outputs of the session, and give it more frames; never raises."""
        try:
            if self._recording is not None:
                self._recording.hear(piece)
                self._recording.queue(self._now_ns)
                self._go_on()
        except Exception as fault:
            self._break(fault)

    def take(self) -> list[bytes]:
        """Return the replies that wait, in order."""
        replies, self._replies = self._replies, []
        return [reply.encode() for reply in replies]

    def send(self, message: Message) -> None:
        """Pass over a message of our own protocol: a session that is parked or woken is no news here."""

    def refuse(self, fault: StreamrnnError, of: str | None = None, handle: int | None = None) -> None:
        """End the connection: these protocols have no message for an error."""
        self.fail(fault, self._now_ns)

    def fail(self, fault: StreamrnnError, now_ns: int) -> None:
        """End the connection with the code and the message of a fault."""
        if self._state == order.CLOSED:
            return
        self._hub.tally.errors[fault.code] += 1
        log.info("a connection that speaks %s ends [%s]: %s", self._dialect.name, fault.code, fault.message)
        self.close_reason = fault.message.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        self.close(_code_of(fault), now_ns)

    def go_away(self, deadline_ms: int, now_ns: int = 0) -> None:
        """The server stops: read no more, answer what was sent, tell the words so far, and close."""
        if self._state != order.OPEN:
            return
        self._state = order.DRAINING
        try:
            last = self._waiting[-1] if self._waiting else self._ending
            if (self._recording is not None or self._waiting) and last != "end":
                self._put("stop")
            self._go_on()
        except Exception as fault:
            self._break(fault)

    def close(self, code: int, now_ns: int) -> None:
        """Close the websocket after what is queued, and end the session."""
        if self._state == order.CLOSED:
            return
        self._state = order.CLOSED
        self.close_code = code
        self._hub.dirty[self] = None
        self._waiting.clear()
        self._recording = None
        for hosted in list(self.sessions.values()):
            self._hub.end_session(hosted, "closed")

    def tell_closed(self, handle: int, reason: Reason, n_frames: int) -> None:
        """A session that was not ended here ends the connection; at a stop the hub does, with a code of its own."""
        if reason not in ("closed", "draining"):
            self.fail(InternalError(f"the session has ended: {reason}"), self._now_ns)

    # ---- messages in their order

    def _put(self, message: Buffer | Order) -> None:
        """Queue a message.

        Raises:
            QueueFullError: too many bytes wait.
        """
        if message == "nothing":
            return
        self._waiting.append(message)
        self._is_deaf = message == "end" and self._dialect.is_single
        self._n_waiting_bytes += _cost(message)
        most = self._hub.limits.max_waiting_bytes
        if self._n_waiting_bytes > most:
            raise QueueFullError(f"expected at most {most} bytes of samples that wait, send them more slowly")

    def _go_on(self) -> None:
        """Do all that can be done now."""
        while self._state != order.CLOSED:
            self._tell()
            if self._ending is not None or not self._waiting or (self._recording and self._recording.is_full):
                break
            message = self._waiting[0]
            if isinstance(message, str):
                self._pop()
                self._begin_end(message)
            else:
                self._cut(message)
        if self._state == order.DRAINING and self._recording is None:
            self.close(GOING_AWAY, self._now_ns)
        if self._replies:
            self._hub.dirty[self] = None

    def _tell(self) -> None:
        """Reply to what was heard."""
        recording, dialect = self._recording, self._dialect
        if recording is None:
            return
        for found in recording.due():
            if found == "end":
                self._end(recording)
            elif found == "chunk":
                self._replies += dialect.answer()
            elif isinstance(found, Event):
                self._replies += dialect.hear(found)

    def _cut(self, chunk: Buffer) -> None:
        """Give the next slice of a chunk to the recording, and at the end of the chunk a mark."""
        if self._recording is None:
            self._recording = self._new_recording()
        start = self._n_cut_bytes
        piece = memoryview(chunk)[start : start + SLICE_BYTES]
        self._recording.take(piece, self._now_ns)
        self._n_cut_bytes = start + len(piece)
        if self._n_cut_bytes >= len(chunk):
            self._recording.mark("chunk")
            self._pop()

    def _pop(self) -> None:
        """The message that waits first is done with."""
        self._n_waiting_bytes -= _cost(self._waiting.popleft())
        self._n_cut_bytes = 0

    def _begin_end(self, asked: Order) -> None:
        """Let the recording run out; its last mark is the end's."""
        self._ending = asked
        if self._recording is None:
            self._end(None)
        else:
            self._recording.finish(self._now_ns)

    def _end(self, recording: Recording | None) -> None:
        """All of the recording has been heard."""
        asked, self._ending = self._ending, None
        events = recording.last_events(self._now_ns) if recording is not None else ()
        if recording is not None or asked != "stop":
            self._replies += self._dialect.end(events)
        self._recording = None
        for hosted in list(self.sessions.values()):
            self._hub.end_session(hosted, "closed")
        self._heard_s = recording.sent_s if recording is not None and asked == "restart" else 0.0
        if asked == "end":
            self._replies += self._dialect.farewell
            if self._dialect.is_single:
                self.close(DONE, self._now_ns)

    def _new_recording(self) -> Recording:
        """Open a session.

        Raises:
            CapacityError: there is no slot.
            OptionError: the rate or a phrase is not supported.
        """
        hub, dialect, limits = self._hub, self._dialect, self._hub.limits
        session = hub.engine.open(self._model, decoder=self._settings())
        terms = Terms(None, "reject", limits.park_ms, limits.expire_ms)
        hosted = hub.host(session, terms, self._now_ns, is_durable=False)
        hosted.peer = self
        self.sessions[hosted.handle] = hosted
        recording = Recording(hub, hosted, dialect.rate_hz, dialect.encoding, self._heard_s)
        dialect.begin(recording.clock)
        return recording

    def _settings(self) -> Settings:
        settings = settings_of(self._hub.engine.models[self._model].card.decoder)
        if not self._dialect.phrases:
            return settings
        limited = limited_to(settings, self._dialect.phrases)
        if limited is None:
            log.info("a phrase list is passed over: the decoder of model %s is not one of letters", self._model)
        return limited or settings

    def _break(self, fault: Exception) -> None:
        """End the connection, and it alone."""
        if not isinstance(fault, StreamrnnError):
            log.error("a connection that speaks %s failed", self._dialect.name, exc_info=fault)
            fault = InternalError("the server failed on a message")
        self.fail(fault, self._now_ns)


def _cost(message: Buffer | Order) -> int:
    """Bytes that a message counts while it waits."""
    return MESSAGE_BYTES + (0 if isinstance(message, str) else len(message))


def _code_of(fault: StreamrnnError) -> int:
    if isinstance(fault, LimitError):
        return TRY_LATER
    return NOT_A_MESSAGE if isinstance(fault, FrameError) else close_code_of(fault)
