"""The demo's own judgement: every output and event there, and equal to the embedded engine's, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

import streamrnn
from streamrnn import Model
from streamrnn.commands.demonstration.sessions import Played


def faults_of(models: Mapping[str, Model], played: Iterable[Played]) -> list[str]:
    """Run every session's frames through an engine in this process and say where the server's outputs differ."""
    engine = streamrnn.Engine()
    for name, model in models.items():
        engine.add_model(name, model)
    return [fault for one in played if (fault := _fault(engine, one)) is not None]


def _fault(engine: streamrnn.Engine, played: Played) -> str | None:
    if played.latency.n_frames != len(played.frames):
        return f"{played.model}: {len(played.frames)} frames sent, {played.latency.n_frames} outputs"
    session = engine.open(played.model, decoder=None if played.events is None else "model")
    expected = session.run(played.frames)
    events = session.last_events
    session.close()
    differs = (expected.view(np.uint32) != played.outputs.view(np.uint32)).any(axis=1)
    if differs.any():
        first = int(differs.argmax())
        return f"{played.model}: {int(differs.sum())} outputs differ from the embedded engine's, from seq {first} on"
    if played.events is not None and [told(event) for event in played.events] != [told(event) for event in events]:
        return f"{played.model}: {len(played.events)} events, not the {len(events)} of the embedded engine"
    return None


def told(event: Any) -> tuple[Any, ...]:
    """What an event says, whichever side's it is."""
    return (event.kind, event.seq, event.text, event.score, event.token, event.cause)
