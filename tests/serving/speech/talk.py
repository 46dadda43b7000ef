"""A client's end of one connection that speaks another server's protocol, without a socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from streamrnn.engine.engine import Engine
from streamrnn.limits import Limits
from streamrnn.model.model import Model
from streamrnn.serving.hub import Hub
from streamrnn.serving.speech.choice import DIALECTS
from streamrnn.serving.speech.peer import SpeechPeer
from tests.serving.speech.tones import AT_16000, tone_model

MODELS = {"tones": tone_model(), "late": tone_model(AT_16000)}
LIMITS = Limits(max_sessions=4, max_queue_frames=32, max_chunk_frames=64, max_run_frames=8, max_batch=4)
CONFIG = '{"config": {"sample_rate": %d}}'
EOF = '{"eof" : 1}'
DONE = "Done"


def speech_hub(limits: Limits = LIMITS, models: Mapping[str, Model] = MODELS, **options: Any) -> Hub:
    """A hub over a new engine."""
    engine = Engine(limits=limits)
    for name, model in models.items():
        engine.add_model(name, model)
    return Hub(engine, limits, **options)


class Talk:
    """One connection."""

    def __init__(self, hub: Hub, dialect: str = "vosk", model: str = "tones") -> None:
        self.hub = hub
        self.peer: SpeechPeer = hub.admit(SpeechPeer(hub, DIALECTS[dialect](), model))
        self.now_ns = 0

    def say(self, *messages: str | bytes) -> list[Any]:
        """Send messages and return what has been answered so far."""
        for message in messages:
            is_text = isinstance(message, str)
            self.peer.receive(message.encode() if isinstance(message, str) else message, is_text, self.now_ns)
        return self.heard()

    def ask(self, *messages: str | bytes) -> list[Any]:
        """Send messages, let the hub do all there is to do, and return what has been answered."""
        return self.say(*messages) + self.ticked()

    def ticked(self) -> list[Any]:
        """Tick until nothing is pending, and return what has been answered."""
        while self.hub.n_pending:
            assert self.hub.tick(self.now_ns) > 0
        return self.heard()

    def heard(self) -> list[Any]:
        """Return what waits to be read: objects, and text that is none."""
        self.hub.dirty.pop(self.peer, None)
        return [read(reply.decode()) for reply in self.peer.take()]

    def vanish(self) -> None:
        """Be gone without a word."""
        self.hub.detach(self.peer, self.now_ns)


def read(reply: str) -> Any:
    """A reply as an object, or as the text that it is."""
    return json.loads(reply) if reply.startswith("{") else reply


def texts(replies: list[Any]) -> list[str]:
    """The texts of final results that are not empty, of either protocol."""
    finals = [reply for reply in replies if isinstance(reply, dict) and reply.get("is_final", "partial" not in reply)]
    return [reply["text"] for reply in finals if reply["text"]]
