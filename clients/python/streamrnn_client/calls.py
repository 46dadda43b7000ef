"""What a caller may ask of a server's sessions: each call makes a message to send, and a `Pending` for its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streamrnn_client import messages as m
from streamrnn_client.batch import PendingBatch
from streamrnn_client.checks import check_id, check_text, check_warm, snapshot_bytes
from streamrnn_client.codec import codec_of
from streamrnn_client.errors import DrainingError, FrameError, OptionError, OversizedError
from streamrnn_client.floats import FLOAT_BYTES, Values, pack
from streamrnn_client.layout import Layout
from streamrnn_client.ledger import Ledger
from streamrnn_client.lockstep import Lockstep
from streamrnn_client.options import Options
from streamrnn_client.pending import Draw, Drawn, Kept, Pending, PendingAsk, PendingFrames
from streamrnn_client.table import Table


class Calls:
    """The calls of one client. `outbox` holds encoded messages for the shell to take and send, in order.

    A session that cannot be told now, for it is apart from the server or waits, is told later: see `Course`.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.codec = codec_of(options.encoding)
        self.outbox: list[bytes] = []
        self.table = Table(reconnect=options.reconnect, max_replay_bytes=options.max_replay_bytes)
        self.is_attached = True
        self.locksteps: dict[bytes, Lockstep] = {}

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
        return self.chunk(ledger, b"".join(payloads), len(payloads), time_us)

    def chunk(self, ledger: Ledger, payload: bytes, n: int, time_us: int | None = None) -> PendingFrames:
        """As `frames`, of `n` frames in one payload."""
        ledger.check_live()
        ledger.check_turn()
        self._check_usable()
        self._check_count(n)
        time_us = ledger.checked_time(time_us)
        encoded = self._encoded(m.Frame(ledger.handle, ledger.next_seq, payload, n, time_us))
        pending = ledger.take(payload, n, time_us)
        if not ledger.course.unsent:  # else it waits there, behind others or alone
            self.outbox.append(encoded)
        return pending

    def generate(self, ledger: Ledger, n: int, draw: Draw) -> PendingFrames:
        """Let a session feed itself with at most `n` tokens, which is at most its window.

        Its value is the list of the outputs' bytes; each has a `token` event in `marks`. The waiter is called whenever
        there are more. What is sent behind it waits until it is answered.
        """
        ledger.check_live()
        self._check_usable()
        if ledger.opened.decoder != "sampler":
            raise OptionError("expected a session that was opened with decoder={'kind': 'sampler'}")
        encoded = self._encoded(m.Generate(ledger.handle, ledger.next_seq, n, *draw))
        pending = ledger.draw(draw, n)
        if not ledger.course.unsent:
            self.outbox.append(encoded)
        return pending

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
            ledger.check_turn()
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
            ledger.take(payload, 1, time_us) for ledger, payload, time_us in zip(ledgers, payloads, times, strict=True)
        ]
        if not keep_up:
            for ledger, pending in zip(ledgers, pendings, strict=True):
                if pending.kept not in ledger.course.unsent:  # it keeps up, and goes alone
                    self._send(frame_of(ledger, pending.kept))
        return pendings

    def in_step(self, ledgers: Sequence[Ledger], before: Lockstep | None) -> Lockstep | None:
        """The lockstep of these sessions: `before`, if that goes on, or a new one; None: they must go one by one."""
        if before is not None and not before.is_over:
            return before
        if self.table.over is not None or not self.is_attached or not self.table.may_fall_in(ledgers):
            return None
        for ledger in ledgers:
            ledger.alone()  # from a lockstep with others
        if not all(ledger.is_calm for ledger in ledgers):
            return None
        first = ledgers[0].opened
        handles, base = [ledger.handle for ledger in ledgers], [ledger.next_seq for ledger in ledgers]
        n_bytes = len(ledgers) * FLOAT_BYTES
        layout = None
        if self.codec.binary:
            layout = Layout(handles, base, n_bytes * first.input.size, n_bytes * first.output.size)
        return Lockstep(ledgers, layout, self.table.max_replay_bytes, self.options.max_chunk_frames)

    def round_of(self, lockstep: Lockstep, frames: bytes) -> PendingBatch:
        """Send one frame for each session of a lockstep as one message. `frames`: the payload."""
        self._check_count(len(lockstep.ledgers))
        layout, middle = lockstep.layout, b""
        if layout is None:
            encoded = self._encoded(m.Frames(lockstep.handles, lockstep.seqs(), frames))
        else:
            middle = layout.middle(lockstep.n_sent)
            encoded = self._checked(layout.frames(middle, frames))
            self.locksteps[layout.key] = lockstep
        self.outbox.append(encoded)
        return lockstep.take(frames, middle)

    def abandon(self, pending: Pending) -> None:
        """Nobody waits for it any more. It is not taken back: its answer will be read and dropped."""
        pending.waiter = None
        if isinstance(pending, PendingAsk):
            pending.abandoned = True

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

    def _send(self, message: m.Message, *, now: bool = True) -> None:
        encoded = self._encoded(message)
        if now:
            self.outbox.append(encoded)

    def _encoded(self, message: m.Message) -> bytes:
        """Also of what does not go now and is encoded again when it does: one too large is refused at once."""
        return self._checked(self.codec.encode(message))

    def _checked(self, encoded: bytes) -> bytes:
        if len(encoded) > self.options.max_send_bytes:
            limit = self.options.max_send_bytes
            raise OversizedError(f"expected at most {limit} bytes a message, got {len(encoded)}", scope="frame")
        return encoded

    def _check_usable(self) -> None:
        if self.table.over is not None:
            raise self.table.over.again()

    def _check_count(self, n: int) -> None:
        if not 1 <= n <= self.options.max_chunk_frames:
            raise OptionError(f"expected 1 to {self.options.max_chunk_frames} frames a message, got {n}", scope="frame")


def frame_of(ledger: Ledger, kept: Kept) -> m.Frame | m.Generate:
    """The message in which kept frames go, or that lets the server draw them."""
    if isinstance(kept, Drawn):
        return m.Generate(ledger.handle, kept.seq, kept.n, *kept.draw)
    return m.Frame(ledger.handle, kept.seq, kept.payload, kept.n, kept.time_us)
