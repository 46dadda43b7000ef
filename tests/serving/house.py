"""A hub with models, a client's end of one connection, and a store's end of the errands, without socket or thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from streamrnn.decode.settings import SamplerSettings
from streamrnn.engine.engine import Engine
from streamrnn.engine.session import Session
from streamrnn.errors import StreamrnnError
from streamrnn.limits import Limits
from streamrnn.model.model import Model
from streamrnn.serving.errands import Errand
from streamrnn.serving.hub import Hub
from streamrnn.serving.roster import OnTurn
from streamrnn.stores.running import run
from streamrnn.stores.store import Store
from streamrnn.wire import messages as m
from streamrnn.wire.codec import MSGPACK
from tests.serving.small_models import gru_model, lstm_model, token_model

LIMITS = Limits(max_sessions=16, max_queue_frames=32, max_chunk_frames=64, max_run_frames=8, max_batch=4)
MODELS: dict[str, Model] = {"lstm": lstm_model(), "gru": gru_model(), "token": token_model()}
NS_PER_MS = 1_000_000


def make_hub(
    limits: Limits = LIMITS,
    models: Mapping[str, Model] = MODELS,
    *,
    has_store: bool = False,
    on_turn: OnTurn | None = None,
    key: bytes | None = None,
) -> Hub:
    """A hub over a new engine, whose resume tokens are counted."""
    engine = Engine(limits=limits, snapshot_key=key)
    for name, model in models.items():
        engine.add_model(name, model)
    return Hub(engine, limits, has_store=has_store, on_turn=on_turn, new_token=counted_tokens())


def counted_tokens() -> Callable[[], str]:
    """A maker of tokens that are the same in every run."""
    n_made = 0

    def new_token() -> str:
        nonlocal n_made
        n_made += 1
        return f"token-{n_made:037d}"

    return new_token


def random_frames(n: int, seed: int = 0, size: int = 3) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Frames (n, size) float32."""
    return np.random.default_rng(seed).normal(size=(n, size)).astype(np.float32)


def offline(name: str, xs: Any) -> Any:
    """What a session alone answers to frames `xs`."""
    engine = Engine(limits=LIMITS)
    engine.add_model(name, MODELS[name])
    return engine.open(name).run(xs)


def f32_frames(values: Sequence[float]) -> bytes:
    """Frames of one value each, as a payload."""
    return np.array(values, np.float32).tobytes()


def token_session(prompt: Sequence[float], engine: Engine | None = None, session_id: str | None = None) -> Session:
    """A session alone that draws tokens, and has seen the prompt."""
    if engine is None:
        engine = Engine(limits=LIMITS)
        engine.add_model("token", MODELS["token"])
    session = engine.open("token", session_id, decoder=SamplerSettings(input="logit"))
    session.run(np.array(prompt, np.float32)[:, None])
    return session


class Caller:
    """The client's end of one connection to a hub: typed messages in and out."""

    def __init__(self, hub: Hub, protocol: str = MSGPACK, clock_ns: Callable[[], int] = lambda: 0) -> None:
        self.hub = hub
        self.peer = hub.attach(protocol)
        self.codec = self.peer.codec
        self.clock_ns = clock_ns

    def say(self, *messages: m.ClientMessage) -> list[Any]:
        """Send messages and return what has been answered so far."""
        for message in messages:
            self.peer.receive(self.codec.encode(message), self.codec.is_text, self.clock_ns())
        return self.heard()

    def heard(self) -> list[Any]:
        """Return what waits to be read."""
        self.hub.dirty.pop(self.peer, None)
        return [self.codec.decode_server(payload, self.codec.is_text) for payload in self.peer.take()]

    def ticked(self) -> list[Any]:
        """Tick until nothing is pending, and return what has been answered."""
        while self.hub.n_pending:
            assert self.hub.tick(self.clock_ns()) > 0
        return self.heard()

    def open(self, handle: int, model: str = "lstm", session_id: str | None = None, **options: Any) -> m.Opened:
        """Open a session, which must succeed at once."""
        (reply,) = self.say(m.Open(handle, model, session_id, **options))
        assert isinstance(reply, m.Opened), reply
        return reply

    def vanish(self) -> None:
        """Be gone without a word."""
        self.hub.detach(self.peer, self.clock_ns())

    def leave(self) -> None:
        """Close with code 1000."""
        self.hub.detach(self.peer, self.clock_ns(), is_done=True)


class House:
    """A hub, its store, and the clock that both are given.

    Attributes:
        now_ns: the clock.
        is_down: errands are not run but fail.
    """

    def __init__(self, store: Store | None = None, limits: Limits = LIMITS, **options: Any) -> None:
        self.hub = make_hub(limits, has_store=store is not None, **options)
        self.limits = limits
        self.store = store
        self.key: bytes | None = options.get("key")
        self.now_ns = 0
        self.is_down: StreamrnnError | None = None

    def caller(self, protocol: str = MSGPACK) -> Caller:
        """A new connection."""
        return Caller(self.hub, protocol, lambda: self.now_ns)

    def take(self) -> Errand:
        """Take the next errand, which is to be run later."""
        return self.hub.errands.popleft()

    def run(self, errand: Errand) -> tuple[Any, StreamrnnError | None]:
        """Run an errand in the store; what came of it is still to be handed back."""
        assert self.store is not None
        if self.is_down is not None:
            return None, self.is_down
        try:
            return run(errand, self.store, self.now_ns / 1e9, self.key), None
        except StreamrnnError as fault:
            return None, fault

    def keep(self) -> int:
        """Run every errand there is and hand back what came of it. Returns how many there were."""
        n_run = 0
        while self.hub.errands:
            errand = self.take()
            result, fault = self.run(errand)
            errand.then(result, fault, self.now_ns)
            n_run += 1
        return n_run

    def wait(self, ms: int) -> None:
        """Let time pass, and do what it demands."""
        self.now_ns += ms * NS_PER_MS
        self.hub.advance(self.now_ns)
        self.keep()

    def save(self) -> None:
        """Save all that has changed, now."""
        save = self.hub.checkpoints.collect(self.now_ns, is_last=True)
        if save is not None:
            self.hub.errands.append(save)
        self.keep()


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
