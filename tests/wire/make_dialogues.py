"""Whole connections for `clients/vectors/dialogues.json`, played once against a hub and written down.

The model is a running sum: an RNN cell with relu, all weights 1, so that every output is exact on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streamrnn.engine.engine import Engine
from streamrnn.limits import Limits
from streamrnn.model.card import Card
from streamrnn.model.model import Model
from streamrnn.model.spec import Node, Spec
from streamrnn.serving.hub import Hub
from streamrnn.wire import messages as m
from streamrnn.wire.messages import PROTOCOLS
from tests.wire.make_vectors import f32

Step = m.ClientMessage | str
TICK = "tick"
DRAIN = "drain"
END = "end"

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
}


def running_sum() -> Model:
    """The model `sum`: h = max(0, x + h)."""
    nodes = (Node("x", "input", 1), Node("cell", "rnn", 1, ("x",), bias=False, nonlinearity="relu"))
    one = np.ones((1, 1), np.float32)
    return Model(Spec(nodes, "cell"), {"cell.weight_ih": one, "cell.weight_hh": one}, Card(input_names=("value",)))


def sum_hub() -> Hub:
    """A hub that serves `sum`."""
    limits = Limits(max_sessions=8)
    engine = Engine(limits=limits)
    engine.add_model("sum", running_sum())
    return Hub(engine, limits)


def play(protocol: str, script: list[Step]) -> dict[str, Any]:
    """Play one script and return its steps and the close code."""
    hub = sum_hub()
    peer = hub.attach(protocol)
    steps: list[dict[str, Any]] = []
    for step in script:
        if step == TICK:
            hub.tick(0)
        elif step == DRAIN:
            hub.drain(5000)
            steps.append({"from": "event", "event": "drain", "deadline_ms": 5000})
        elif step == END:
            hub.end(0)
            steps.append({"from": "event", "event": "deadline"})
        else:
            payload = peer.codec.encode(step)  # type: ignore[arg-type]
            steps.append({"from": "client", "hex": payload.hex()})
            peer.receive(payload, peer.codec.is_text, 0)
        steps += [{"from": "server", "hex": reply.hex()} for reply in peer.take()]
    return {"steps": steps, "close_code": peer.close_code}


def dialogues() -> list[dict[str, Any]]:
    """Every script in both encodings."""
    return [
        {"name": name, "sub_protocol": protocol, "ignore": ["digest", "message"], **play(protocol, script)}
        for name, script in DIALOGUES.items()
        for protocol in PROTOCOLS
    ]
