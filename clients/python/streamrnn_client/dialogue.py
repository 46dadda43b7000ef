"""A client's dialogue without any I/O: calls make messages to send, received messages settle what is pending.

It outlives connections. Both shells, asyncio and blocking, are this, a `Line` and a socket. A call returns a `Pending`;
`receive`, `lose` and `end` return those that they settled and what else the shell must hear of. Not thread-safe: the
shell serialises. It reads no clock and draws no random numbers.

To drive it by hand:

    dialogue = Dialogue(Options())               # as if on a first connection
    pending = dialogue.open("vad")               # any call, at any time
    sent = dialogue.take_outbox()                # encoded messages for the server, in order; after each call below too
    events = dialogue.receive(payload)           # one message of the server
    events = dialogue.lose(ConnectionLostError("cut"))   # the connection is gone; messages under way are lost
    dialogue.attach()                            # a new connection stands: the outbox holds what resumes the sessions
    dialogue.resume_refused()                    # after a wait, while `n_refused` is not 0: the server could not yet
    events = dialogue.end(error)                 # give up: everything pending fails, `table.over` is set

`Reconnector` says when to dial, with a clock and a random source that are passed in; `is_idle` says that there is no
need to. `is_resumed` is true once every session goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from streamrnn_client import messages as m
from streamrnn_client.checks import check_id, check_text, check_warm, snapshot_bytes
from streamrnn_client.codec import codec_of
from streamrnn_client.errors import DrainingError, FrameError, OptionError, OversizedError, StreamrnnClientError
from streamrnn_client.floats import FLOAT_BYTES, Values, pack
from streamrnn_client.ledger import Ledger
from streamrnn_client.losses import is_passing
from streamrnn_client.options import Options
from streamrnn_client.pending import Kept, Pending, PendingAsk, PendingFrames
from streamrnn_client.table import Event, Table


class Dialogue:
    """The sessions of one client. `outbox` holds encoded messages for the shell to take and send, in order."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.codec = codec_of(options.encoding)
        self.outbox: list[bytes] = []
        self.table = Table(reconnect=options.reconnect, max_replay_bytes=options.max_replay_bytes)
        self.is_attached = True
        self.lost_by: StreamrnnClientError | None = None
        self.n_reconnects = 0

    # ---- calls

    def open(self, model: str, session_id: str | None = None, options: m.Open | None = None) -> PendingAsk:
        """Its value is the new `Ledger`. `options`: an `open` whose options are to be used."""
        check_text("a model's name", model)
        check_id(session_id)
        said = replace(options or m.Open(0, model), handle=self.table.free_handle(), model=model, session_id=session_id)
        return self._opening(said)

    def restore(self, payload: bytes, session_id: str | None = None) -> PendingAsk:
        """Its value is the new `Ledger`."""
        check_id(session_id)
        return self._opening(m.Restore(self.table.free_handle(), snapshot_bytes(payload), session_id))

    def fork(self, ledger: Ledger, session_id: str | None = None) -> PendingAsk:
        """Its value is the new `Ledger`."""
        check_id(session_id)
        ledger.check_live()
        return self._opening(m.Fork(ledger.handle, self.table.free_handle(), session_id), ledger)

    def reset(self, ledger: Ledger, warm_frames: int = 0) -> PendingAsk:
        """Its value is the last seq before the reset, -1 if there was none."""
        check_warm(warm_frames)
        return self._ask(ledger, m.Reset(ledger.handle, warm_frames))

    def flush(self, ledger: Ledger) -> PendingAsk:
        """Its value is the last seq that was answered, -1 if there was none."""
        return self._ask(ledger, m.Flush(ledger.handle))

    def snapshot(self, ledger: Ledger) -> PendingAsk:
        """Its value is the snapshot's bytes."""
        return self._ask(ledger, m.Snapshot(ledger.handle))

    def rollback(self, ledger: Ledger, payload: bytes) -> PendingAsk:
        """Its value is the last seq in the snapshot. What is sent behind it waits until it is answered."""
        return self._ask(ledger, m.Rollback(ledger.handle, snapshot_bytes(payload)))

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

    def frames(self, ledger: Ledger, payloads: Sequence[bytes], time_us: int | None = None) -> PendingFrames:
        """Send frames of one session as one message; its value is the list of the outputs' bytes.

        Args:
            time_us: when the first was sampled, where the session has a `gap` policy; the others are a period apart.
        """
        ledger.check_live()
        self._check_usable()
        self._check_count(len(payloads))
        time_us = ledger.checked_time(time_us)
        message = m.Frame(ledger.handle, ledger.next_seq, b"".join(payloads), len(payloads), time_us)
        self._send(message, now=ledger.course.keeps_up)
        return ledger.take(payloads, time_us)

    def frames_of_many(
        self, ledgers: Sequence[Ledger], payloads: Sequence[bytes], times_us: Sequence[int] | None = None
    ) -> list[PendingFrames]:
        """Send one frame for each of several sessions as one message. One that stands twice takes consecutive seqs.

        Raises:
            FrameError: the frames are not of one size, which the message cannot express.
        """
        self._check_count(len(payloads))
        sizes = {len(payload) for payload in payloads}
        if len(payloads) != len(ledgers) or len(sizes) != 1 or sizes.pop() % FLOAT_BYTES:
            raise FrameError("expected one frame for each session, all of one size")
        times: list[int | None] = [None] * len(ledgers) if times_us is None else list(times_us)
        if len(times) != len(ledgers):
            raise FrameError("expected one time for each session")
        for i, ledger in enumerate(ledgers):
            ledger.check_live()
            times[i] = ledger.checked_time(times[i], is_columnar=True)
        self._check_usable()
        ahead: dict[int, int] = {}
        seqs = []
        for ledger in ledgers:
            seqs.append(ledger.next_seq + ahead.setdefault(ledger.handle, 0))
            ahead[ledger.handle] += 1
        handles = tuple(ledger.handle for ledger in ledgers)
        whole = m.Frames(handles, tuple(seqs), b"".join(payloads), None if times_us is None else tuple(times_us))
        if keep_up := all(ledger.course.keeps_up for ledger in ledgers):
            self._send(whole)
        pendings = [
            ledger.take([payload], time_us) for ledger, payload, time_us in zip(ledgers, payloads, times, strict=True)
        ]
        if not keep_up:
            for ledger, pending in zip(ledgers, pendings, strict=True):
                if pending.kept not in ledger.course.unsent:  # it keeps up, and goes alone
                    self._send(_frame_of(ledger, pending.kept))
        return pendings

    def abandon(self, pending: Pending) -> None:
        """Nobody waits for it any more. It is not taken back: its answer will be read and dropped."""
        pending.waiter = None
        if isinstance(pending, PendingAsk):
            pending.abandoned = True

    # ---- connections

    @property
    def is_idle(self) -> bool:
        """There is nothing for which a connection is needed."""
        return not (self.table.ledgers or self.table.openings)

    @property
    def is_resumed(self) -> bool:
        """A connection stands, and every session goes on on it."""
        return self.is_attached and self.table.resumption.done

    @property
    def n_refused(self) -> int:
        """Sessions that the server cannot resume at the moment."""
        return len(self.table.resumption.refused_by)

    def take_outbox(self) -> list[bytes]:
        """The messages that are to be sent now."""
        taken, self.outbox = self.outbox, []
        return taken

    def receive(self, payload: bytes) -> list[Event]:
        """Take one message of the server; returns what it settled.

        Raises:
            MalformedError: it is none, or one that cannot be the answer to anything; the connection is to be given up.
        """
        message = self.codec.decode(payload)
        events = self.table.take(message)
        if self.table.broken is not None:
            return events + self.lose(self.table.broken)
        for event in events:
            if isinstance(event, PendingAsk) and event.abandoned and isinstance(event.value, Ledger):
                self.close(event.value)
        self._pump(message)
        return events

    def lose(self, error: StreamrnnClientError) -> list[Event]:
        """The connection is gone. What can be resumed waits for the next one, if there may be one; else all ends."""
        if not self.is_attached:
            return []
        if not (self.options.reconnect and is_passing(error)):
            return self.end(error)
        self.is_attached = False
        self.lost_by = error
        self.outbox.clear()
        return self.table.part(error)

    def attach(self) -> None:
        """A new connection stands: ask for every session again, and for what was asked and not answered."""
        if self.is_attached or self.table.over is not None:
            return
        self.is_attached = True
        self.n_reconnects += 1
        for ledger in self.table.ledgers.values():
            self._send(self.table.resumption.message(ledger))
        for opening in self.table.openings.values():
            if opening.source is None:
                opening.n_sent += 1
                self._send(opening.message)

    def resume_refused(self) -> None:
        """Ask again for the sessions that the server could not resume."""
        for handle in list(self.table.resumption.refused_by):
            self._send(self.table.resumption.message(self.table.ledgers[handle]))

    def end_refused(self) -> list[Event]:
        """Give up the sessions that the server cannot resume."""
        for handle, error in list(self.table.resumption.refused_by.items()):
            self.table.end_session(self.table.ledgers[handle], error)
        return self.table.given()

    def end(self, error: StreamrnnClientError) -> list[Event]:
        """All is over: everything pending fails with `error`, which all later calls raise as well."""
        self.outbox.clear()
        return self.table.end(error)

    # ---- pieces

    def _opening(self, message: m.Open | m.Restore | m.Fork, source: Ledger | None = None) -> PendingAsk:
        self._check_usable()
        if self.table.going_away is not None and not self.options.reconnect:
            raise DrainingError("the server is stopping and takes no new sessions")
        now = self.is_attached if source is None else source.course.keeps_up
        self._send(message, now=now)
        pending = PendingAsk(message=message)
        if source is not None:
            source.put(pending)
        elif now:
            pending.n_sent = 1
        self.table.openings[message.new_handle if isinstance(message, m.Fork) else message.handle] = pending
        return pending

    def _ask(self, ledger: Ledger, message: m.Message) -> PendingAsk:
        ledger.check_live()
        self._check_usable()
        self._send(message, now=ledger.course.takes(PendingAsk(message=message)))
        return ledger.ask(message)

    def _pump(self, message: m.Message) -> None:
        """Send what may be sent now that this has arrived."""
        resumption = self.table.resumption
        while resumption.again:
            self._send(resumption.message(resumption.again.pop()))
        while self.table.closes:
            self._send(m.Close(self.table.closes.pop()))
        handles: Iterable[int] = getattr(message, "handles", None) or [getattr(message, "handle", None) or 0]
        if isinstance(message, m.Opened | m.Error):  # it may be the answer to a fork, for which its source waits
            handles = list(self.table.ledgers)
        for handle in handles:
            ledger = self.table.ledgers.get(handle)
            if ledger is not None and ledger.course.unsent:
                self._send_due(ledger)

    def _send_due(self, ledger: Ledger) -> None:
        limit = ledger.opened.max_queue_frames or self.options.max_chunk_frames
        while (entry := ledger.course.next_due(limit)) is not None:
            self._send(_frame_of(ledger, entry) if isinstance(entry, Kept) else entry.message)

    def _send(self, message: m.Message, *, now: bool = True) -> None:
        """Encode it, so that one too large is refused here; what does not go `now` is encoded again when it does."""
        payload = self.codec.encode(message)
        if len(payload) > self.options.max_send_bytes:
            limit = self.options.max_send_bytes
            raise OversizedError(f"expected at most {limit} bytes a message, got {len(payload)}", scope="frame")
        if now:
            self.outbox.append(payload)

    def _check_usable(self) -> None:
        if self.table.over is not None:
            raise self.table.over.again()

    def _check_count(self, n: int) -> None:
        if not 1 <= n <= self.options.max_chunk_frames:
            raise OptionError(f"expected 1 to {self.options.max_chunk_frames} frames a message, got {n}", scope="frame")


def _frame_of(ledger: Ledger, kept: Kept) -> m.Frame:
    return m.Frame(ledger.handle, kept.seq, b"".join(kept.payloads), len(kept.payloads), kept.time_us)
