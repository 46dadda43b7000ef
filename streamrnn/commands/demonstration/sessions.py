"""Sessions of the demo: recordings streamed at a rate, and a text written one character at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.commands.latency import Latency

if TYPE_CHECKING:
    from streamrnn_client import Client

Floats = NDArray[np.float32]
SAMPLING_TEMPERATURE = 0.7
SEED = 7


@dataclass
class Played:
    """What one session sent and what came back: frames (n, input_size), outputs (n, output_size).

    `events` are those of its decoder; None: it had none.
    """

    model: str
    frames: Floats
    outputs: Floats
    latency: Latency = field(default_factory=Latency)
    events: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Load:
    """How frames are sent: `hz` frames a second in each session (infinite: as fast as answered)."""

    hz: float
    window: int
    chunk: int = 1


async def play(
    client: Client,
    model: str,
    frames: Floats,
    load: Load,
    latency: Latency,
    start_s: float = 0.0,
    on_output: Callable[[int, Any], None] | None = None,
) -> Played:
    """Open a session, send every frame when it is due, and keep every output.

    A frame is due `n / hz` seconds after `start_s` seconds from now; without a rate, when the client takes it.
    """
    session = await client.open(model, window=load.window)
    outputs = np.full((len(frames), session.output.size), np.nan, np.float32)
    await asyncio.sleep(start_s)
    latency.started_ns = time.perf_counter_ns()
    async for output in session.stream(_due(frames, load, latency), window=load.window, chunk=load.chunk):
        latency.answer()
        outputs[output.seq] = output.y
        if on_output is not None:
            on_output(output.seq, output.y)
    await session.close()
    return Played(model, frames, outputs, latency)


async def _due(frames: Floats, load: Load, latency: Latency) -> AsyncIterator[Floats]:
    for n, frame in enumerate(frames):
        due_ns = latency.started_ns + int(n / load.hz * 1e9)
        late_ns = time.perf_counter_ns() - due_ns
        if load.hz < float("inf") and late_ns < 0:
            await asyncio.sleep(-late_ns / 1e9)
        latency.send(due_ns if load.hz < float("inf") else time.perf_counter_ns())
        yield frame


async def play_all(client: Client, model: str, recordings: Sequence[Floats], load: Load) -> list[Played]:
    """Play several recordings at once, the starts spread over one period so that not all frames are due together."""
    spread_s = 0.0 if load.hz == float("inf") else 1 / load.hz / len(recordings)
    sessions = [
        play(client, model, frames, load, Latency(), start_s=i * spread_s) for i, frames in enumerate(recordings)
    ]
    return list(await asyncio.gather(*sessions))


async def write(
    client: Client, model: str, prompt: str, n_chars: int, hz: float, on_text: Callable[[str], None]
) -> Played:
    """Feed a prompt, then draw each next character from the output and feed it back; every character is one frame."""
    session = await client.open(model)
    rng = np.random.default_rng(SEED)
    latency = Latency()
    ids = [session.labels.index(char) for char in prompt]
    outputs: list[Any] = []
    on_text(prompt)
    for n in range(len(prompt) + n_chars):
        if n >= len(prompt):
            await asyncio.sleep(max(0.0, latency.started_ns / 1e9 + n / hz - time.perf_counter()))
            ids.append(draw_token(outputs[-1], rng))
            on_text(session.labels[ids[-1]])
        latency.send(time.perf_counter_ns())
        outputs.append(await session.step([float(ids[n])]))
        latency.answer()
    await session.close()
    return Played(model, np.array(ids, np.float32)[:, None], np.array(outputs, np.float32), latency)


def draw_token(log_probabilities: Floats, rng: np.random.Generator) -> int:
    """Draw one token, the unlikely ones made less likely."""
    scaled = log_probabilities.astype(np.float64) / SAMPLING_TEMPERATURE
    weights = np.exp(scaled - scaled.max())
    return int(rng.choice(len(weights), p=weights / weights.sum()))
