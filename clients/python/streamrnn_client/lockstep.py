"""Sessions that take one frame each in every message, kept as columns instead of one by one.

A round is one such message. In round k every session is at its first seq plus k, so one number says where all are. What
is out of the ordinary dissolves it: the sessions' own books get all that is here, and say what happens next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from operator import add

from streamrnn_client.batch import PendingBatch
from streamrnn_client.floats import FLOAT_BYTES
from streamrnn_client.layout import Layout
from streamrnn_client.ledger import Ledger
from streamrnn_client.pending import KEPT_BYTES, Kept, Pending, PendingFrames

MAX_ROUNDS = 64
"""Most answered rounds that are kept here: then the sessions get them, which takes a while for all at once."""


class Column(Kept):
    """One session's frames of some rounds, all answered; they are cut out of the rounds only if they are sent again."""

    __slots__ = ("_place", "_rounds", "_row_bytes")

    def __init__(self, seq: int, rounds: Sequence[bytes], place: int, row_bytes: int) -> None:
        super().__init__(seq, len(rounds), b"")
        self._rounds = rounds
        self._place = place
        self._row_bytes = row_bytes
        self.n_bytes = KEPT_BYTES + len(rounds) * row_bytes
        self.is_answered = True

    @property
    def payload(self) -> bytes:
        """The frames' values."""
        start = self._place * self._row_bytes
        end = start + self._row_bytes
        return b"".join([frames[start:end] for frames in self._rounds])


