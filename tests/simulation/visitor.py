"""A client of the simulated world: the real client's core, driven by a script of calls."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
from streamrnn_client import messages as m
from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import StreamrnnClientError
from streamrnn_client.ledger import Ledger
from streamrnn_client.losses import ConnectError, ConnectionLostError
from streamrnn_client.options import Options
from streamrnn_client.pending import Draw, Pending
from streamrnn_client.reconnector import Reconnector

from streamrnn.decode.settings import parse_settings
from streamrnn.engine.gaps import Gaps
from tests.simulation.cable import Cable
from tests.simulation.clock import Clock
from tests.simulation.house import SimulatedServer
from tests.simulation.oracle import Call, Oracle

MAX_WAITING = 12
SAMPLER = '{"kind":"sampler","input":"logit"}'
N_TOKENS, N_DRAWN = 7, 4
"""Tokens of the model, and those of them that can be drawn."""
GAPS = ("none", "none", "hold", "linear", "zero", "reset_after")
PERIOD_US, RESET_AFTER_US = 1000, 20_000
DECODERS = (
    "none",
    '{"kind":"labels","mode":"label","input":"logit"}',
    '{"kind":"ctc","input":"logit","endpoint":null,"max_symbols":5}',
)


def gaps_of(asked: m.Open) -> Gaps | None:
    """The gap policy of a session, as the engine takes it."""
    return None if asked.gap == "none" else Gaps(asked.gap, asked.period_us, asked.reset_after_us)


class Visitor:
    """One client with some sessions. It makes a call whenever a random while has passed, and notes what came of it.

    Args:
        clock, random: the world's.
        servers: it dials them in turn.
        n_sessions, n_calls: its script's size.
        options: of the client.
        duplicate_rate: part of its frames that the network delivers twice.
        is_gateway: its sessions are all alike, and are mostly stepped together.
    """

    def __init__(
        self,
        clock: Clock,
        random: Random,
        servers: Sequence[SimulatedServer],
        n_sessions: int,
        n_calls: int,
        options: Options,
        duplicate_rate: float,
        is_gateway: bool,
    ) -> None:
        self._clock = clock
        self._random = random
        self._servers = servers
        self._duplicate_rate = duplicate_rate
        self._is_gateway = is_gateway
        self._n_calls_left = n_calls * n_sessions
        self._time_us = 0
        self.dialogue = Dialogue(options)
        self.dialogue.is_attached = False
        self.reconnector = Reconnector(options, len(servers), random)
        self.cable: Cable | None = None
        self.oracles: list[Oracle] = []
        self._openings: list[Pending] = [self._open() for _ in range(n_sessions)]
        self._sessions: list[tuple[Ledger, Oracle]] = []
        self._lose_connection("not dialled yet", is_first=True)
        self._call_later()

    @property
    def is_done(self) -> bool:
        """Every call was made and has its answer, and every session is closed."""
        is_answered = all(call.pending.done for oracle in self.oracles for call in oracle.calls)
        if any(oracle.forking is not None for oracle in self.oracles):
            return False
        return self._n_calls_left <= 0 and not self._openings and is_answered and not self.dialogue.table.ledgers

    # ---- the network

    def _dial(self) -> None:
        if self.cable is not None and not self.cable.is_cut:
            return
        self.reconnector.dialled()
        cable = Cable(self._clock, self._random, lambda message: None, lambda message: None)
        receive = self._servers[self.reconnector.index].connect(cable)
        if receive is None:
            self._lose_connection("refused")
            return
        cable.up._take = self._twice_at_times(receive)
        cable.down._take = lambda message: self._take(cable, message)
        cable.on_client_end = lambda: self._cable_ended(cable)
        self.cable = cable
        self.dialogue.attach()
        self.send()

    def _twice_at_times(self, receive: Any) -> Any:
        def take(message: bytes) -> None:
            receive(message)
            is_of_frames = (
                b"\xa5frame" in message[:20] or b"\xa6frames" in message[:20] or b"\xa8generate" in message[:20]
            )
            if is_of_frames and self._random.random() < self._duplicate_rate:
                receive(message)

        return take

    def _take(self, cable: Cable, message: bytes) -> None:
        if cable is not self.cable:
            return
        self.reconnector.of_use()
        self.dialogue.receive(message)
        self._look_at_openings()
        self.send()
        if self.dialogue.n_refused:
            self._clock.after(self._random.uniform(5, 30), self._resume_refused)

    def _resume_refused(self) -> None:
        if self.dialogue.is_attached and self.dialogue.n_refused:
            self.dialogue.resume_refused()
            self.send()

    def _cable_ended(self, cable: Cable) -> None:
        if cable is self.cable:
            self._lose_connection("cut")

    def _lose_connection(self, why: str, *, is_first: bool = False) -> None:
        self.cable = None
        if not is_first:
            error: StreamrnnClientError = ConnectError(why) if why == "refused" else ConnectionLostError(why)
            self.dialogue.lose(error)
        self.reconnector.lost(self._clock.now_ns / 1e9)
        assert self.reconnector.due_s is not None
        self._clock.after(max(0.0, self.reconnector.due_s * 1e3 - self._clock.now_ns / 1e6), self._dial)

    def send(self) -> None:
        """Give the cable what is to be sent."""
        if self.cable is not None:
            for message in self.dialogue.take_outbox():
                self.cable.up.put(message)

    # ---- the script

    def _open(self) -> Pending:
        if self._is_gateway:
            return self.dialogue.open("net", None, m.Open(0, "net"))
        if self._random.random() < 0.3:
            return self.dialogue.open("text", None, m.Open(0, "text", decoder=SAMPLER))
        gap: Any = self._random.choice(GAPS)
        decoder = self._random.choice(DECODERS)
        asked = m.Open(
            0,
            "net",
            gap=gap,
            period_us=PERIOD_US if gap != "none" else 0,
            reset_after_us=RESET_AFTER_US,
            decoder=decoder,
        )
        return self.dialogue.open("net", None, asked)

    def _look_at_openings(self) -> None:
        for pending in [pending for pending in self._openings if pending.done]:
            self._openings.remove(pending)
            self._begin(pending.result(), Oracle())
        for _, oracle in list(self._sessions):
            fork = oracle.forking
            if fork is None or not fork.done:
                continue
            oracle.forking = None
            if fork.error is None:
                self._begin(fork.result(), oracle.twin())
            else:
                oracle.note(Call("fork", fork))

    def _begin(self, ledger: Ledger, oracle: Oracle) -> None:
        oracle.gaps, oracle.model = gaps_of(ledger.asked), ledger.opened.model
        oracle.decoder = None if ledger.asked.decoder == "none" else parse_settings(ledger.asked.decoder)
        oracle.is_frail = ledger.opened.durable_seq < ledger.opened.next_seq - 1
        self.oracles.append(oracle)
        self._sessions.append((ledger, oracle))

    def _call_later(self) -> None:
        self._clock.after(self._random.choice((0.1, 1.0, 4.0, 15.0)), self._call)

    def _call(self) -> None:
        """Make one call on one session, unless too much is unanswered."""
        self._sessions = [(ledger, oracle) for ledger, oracle in self._sessions if ledger.ended is None]
        if self._sessions:
            ledger, oracle = self._random.choice(self._sessions)
            waiting = [call for call in oracle.calls if not call.pending.done]
            # Asked again after a cut, a snapshot may be of a later state, so nothing is sent behind one; nor a fork.
            is_copied = oracle.forking is not None or any(call.kind == "snapshot" for call in waiting)
            if len(waiting) < MAX_WAITING and not is_copied:
                self._n_calls_left -= 1
                if self._n_calls_left > 0 and self._random.random() < (0.7 if self._is_gateway else 0.2):
                    self._make_columns(self._in_step())
                elif self._n_calls_left > 0:
                    self._make(ledger, oracle)
                elif all(oracle.forking is None for _, oracle in self._sessions):
                    self._close_all()
                    return
        self._call_later()

    def _make(self, ledger: Ledger, oracle: Oracle) -> None:
        waiting = [call for call in oracle.calls if not call.pending.done]
        kind = self._random.choices(
            ("frames", "generate", "reset", "flush", "snapshot", "rollback", "fork"), (40, 20, 2, 2, 2, 1, 0.3)
        )[0]
        if kind == "generate" and not oracle.can_generate:
            kind = "frames"
        blobs = [call.pending.value for call in oracle.calls if call.kind == "snapshot" and call.pending.done]
        if kind == "rollback" and not blobs:
            kind = "frames"
        match kind:
            case "frames":
                n = self._random.randint(1, 4)
                xs = self._frames(n, oracle.model)
                payloads = [row.tobytes() for row in xs]
                time_us = None if oracle.gaps is None else self._next_time(n)
                pending = self.dialogue.frames(ledger, payloads, time_us)
                oracle.note(Call("frames", pending, xs, time_us=time_us))
            case "generate":
                stop = self._random.choice((-1, -1, self._random.randrange(N_DRAWN)))
                draw = Draw(self._random.choice((0.0, 0.5, 1.0)), self._random.choice((0, 2)), 5, stop)
                n = self._random.choice((1, 4, 12, 40))
                oracle.note(Call("generate", self.dialogue.generate(ledger, n, draw), n=n, draw=draw))
            case "reset":
                n_warm = self._random.choice((0, 0, 3))
                oracle.note(Call("reset", self.dialogue.reset(ledger, n_warm), n_warm=n_warm))
            case "flush":
                oracle.note(Call("flush", self.dialogue.flush(ledger)))
            case "snapshot":
                oracle.note(Call("snapshot", self.dialogue.snapshot(ledger)))
            case "rollback":
                if all(call.pending.done for call in oracle.calls):
                    blob = self._random.choice(blobs)
                    of = next(call for call in oracle.calls if call.kind == "snapshot" and call.pending.value is blob)
                    oracle.note(Call("rollback", self.dialogue.rollback(ledger, blob), of=of))
            case "fork" if not waiting:
                oracle.forking = self.dialogue.fork(ledger)
        self.send()

    def _in_step(self) -> list[tuple[Ledger, Oracle]]:
        """The sessions that a gateway would step together: of one model, and nothing but frames is unanswered."""
        found = []
        for ledger, oracle in self._sessions:
            waiting = [call for call in oracle.calls if not call.pending.done]
            is_quiet = oracle.forking is None and all(call.kind == "frames" for call in waiting)
            if oracle.model == "net" and oracle.gaps is None and is_quiet and len(waiting) < MAX_WAITING:
                found.append((ledger, oracle))
        return found

    def _make_columns(self, sessions: list[tuple[Ledger, Oracle]]) -> None:
        """Send a frame of each in one message; mostly of all, so that it is the same ones again and again."""
        if self._random.random() < 0.1:
            sessions = self._random.sample(sessions, self._random.randint(0, len(sessions)))
        if not sessions:
            return
        xs = [self._frames(1, "net") for _ in sessions]
        pendings = self.dialogue.frames_of_many([ledger for ledger, _ in sessions], [x.tobytes() for x in xs])
        for (_, oracle), pending, x in zip(sessions, pendings, xs, strict=True):
            oracle.note(Call("frames", pending, x))
        self.send()

    def _frames(self, n: int, model: str) -> Any:
        """Frames (n, input_size) float32."""
        if model == "text":
            return np.array([[self._random.randrange(N_TOKENS)] for _ in range(n)], np.float32)
        return np.array([self._random.gauss(0, 1) for _ in range(3 * n)], np.float32).reshape(n, 3)

    def _next_time(self, n_frames: int) -> int:
        """When the next frames were sampled; some before them may be missing."""
        time_us = self._time_us + PERIOD_US * self._random.choice((1, 1, 1, 1, 4, 50))
        self._time_us = time_us + (n_frames - 1) * PERIOD_US
        return time_us

    def _close_all(self) -> None:
        for ledger, oracle in self._sessions:
            oracle.note(Call("close", self.dialogue.close(ledger)))
        self.send()
