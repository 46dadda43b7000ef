"""The server in memory, with sections 5a and 5b of PROTOCOL.md: tokens, a ring, checkpoints, cuts and crashes."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from streamrnn_client import messages as m
from streamrnn_client.codec import Codec

from tests.client.fake_server import MODEL, PORT, FakeServer, FakeSession


@dataclass
class KeptSession(FakeSession):
    """One that outlives its connection: its tokens, and the state that was saved last."""

    tokens: list[str] = field(default_factory=list)
    saved: tuple[int, float] | None = None

    @property
    def durable_seq(self) -> int:
        """The last seq in the saved state."""
        return -1 if self.saved is None else self.saved[0] - 1


class ResumingServer(FakeServer):
    """Its model tells any two histories apart. `stores` says whether checkpoints outlive a crash."""

    def __init__(self, codec: Codec, max_queue_frames: int = 4, *, stores: bool = True, ring: int = 6) -> None:
        super().__init__(codec, max_queue_frames)
        self.stores = stores
        self.ring = ring
        self._n_tokens = 0

    @staticmethod
    def stepped(total: float, value: float) -> float:
        """Depends on every frame and on their order; whole numbers, so float32 is exact."""
        return float((3 * int(total) + int(value) + 17) % 65521)

    # ---- what the test does to it

    def cut(self) -> None:
        """The connection is gone: what was accepted is stepped, and nobody hears of it."""
        for handle in list(self.sessions):
            self.tick(handle, 1000)
        self.inbox.clear()
        self.outbox.clear()
        self.sessions.clear()
        self.is_draining = False

    def crash(self) -> None:
        """All that was not saved is gone."""
        self.inbox.clear()
        self.outbox.clear()
        self.sessions.clear()
        self.is_draining = False
        for name, session in list(self.all_sessions.items()):
            assert isinstance(session, KeptSession)
            if session.saved is None or not self.stores:
                del self.all_sessions[name]
            else:
                next_seq, total = session.saved
                session.next_seq, session.applied_seq, session.total = next_seq, next_seq - 1, total
                session.queue.clear()
                session.answered.clear()

    def checkpoint(self, handle: int) -> None:
        """Save a session and say so."""
        session = self.sessions[handle]
        assert isinstance(session, KeptSession)
        if self.stores:
            session.saved = (session.applied_seq + 1, session.total)
            self.send(m.Ack(handle, "checkpoint", session.applied_seq, session.durable_seq))

    def stop(self) -> None:
        """The deadline of `go_away`: all is stepped and saved, every session closed."""
        for handle in list(self.sessions):
            self.tick(handle, 1000)
        for handle, session in list(self.sessions.items()):
            assert isinstance(session, KeptSession)
            if self.stores:
                session.saved = (session.applied_seq + 1, session.total)
            del self.sessions[handle]
            self.send(m.Closed(handle, "draining", session.applied_seq + 1))

    # ---- pieces

    def take_one(self) -> None:
        """Read one message of the client."""
        message = self.codec.decode(self.inbox[0])
        if isinstance(message, m.Rollback) and message.handle in self.sessions:
            self.inbox.popleft()
            self.sessions[message.handle].queue.append(message)
        else:
            super().take_one()

    def _open(self, message: m.Open | m.Restore) -> None:
        if isinstance(message, m.Open) and message.resume_token is not None and not self.is_draining:
            self._resume(message)
        else:
            super()._open(message)

    def _resume(self, message: m.Open) -> None:
        session = self.all_sessions.get(message.session_id or "")
        assert message.handle not in self.sessions, "resumed twice"
        if session is None:
            # The token that was said stays good: this `opened` may be lost as well.
            self._welcome(message.handle, message.session_id, 0, 0.0, False, [str(message.resume_token)])
            return
        assert isinstance(session, KeptSession)
        if message.resume_token not in session.tokens:
            self._refuse("bad_token", "session", "open", message.handle)
            return
        self.sessions[message.handle] = session
        session.tokens = [str(message.resume_token), self._token()]
        self._say_opened(message.handle, session, resumed=True)
        for seq in range(message.answered_seq + 1, session.applied_seq + 1):
            kept = session.answered.get(seq)
            if kept is None or seq <= session.applied_seq - self.ring:
                self.send(m.Skipped(message.handle, seq, 1, True))
            else:
                self.send(m.Output(message.handle, seq, struct.pack("<f", kept)))

    def _welcome(
        self,
        handle: int,
        session_id: str | None,
        next_seq: int,
        total: float,
        resumed: bool,
        tokens: Sequence[str] = (),
    ) -> None:
        self._n_opened += 1
        name = session_id or f"auto-{self._n_opened}"
        session = KeptSession(name, next_seq, next_seq - 1, total, tokens=[*tokens, self._token()])
        self.sessions[handle] = self.all_sessions[name] = session
        self._say_opened(handle, session, resumed=resumed)

    def _say_opened(self, handle: int, session: KeptSession, *, resumed: bool) -> None:
        name, n = session.session_id, self.max_queue_frames
        token, durable_seq = session.tokens[-1], session.durable_seq
        told = m.Opened(handle, name, MODEL, "00", session.next_seq, resumed, PORT, PORT, (), n, token)
        self.send(replace(told, durable=self.stores, durable_seq=durable_seq))

    def _token(self) -> str:
        self._n_tokens += 1
        return f"token-{self._n_tokens}"

    def _verb(self, handle: int, session: FakeSession, message: m.Message) -> None:
        if isinstance(message, m.Rollback):
            next_seq, total = struct.unpack("<qf", message.payload)
            session.next_seq, session.applied_seq, session.total = next_seq, next_seq - 1, total
            session.queue = deque(self._renumbered(session))
            self.send(m.Ack(handle, "rollback", next_seq - 1))
        elif isinstance(message, m.Close):
            super()._verb(handle, session, message)
            del self.all_sessions[session.session_id]
        else:
            super()._verb(handle, session, message)

    @staticmethod
    def _renumbered(session: FakeSession) -> list[m.Message | tuple[int, float]]:
        assert not session.n_queued, "a frame was sent behind a rollback that is not answered"
        return list(session.queue)