class Lockstep:
    """Live sessions of equal sizes, all of whose frames go through here; made only while each `is_calm`.

    Rounds `waiting` are not answered; the first of them is round `n_heard`. Where some sessions are ahead of others,
    `_counts` says of each how many rounds it has heard. Of the answered ones those are kept that are not durable yet.

    Args:
        ledgers: distinct.
        layout: None where messages are encoded and compared in another way.
        max_replay_bytes: see `Options`.
        max_chunk_frames: most frames in a message that repeats some.
    """

    def __init__(
        self, ledgers: Sequence[Ledger], layout: Layout | None, max_replay_bytes: int, max_chunk_frames: int
    ) -> None:
        self.ledgers = tuple(ledgers)
        self.handles = tuple(ledger.handle for ledger in ledgers)
        self.layout = layout
        self.n_sent = self.n_heard = 0
        self.waiting: deque[PendingBatch] = deque()
        self.is_over = False
        first = ledgers[0].opened
        self._row_bytes = first.input.size * FLOAT_BYTES
        self._output_bytes = first.output.size * FLOAT_BYTES
        self._places = {handle: i for i, handle in enumerate(self.handles)}
        self._base = [ledger.next_seq for ledger in ledgers]
        self._durable = [ledger.durable_seq for ledger in ledgers]
        self._counts: list[int] | None = None
        self._kept: deque[bytes] = deque()
        self._n_gone = self._n_durable = 0
        self._is_kept = any(ledger.is_kept for ledger in ledgers)
        self._has_acks = True
        self._max_rounds = max(1, min(MAX_ROUNDS, max_replay_bytes // self._row_bytes))
        # No larger than the messages that the server takes already.
        self._chunk = min(max_chunk_frames, len(ledgers), *self._queues())
        for place, ledger in enumerate(ledgers):
            ledger.enter(self, place, self._max_rounds * self._row_bytes)

    # ---- what may be looked at

    def next_seq(self, place: int) -> int:
        """The seq that a session's next frame will carry."""
        return self._base[place] + self.n_sent

    def answered_seq(self, place: int) -> int:
        """A session's last seq that is answered."""
        counts = self._counts
        return self._base[place] + (self.n_heard if counts is None else counts[place]) - 1

    def durable_seq(self, place: int) -> int:
        """A session's last seq whose state is in the server's store."""
        return self._durable[place]

    # ---- what is sent

    def seqs(self) -> tuple[int, ...]:
        """Those of the next round."""
        n_sent = self.n_sent
        return tuple([seq + n_sent for seq in self._base])

    def take(self, frames: bytes, middle: bytes = b"") -> PendingBatch:
        """Note a round that is about to be sent."""
        batch = PendingBatch(len(self.ledgers), frames, middle)
        self.waiting.append(batch)
        self.n_sent += 1
        return batch

    # ---- what is answered

    def hear_whole(self, message: bytes) -> PendingBatch | None:
        """The round that a message of the server answers as a whole; None: it is to be taken apart."""
        if not self.waiting or self.layout is None or self._counts is not None:
            return None
        batch = self.waiting[0]
        start = self.layout.outputs_at(batch.middle, message)
        if not start:
            return None
        self._answered(batch, message[start:])
        return batch

    def hear(self, handles: Sequence[int], seqs: Sequence[int], payload: bytes, settled: list[Pending]) -> bool:
        """Take outputs of some sessions; appends to `settled` the rounds that are complete with them.

        Returns:
            False: they are not what is due, and none was taken.
        """
        places = self._places_of(handles)
        if places is None or len(payload) != len(places) * self._output_bytes:
            return False
        counts = self._counts or [self.n_heard] * len(self.ledgers)
        due = [counts[place] for place in places]
        if max(due) >= self.n_sent or list(map(add, due, [self._base[place] for place in places])) != list(seqs):
            return False
        if isinstance(places, range) and due.count(due[0]) == len(due):
            self.waiting[due[0] - self.n_heard].pieces.append((places[0], payload))
        else:
            for i, (place, k) in enumerate(zip(places, due, strict=True)):
                row = payload[i * self._output_bytes : (i + 1) * self._output_bytes]
                self.waiting[k - self.n_heard].pieces.append((place, row))
        for place in places:
            counts[place] += 1
        self._counts = counts
        for _ in range(min(counts) - self.n_heard):
            batch = self.waiting[0]
            self._answered(batch, b"".join([piece for _, piece in sorted(batch.pieces)]))
            settled.append(batch)
        if max(counts) == self.n_heard:
            self._counts = None
        return True

    def saved(self, place: int, durable_seq: int) -> None:
        """A checkpoint of a session is in the server's store."""
        if durable_seq > self._durable[place]:
            self._durable[place] = durable_seq
            self._has_acks = True
            self.ledgers[place].trim_to(durable_seq)

    def _places_of(self, handles: Sequence[int]) -> Sequence[int] | None:
        """Where the sessions stand here; a range, if they stand together. None: some do not, or stand twice."""
        start = self._places.get(handles[0])
        if start is None:
            return None
        if self.handles[start : start + len(handles)] == tuple(handles):
            return range(start, start + len(handles))
        places = [self._places[handle] for handle in handles if handle in self._places]
        return places if len(set(places)) == len(handles) else None

    def _answered(self, batch: PendingBatch, outputs: bytes) -> None:
        self.waiting.popleft()
        self.n_heard += 1
        if self._is_kept:
            self._kept.append(batch.frames)
        else:
            self._n_gone += 1
        batch.frames = batch.middle = b""
        batch.settle(outputs)
        if self._has_acks:
            self._has_acks = False
            self._drop_durable()
        if len(self._kept) >= self._max_rounds:
            self._hand_out()

    # ---- what is kept

    def _queues(self) -> Iterator[int]:
        for ledger in self.ledgers:
            if ledger.opened.max_queue_frames:
                yield ledger.opened.max_queue_frames

    def _drop_durable(self) -> None:
        behind = [
            durable_seq - seq if ledger.is_kept else self.n_heard
            for ledger, durable_seq, seq in zip(self.ledgers, self._durable, self._base, strict=True)
        ]
        while self._kept and self._n_gone <= min(behind):
            self._kept.popleft()
            self._n_gone += 1
            self._n_durable = self._n_gone

    def _hand_out(self) -> None:
        """Give the answered rounds to the sessions' own logs, as messages of some frames each."""
        rounds = list(self._kept)
        self._kept.clear()
        for start in range(0, len(rounds), self._chunk):
            chunk = rounds[start : start + self._chunk]
            k = self._n_gone + start
            for place, ledger in enumerate(self.ledgers):
                ledger.append_answered(Column(self._base[place] + k, chunk, place, self._row_bytes))
        for ledger, seq, durable_seq in zip(self.ledgers, self._base, self._durable, strict=True):
            if self._n_durable:
                ledger.pass_to(seq + self._n_durable)
            ledger.trim_to(durable_seq)
        self._n_gone += len(rounds)

    # ---- the end

    def dissolve(self) -> None:
        """Every session goes alone from here: its own books get what is here of it."""
        if self.is_over:
            return
        self.is_over = True
        self._hand_out()
        counts = self._counts or [self.n_heard] * len(self.ledgers)
        rows = [batch.rows(self._output_bytes) for batch in self.waiting]
        parts: list[list[PendingFrames]] = [[] for _ in self.waiting]
        for place, ledger in enumerate(self.ledgers):
            for i, batch in enumerate(self.waiting):
                row = batch.frames[place * self._row_bytes : (place + 1) * self._row_bytes]
                kept = Kept(self._base[place] + self.n_heard + i, 1, row)
                pending = PendingFrames(kept=kept)
                if place in rows[i]:
                    pending.outputs = [rows[i][place]]
                    kept.is_answered = True
                    pending.settle(pending.outputs)
                parts[i].append(pending)
            mine = [parts[i][place] for i in range(len(self.waiting))]
            numbers = self.next_seq(place), self._base[place] + counts[place] - 1, self._durable[place]
            ledger.leave(*numbers, mine)
        for batch, those in zip(self.waiting, parts, strict=True):
            batch.split(those)
        self.waiting.clear()
