"""A server with narrow weights and with threads answers what the engine alone answers."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn import Engine, Limits
from streamrnn.engine import lane
from streamrnn.server.app import Server
from streamrnn.wire import messages as m
from tests.laws.nets import PRECISIONS, random_frames, random_model
from tests.server.clients import client_of

N_SESSIONS = 5


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("max_threads", [1, 2])
async def test_outputs_are_those_of_the_engine(monkeypatch, precision, max_threads):
    monkeypatch.setattr(lane, "MIN_PART_MACS", 1)
    model = random_model("lstm", 5, 19, precision=precision)
    frames = random_frames(model, N_SESSIONS, 4)
    engine = Engine(Limits(max_sessions=N_SESSIONS))
    engine.add_model("m", model)
    expected = [engine.open("m").run(xs) for xs in frames]
    limits = Limits(max_sessions=N_SESSIONS, max_threads=max_threads, drain_ms=200)
    async with Server({"m": model}, port=0, limits=limits) as server, client_of(server.port) as client:
        await client.say(*(m.Open(i, "m") for i in range(N_SESSIONS)))
        for _ in range(N_SESSIONS):
            assert isinstance(await client.hear(), m.Opened)
        for t in range(4):
            await client.say(*(m.Frame(i, t, frames[i, t].tobytes()) for i in range(N_SESSIONS)))
            for _ in range(N_SESSIONS):
                output = await client.hear()
                y = np.frombuffer(output.payload, "<f4")
                assert y.tobytes() == expected[output.handle][output.seq].tobytes()
