"""A server of wire v1 in memory: one model, the running sum; it answers when and as it is told to.

Written from PROTOCOL.md alone. Between what arrives and what is answered stands the test, which decides how much of
either moves, so that every legal order of answers can be tried.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

from streamrnn_client import messages as m
from streamrnn_client.codec import Codec

PORT = m.Port(1)
MODEL = "sum"


@dataclass
class FakeSession:
    """One session: what it has accepted and not answered, its state, and every frame it ever accepted."""

    session_id: str
    next_seq: int = 0
    applied_seq: int = -1
    total: float = 0.0
    queue: deque[m.Message | tuple[int, float]] = field(default_factory=deque)
    accepted: dict[int, float] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)

    @property
    def n_queued(self) -> int:
        return sum(isinstance(item, tuple) for item in self.queue)


class FakeServer:
    """Accepts and refuses at once, as PROTOCOL 5.4 allows; answers with `tick`."""

    def __init__(self, codec: Codec, max_queue_frames: int = 4) -> None:
        self.codec = codec
        self.max_queue_frames = max_queue_frames
        self.sessions: dict[int, FakeSession] = {}
        self.all_sessions: dict[str, FakeSession] = {}
        self.inbox: deque[bytes] = deque()
        self.outbox: deque[bytes] = deque()
        self.is_draining = False
        self._n_opened = 0

    # ---- what the test moves

    def take_one(self) -> None:
        """Read one message of the client."""
        message = self.codec.decode(self.inbox.popleft())
        match message:
            case m.Frame():
                values = list(struct.unpack(f"<{len(message.payload) // 4}f", message.payload))
                self._accept(message.handle, message.seq, values, message.n, "frame")
            case m.Frames():
                values = list(struct.unpack(f"<{len(message.handles)}f", message.payload))
                for handle, seq, value in zip(message.handles, message.seqs, values, strict=True):
                    self._accept(handle, seq, [value], 1, "frames")
            case m.Open() | m.Restore():
                self._open(message)
            case m.Reset() | m.Flush() | m.Snapshot() | m.Fork() | m.Close():
                if message.handle not in self.sessions:
                    told = message.new_handle if isinstance(message, m.Fork) else message.handle
                    self._refuse("unknown_session", "session", message.type, told)
                else:
                    self.sessions[message.handle].queue.append(message)

    def tick(self, handle: int, n: int) -> None:
        """Work through `n` things that wait in a session; frames that stand together are answered together."""
        session = self.sessions[handle]
        outputs: list[float] = []
        for _ in range(min(n, len(session.queue))):
            item = session.queue.popleft()
            if isinstance(item, tuple):
                outputs.append(self._step(session, *item))
            else:
                self._output(handle, session, outputs)
                outputs = []
                self._verb(handle, session, item)
                if handle not in self.sessions:
                    return
        self._output(handle, session, outputs)

    def tick_columnar(self, handles: Collection[int] | None = None) -> None:
        """Answer the first frame of every session, or of some, whose head is one, in one `outputs`."""
        wanted = self.sessions if handles is None else {h: self.sessions[h] for h in handles}
        heads = {h: s for h, s in wanted.items() if s.queue and isinstance(s.queue[0], tuple)}
        if not heads:
            return
        payload, seqs = b"", []
        for session in heads.values():
            item = session.queue.popleft()
            assert isinstance(item, tuple)
            seqs.append(item[0])
            payload += struct.pack("<f", self._step(session, *item))
        self.send(m.Outputs(tuple(heads), tuple(seqs), payload))

    def kill(self, handle: int) -> None:
        """A bug of the server ends a session."""
        self._refuse("internal", "session", None, handle)
        session = self.sessions.pop(handle)
        self.send(m.Closed(handle, "error", session.applied_seq + 1))

    def drain(self) -> None:
        """Say that the server stops."""
        self.is_draining = True
        self.send(m.GoAway(1000))

    def send(self, message: m.Message) -> None:
        """Queue a message for the client."""
        self.outbox.append(self.codec.encode(message))

    # ---- pieces

    def _step(self, session: FakeSession, seq: int, value: float) -> float:
        session.total = self.stepped(session.total, value)
        session.applied_seq = seq
        session.answered[seq] = session.total
        return session.total

    @staticmethod
    def stepped(total: float, value: float) -> float:
        """The model: one state, which is the output as well."""
        return total + value

    def _accept(self, handle: int, seq: int, values: list[float], n: int, of: str) -> None:
        session = self.sessions.get(handle)
        if session is None:
            self._refuse("unknown_session", "session", of, handle, seq)
        elif len(values) != n or any(value != value for value in values):
            self._refuse("bad_frame", "frame", of, handle, seq)
        elif seq != session.next_seq:
            self._refuse("bad_seq", "frame", of, handle, seq, session.next_seq)
        elif session.n_queued + n > self.max_queue_frames:
            self._refuse("queue_full", "frame", of, handle, seq)
        else:
            for i, value in enumerate(values):
                session.queue.append((seq + i, value))
                session.accepted[seq + i] = value
            session.next_seq += n

    def _open(self, message: m.Open | m.Restore) -> None:
        if self.is_draining:
            self._refuse("draining", "session", message.type, message.handle)
        elif message.handle in self.sessions or message.session_id in self.all_sessions:
            self._refuse("session_exists", "session", message.type, message.handle)
        elif isinstance(message, m.Open) and message.model != MODEL:
            self._refuse("unknown_model", "session", "open", message.handle)
        elif isinstance(message, m.Restore) and len(message.payload) != 12:
            self._refuse("bad_snapshot", "session", "restore", message.handle)
        else:
            next_seq, total = struct.unpack("<qf", message.payload) if isinstance(message, m.Restore) else (0, 0.0)
            self._welcome(message.handle, message.session_id, next_seq, total, isinstance(message, m.Restore))

    def _welcome(self, handle: int, session_id: str | None, next_seq: int, total: float, resumed: bool) -> None:
        self._n_opened += 1
        name = session_id or f"auto-{self._n_opened}"
        session = FakeSession(name, next_seq, next_seq - 1, total)
        self.sessions[handle] = self.all_sessions[name] = session
        self.send(
            m.Opened(handle, name, MODEL, "00", next_seq, resumed, PORT, PORT, max_queue_frames=self.max_queue_frames)
        )

    def _verb(self, handle: int, session: FakeSession, message: m.Message) -> None:
        match message:
            case m.Reset():
                session.total = 0.0
                self.send(m.Ack(handle, "reset", session.applied_seq))
            case m.Flush():
                self.send(m.Ack(handle, "flush", session.applied_seq))
            case m.Snapshot():
                payload = struct.pack("<qf", session.applied_seq + 1, session.total)
                self.send(m.Snapshotted(handle, session.applied_seq + 1, payload))
            case m.Fork():
                if self.is_draining:
                    self._refuse("draining", "session", "fork", message.new_handle)
                elif message.session_id in self.all_sessions:
                    self._refuse("session_exists", "session", "fork", message.new_handle)
                else:
                    next_seq = session.applied_seq + 1
                    self._welcome(message.new_handle, message.session_id, next_seq, session.total, True)
            case m.Close():
                del self.sessions[handle]
                self.send(m.Closed(handle, "closed", session.applied_seq + 1))
                for item in session.queue:
                    if not isinstance(item, tuple):
                        self._refuse("unknown_session", "session", item.type, handle)

    def _output(self, handle: int, session: FakeSession, outputs: list[float]) -> None:
        if outputs:
            first = session.applied_seq - len(outputs) + 1
            self.send(m.Output(handle, first, struct.pack(f"<{len(outputs)}f", *outputs), len(outputs)))

    def _refuse(
        self, code: str, scope: str, of: str | None, handle: int, seq: int | None = None, expected: int | None = None
    ) -> None:
        retryable = code in ("queue_full", "draining")
        self.send(m.Error(code, scope, retryable, f"{code} here", of, handle, seq, expected))  # type: ignore[arg-type]
