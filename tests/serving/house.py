"""A hub with models, and a client's end of one connection, without a socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from streamrnn.engine.engine import Engine
from streamrnn.limits import Limits
from streamrnn.model.model import Model
from streamrnn.serving.hub import Hub
from streamrnn.wire import messages as m
from streamrnn.wire.codec import MSGPACK
from tests.serving.small_models import gru_model, lstm_model, token_model

LIMITS = Limits(max_sessions=16, max_queue_frames=32, max_chunk_frames=64, max_run_frames=8, max_batch=4)
MODELS: dict[str, Model] = {"lstm": lstm_model(), "gru": gru_model(), "token": token_model()}


def make_hub(limits: Limits = LIMITS, models: Mapping[str, Model] = MODELS) -> Hub:
    """A hub over a new engine."""
    engine = Engine(limits=limits)
    for name, model in models.items():
        engine.add_model(name, model)
    return Hub(engine, limits)


def random_frames(n: int, seed: int = 0, size: int = 3) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Frames (n, size) float32."""
    return np.random.default_rng(seed).normal(size=(n, size)).astype(np.float32)


def offline(name: str, xs: Any) -> Any:
    """What a session alone answers to frames `xs`."""
    engine = Engine(limits=LIMITS)
    engine.add_model(name, MODELS[name])
    return engine.open(name).run(xs)


class Caller:
    """The client's end of one connection to a hub: typed messages in and out."""

    def __init__(self, hub: Hub, protocol: str = MSGPACK) -> None:
        self.hub = hub
        self.peer = hub.attach(protocol)
        self.codec = self.peer.codec

    def say(self, *messages: m.ClientMessage) -> list[Any]:
        """Send messages and return what has been answered so far."""
        for message in messages:
            self.peer.receive(self.codec.encode(message), self.codec.is_text, 0)
        return self.heard()

    def heard(self) -> list[Any]:
        """Return what waits to be read."""
        self.hub.dirty.pop(self.peer, None)
        return [self.codec.decode_server(payload, self.codec.is_text) for payload in self.peer.take()]

    def ticked(self) -> list[Any]:
        """Tick until nothing is pending, and return what has been answered."""
        while self.hub.n_pending:
            assert self.hub.tick(0) > 0
        return self.heard()

    def open(self, handle: int, model: str = "lstm", session_id: str | None = None) -> m.Opened:
        """Open a session, which must succeed."""
        (reply,) = self.say(m.Open(handle, model, session_id))
        assert isinstance(reply, m.Opened), reply
        return reply


def frame(handle: int, seq: int, xs: Any) -> m.Frame:
    """A frame message of rows `xs`."""
    return m.Frame(handle, seq, xs.tobytes(), len(xs))


def values(replies: list[Any], handle: int, output_size: int, first_seq: int = 0) -> Any:
    """Outputs of one handle as rows, checked to be each once and in order from `first_seq`."""
    rows: list[Any] = []
    expected = first_seq
    for reply in replies:
        if isinstance(reply, m.Output) and reply.handle == handle:
            part = np.frombuffer(reply.payload, "<f4").reshape(reply.n, output_size)
            assert reply.seq == expected
            expected += reply.n
            rows.extend(part)
        elif isinstance(reply, m.Outputs):
            table = np.frombuffer(reply.payload, "<f4").reshape(len(reply.handles), output_size)
            for got, seq, row in zip(reply.handles, reply.seqs, table, strict=True):
                if got == handle:
                    assert seq == expected
                    expected += 1
                    rows.append(row)
    return np.array(rows, np.float32).reshape(-1, output_size)
