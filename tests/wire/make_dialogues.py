"""Whole connections for `clients/vectors/dialogues.json`, played once against a hub and written down.

The model is a running sum: an RNN cell with relu, all weights 1, so that every output is exact on every machine. The
one that generates is a walk around three tokens, each of which is followed by the next, so surely that its score is 1.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from streamrnn.engine.engine import Engine
from streamrnn.limits import Limits
from streamrnn.model.card import Card
from streamrnn.model.model import Model
from streamrnn.model.spec import Node, Spec
from streamrnn.serving.hub import Hub
from streamrnn.serving.peer import Peer
from streamrnn.wire import messages as m
from streamrnn.wire.messages import PROTOCOLS
from tests.wire.make_vectors import f32

Event = dict[str, Any]
Step = m.ClientMessage | Event
TICK: Event = {"event": "tick"}
DRAIN: Event = {"event": "drain", "deadline_ms": 5000}
END: Event = {"event": "deadline"}
CUT: Event = {"event": "cut"}
SILENCE: Event = {"event": "silence", "ms": 60_000}
TOKENS = [f"token-{n}-".ljust(43, "x") for n in range(8)]
"""What the server of a dialogue gives out, in order."""
SAMPLER = '{"kind":"sampler","input":"logit"}'


def running_sum() -> Model:
    """The model `sum`: h = max(0, x + h)."""
    nodes = (Node("x", "input", 1), Node("cell", "rnn", 1, ("x",), bias=False, nonlinearity="relu"))
    one = np.ones((1, 1), np.float32)
    return Model(Spec(nodes, "cell"), {"cell.weight_ih": one, "cell.weight_hh": one}, Card(input_names=("value",)))


def walk() -> Model:
    """The model `walk`: the output is 1000 at the token that follows, else 0."""
    nodes = (Node("x", "input", 1, n_tokens=3), Node("next", "embedding", 3, ("x",), n_tokens=3))
    table = 1000 * np.roll(np.eye(3, dtype=np.float32), 1, axis=1)
    return Model(Spec(nodes, "next"), {"next.weight": table}, Card(labels=("a", "b", "c")))


def sum_engine() -> Engine:
    """An engine that serves `sum` and `walk`, whose sessions are numbered."""
    numbers = count(1)
    engine = Engine(limits=Limits(max_sessions=8), make_id=lambda: f"session-{next(numbers)}")
    engine.add_model("sum", running_sum())
    engine.add_model("walk", walk())
    return engine


def snapshot_of(session_id: str, *frames: float) -> bytes:
    """A snapshot of a session of `sum` that has seen these frames."""
    session = sum_engine().open("sum", session_id)
    session.run(np.array(frames, np.float32).reshape(-1, 1))
    return session.snapshot()


DIALOGUES: dict[str, list[Step]] = {
    "one session": [
        m.Open(1, "sum", "s-1"),
        m.Frame(1, 0, f32(1.0)),
        TICK,
        m.Frame(1, 1, f32(2.0, 3.0), 2),
        TICK,
        m.Reset(1),
        m.Frame(1, 3, f32(0.5)),
        m.Flush(1),
        m.Close(1),
    ],
    "faults that end nothing": [
        m.Open(1, "nothing", "s-1"),
        m.Frame(1, 0, f32(1.0)),
        m.Open(1, "sum", "s-1"),
        m.Open(1, "sum", "s-2"),
        m.Open(2, "sum", "s-1"),
        m.Frame(1, 0, f32(1.0, 2.0)),
        m.Frame(1, 0, f32(float("nan"))),
        m.Frame(1, 1, f32(1.0)),
        m.Frame(1, 0, f32(1.0)),
        TICK,
        m.Restore(2, b"no snapshot"),
        m.Close(2),
        m.Flush(1),
    ],
    "a gateway's columns": [
        m.Open(1, "sum", "s-1"),
        m.Open(2, "sum", "s-2"),
        m.Frames([1, 2], [0, 0], f32(1.0, 10.0)),
        TICK,
        m.Frames([1, 2, 9], [1, 7, 0], f32(1.0, 10.0, 0.0)),
        TICK,
        m.Frames([1, 2], [2, 1], f32(1.0, 10.0) + b"\x00"),
        m.Frames([1, 2], [2, 1], f32(1.0, 10.0)),
        TICK,
    ],
    "a fork goes its own way": [
        m.Open(1, "sum", "s-1"),
        m.Frame(1, 0, f32(4.0)),
        m.Fork(1, 2, "s-2"),
        m.Frame(2, 1, f32(1.0)),
        m.Frame(1, 1, f32(-1.0)),
        TICK,
        m.Close(1),
        m.Close(2),
    ],
    "the server stops": [
        m.Open(1, "sum", "s-1"),
        m.Frame(1, 0, f32(1.0)),
        DRAIN,
        m.Open(2, "sum", "s-2"),
        m.Frame(1, 1, f32(1.0)),
        END,
    ],
    "resumed after a cut": [
        m.Open(1, "sum", "s-1"),
        m.Frame(1, 0, f32(1.0, 2.0), 2),
        TICK,
        m.Frame(1, 2, f32(3.0, 4.0), 2),
        CUT,
        m.Open(7, "sum", "s-1", TOKENS[0], 1),
        m.Frame(7, 4, f32(5.0)),
        TICK,
        m.Close(7),
    ],
    "resumed where nothing is known": [
        m.Open(1, "sum", "s-1", TOKENS[7], 41),
        m.Frame(1, 0, f32(1.0)),
        TICK,
    ],
    "resumed where too few outputs are kept": [
        m.Open(1, "sum", "s-1", window=2),
        m.Frame(1, 0, f32(1.0)),
        TICK,
        m.Frame(1, 1, f32(1.0)),
        TICK,
        m.Frame(1, 2, f32(1.0)),
        TICK,
        CUT,
        m.Open(1, "sum", "s-1", TOKENS[0], -1, 2),
    ],
    "a duplicate is answered again": [
        m.Open(1, "sum", "s-1"),
        m.Frame(1, 0, f32(1.0, 2.0, 3.0), 3),
        TICK,
        m.Frame(1, 1, f32(2.0)),
        m.Frame(1, 2, f32(3.0, 4.0), 2),
        TICK,
        m.Flush(1),
    ],
    "another connection takes over": [
        m.Open(1, "sum", "s-1"),
        m.Frame(1, 0, f32(1.0)),
        TICK,
        {"event": "resumed elsewhere", "session_id": "s-1", "resume_token": TOKENS[0]},
    ],
    "one of two sessions is taken over": [
        m.Open(1, "sum", "s-1"),
        m.Open(2, "sum", "s-2"),
        {"event": "resumed elsewhere", "session_id": "s-1", "resume_token": TOKENS[0]},
        m.Frame(1, 0, f32(1.0)),
        m.Frame(2, 0, f32(1.0)),
        TICK,
    ],
    "not the token of that session": [
        m.Open(1, "sum", "s-1"),
        m.Open(2, "sum", "s-2"),
        m.Frame(1, 0, f32(1.0)),
        CUT,
        m.Open(1, "sum", "s-1", TOKENS[1]),
        m.Open(1, "sum", "s-1", TOKENS[0]),
        CUT,
        m.Open(1, "sum", "s-1", TOKENS[0]),
        CUT,
        m.Open(1, "sum", "s-1", TOKENS[2]),
        m.Open(1, "sum", "s-1", TOKENS[3]),
    ],
    "parked and back": [
        m.Open(1, "sum", "s-1"),
        m.Frame(1, 0, f32(1.0)),
        TICK,
        SILENCE,
        m.Frame(1, 1, f32(2.0)),
        TICK,
        SILENCE,
        m.Flush(1),
        m.Close(1),
    ],
    "parked until it expires": [
        m.Open(1, "sum", "s-1", park_ms=60_000, expire_ms=60_000),
        m.Frame(1, 0, f32(1.0)),
        TICK,
        SILENCE,
        SILENCE,
        m.Flush(1),
    ],
    "taken back": [
        m.Open(1, "sum", "s-1"),
        m.Frame(1, 0, f32(1.0)),
        m.Snapshot(1),
        m.Frame(1, 1, f32(2.0, 3.0), 2),
        m.Flush(1),
        m.Rollback(1, b"no snapshot"),
        m.Rollback(1, snapshot_of("s-1", 1.0)),
        m.Frame(1, 1, f32(5.0)),
        TICK,
    ],
    "it feeds itself": [
        m.Open(1, "walk", "s-1", decoder=SAMPLER),
        m.Generate(1, 0, 4),
        m.Frame(1, 0, f32(0.0)),
        m.Generate(1, 1, 4),
        TICK,
        m.Generate(1, 5, 2000),
        m.Generate(1, 5, 20, stop=0),
        TICK,
        m.Frame(1, 7, f32(2.0)),
        m.Generate(1, 8, 2, 0.5, 2, 7),
        m.Flush(1),
        m.Close(1),
    ],
    "it feeds itself while nobody is there": [
        m.Open(1, "walk", "s-1", decoder=SAMPLER),
        m.Frame(1, 0, f32(1.0)),
        m.Generate(1, 1, 5),
        CUT,
        m.Open(1, "walk", "s-1", TOKENS[0], 0, decoder=SAMPLER),
        m.Close(1),
    ],
    "a duplicate of what it feeds itself with": [
        m.Open(1, "walk", "s-1", decoder=SAMPLER),
        m.Frame(1, 0, f32(1.0)),
        m.Generate(1, 1, 2),
        m.Generate(1, 1, 2),
        TICK,
        m.Generate(1, 1, 2),
        m.Close(1),
    ],
}


class Stage:
    """A server of `sum`, and the connection that a dialogue is about."""

    def __init__(self, protocol: str) -> None:
        engine = sum_engine()
        self.hub = Hub(engine, engine.limits, new_token=iter(TOKENS).__next__)
        self.protocol = protocol
        self.now_ns = 0
        self.peer: Peer = self.hub.attach(protocol)

    def tick(self) -> None:
        """Step what waits."""
        while self.hub.n_pending:
            self.hub.tick(self.now_ns)

    def receive(self, payload: bytes) -> None:
        """Take a message of the client."""
        self.peer.receive(payload, self.peer.codec.is_text, self.now_ns)

    def happen(self, event: Event) -> None:
        """Do what an event of `clients/vectors/README.md` says."""
        match event["event"]:
            case "drain":
                self.hub.drain(event["deadline_ms"])
            case "deadline":
                self.hub.end(self.now_ns)
            case "cut":
                self.hub.detach(self.peer, self.now_ns)
                self.tick()
                self.peer = self.hub.attach(self.protocol)
            case "silence":
                self.now_ns += event["ms"] * 1_000_000
                self.hub.advance(self.now_ns)
            case "resumed elsewhere":
                other = self.hub.attach(self.protocol)
                asked = m.Open(1, "sum", event["session_id"], event["resume_token"])
                other.receive(other.codec.encode(asked), other.codec.is_text, self.now_ns)
            case unknown:
                raise ValueError(f"no such event: {unknown}")


def play(protocol: str, script: list[Step]) -> dict[str, Any]:
    """Play one script and return its steps and the close code."""
    stage = Stage(protocol)
    steps: list[dict[str, Any]] = []
    for step in script:
        if step is TICK:
            stage.tick()
        elif isinstance(step, dict):
            stage.happen(step)
            steps.append({"from": "event", **step})
        else:
            payload = stage.peer.codec.encode(step)
            steps.append({"from": "client", "hex": payload.hex()})
            stage.receive(payload)
        steps += [{"from": "server", "hex": reply.hex()} for reply in stage.peer.take()]
    return {"steps": steps, "close_code": stage.peer.close_code}


def dialogues() -> list[dict[str, Any]]:
    """Every script in both encodings."""
    return [
        {"name": name, "sub_protocol": protocol, "ignore": ["digest", "message"], **play(protocol, script)}
        for name, script in DIALOGUES.items()
        for protocol in PROTOCOLS
    ]
